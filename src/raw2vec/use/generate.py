"""The way back at work: codes to items, items through their own codes, and items that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.mixture import GaussianMixture
from torch import Tensor

from raw2vec.engines.base import BATCH_TOKENS, batches
from raw2vec.errors import BadInput, NonFinite
from raw2vec.folder import Model
from raw2vec.models import Autoencoder
from raw2vec.ragged import Ragged
from raw2vec.raw import Form
from raw2vec.seeding import Draws, key
from raw2vec.use.encode import GAPS, evaluation

# Elements (pixels, numbers, tokens) that weigh as much as one row of states: a readout gives each its own likelihood.
_ELEMENTS_A_ROW = 16


def decode(parts: Model, codes: ArrayLike, shapes: ArrayLike | None = None) -> list[Any]:
    """The items that codes (n, L) stand for, as users have them.

    shapes: the grid of each item, (n, k), or one for all, (k,); of sequences also their lengths, (n,) or a number.
    None: the grid that all items of this model have, or, where their sizes differ, the middle one. Raises BadInput for
    codes or shapes that do not fit the model, NonFinite with the item's number for a code that leads nowhere.
    """
    model = decoding(parts)
    points = checked_codes(codes, model.latent.width)
    grids = _grids(shapes, len(points), parts.raw.form)
    return parts.raw.restore(decoded(model, points, grids)) if len(points) else []


def reconstruct(parts: Model, items: Sequence[Any]) -> list[Any]:
    """Each item through its own code (never a draw) and back, on its own grid.

    The windows of a long item are reconstructed each by itself and put back in order; what was cut off stays away.
    """
    autoencoder(parts)
    if not len(items):
        return []
    windows = parts.raw.windows(items)
    return parts.raw.restore(_joined(there_and_back(parts, windows.ragged), windows.owners, len(items)))


def there_and_back(parts: Model, items: Ragged) -> Ragged:
    """Each window through its own code and back, in the units of the kind's Ragged.

    On its own grid, or as long as it then is where items tell themselves where they end.
    """
    model, longest = autoencoder(parts), parts.raw.form.longest
    limits = torch.full_like(items.shapes, longest) if longest else items.shapes
    return _in_batches(model, limits, lambda part: model.mode(_codes(model, items.take(part), part), limits[part]))


def seen(parts: Model, items: Sequence[Any]) -> list[Any]:
    """The items as the model sees them, to set beside reconstructions: read, resized and cut, and back."""
    if not len(items):
        return []
    windows = parts.raw.windows(items)
    return parts.raw.restore(_joined(windows.ragged, windows.owners, len(items)))


def sample(
    parts: Model,
    count: int,
    seed: int = 0,
    *,
    codes: ArrayLike | None = None,
    components: int = 10,
    shapes: ArrayLike | None = None,
) -> list[Any]:
    """Items that stand for drawn codes: same seed, same items, and the first of many are the few.

    Codes come from the latent's prior; or, given `codes` (m, L) of real items, from a mixture of
    `components` Gaussians fitted to them, which serves latents that have no prior (Ghosh et al. 2020). What is given is
    the item that each code stands for, without the readout's noise. shapes: as in `decode`.
    Raises BadInput for a latent without a prior when no codes are given.
    """
    model = decoding(parts)
    if count < 0:
        raise BadInput(f"{count} items cannot be drawn: give a number from 0 up.")
    if codes is None:
        drawn = model.latent.prior(Draws(seed), torch.arange(count))
    else:
        drawn = _from_mixture(checked_codes(codes, model.latent.width), count, seed, components)
    return decode(parts, model.latent.normalized(drawn.to(device_of(model))), shapes)


def interpolate(parts: Model, a: Any, b: Any, steps: int = 8) -> list[Any]:
    """`steps` items on the straight line from a's code to b's; the first and last are their own reconstructions.

    In a space of unit vectors the points of the line are brought back to length one. From a size to another the grids
    go along with the codes. BadInput for long items of different numbers of windows.
    """
    model = decoding(parts)
    if steps < 2:
        raise BadInput(f"From one item to another takes at least 2 steps, not {steps}.")
    windows = parts.raw.windows([a, b])
    left, right = (windows.ragged.take((windows.owners == place).nonzero().squeeze(1)) for place in (0, 1))
    if len(left) != len(right):
        raise BadInput(
            f"The two items are so long that they are encoded in {len(left)} and {len(right)} windows, and no number "
            "lies between: cut them to one length."
        )
    device = device_of(model)
    with evaluation(model):
        sides = ((side, torch.full((len(side),), place)) for place, side in enumerate((left, right)))
        begin, end = (_codes(model, side, places).float() for side, places in sides)
        share = torch.linspace(0, 1, steps, device=device)[:, None, None]
        codes = model.latent.normalized(torch.lerp(begin, end, share).flatten(0, 1))
    grids = torch.lerp(left.shapes.double(), right.shapes.double(), share.double().cpu()).round().long().flatten(0, 1)
    longest = parts.raw.form.longest
    made = decoded(model, codes, torch.full_like(grids, longest) if longest else grids)
    return parts.raw.restore(_joined(made, torch.arange(steps).repeat_interleave(len(left)), steps))


def autoencoder(parts: Model) -> Autoencoder:
    """The model, if what goes in comes back; BadInput for one that only encodes, or translates."""
    if parts.recipe.translates and not parts.recipe.returns:
        raise BadInput("This model writes a translation of what it reads, which is no copy of it: see translate.")
    return decoding(parts)


def decoding(parts: Model) -> Autoencoder:
    """The model, if it has a decoder; BadInput for one that only encodes."""
    if not isinstance(parts.model, Autoencoder):
        raise BadInput("This model has no decoder: fit it with --objective reconstruction or variational.")
    return parts.model


def device_of(model: Autoencoder) -> torch.device:
    """Where the model lives, and where what it is handed has to be."""
    return next(model.parameters()).device


def portions(model: Autoencoder, shapes: Tensor) -> Iterator[Tensor]:
    """The places of items with grids (n, k), (b,) at a time: as much as there is memory for, there and back."""
    rows = model.embedding.grids(shapes).prod(dim=1)
    return batches(torch.maximum(rows, shapes.prod(dim=1) // _ELEMENTS_A_ROW), BATCH_TOKENS)


def encoded(model: Autoencoder, windows: Ragged) -> Tensor:
    """The codes (n, L) float32 of windows as the kind's Ragged has them, on the CPU."""
    order = list(portions(model, windows.shapes))
    with evaluation(model):
        codes = [_codes(model, windows.take(part), part).float().cpu() for part in order]
    return torch.cat(codes)[torch.cat(order).argsort()]


def _codes(model: Autoencoder, windows: Ragged, places: Tensor) -> Tensor:
    """The codes (b, L) of windows of the items at these places, where the model is. NonFinite for gaps."""
    codes = model(windows.to(device_of(model)))
    bad = (~codes.isfinite().all(dim=1)).nonzero()
    if len(bad) and bool(windows.values.isnan().any()):
        raise NonFinite(f"The model gives a code that is not finite for item {int(places[bad[0, 0]])}. {GAPS}")
    return codes


def decoded(model: Autoencoder, codes: Tensor, shapes: Tensor) -> Ragged:
    """What codes (n, L) stand for on grids (n, k), in the units of the kind's Ragged, on the CPU."""
    codes = codes.to(device_of(model))
    return _in_batches(model, shapes, lambda part: model.mode(codes[part.to(codes.device)], shapes[part]))


def _in_batches(model: Autoencoder, shapes: Tensor, make: Callable[[Tensor], Ragged]) -> Ragged:
    """What `make` gives for places (b,) of the grids (n, k), portion by portion, in the items' order on the CPU."""
    order, made = list(portions(model, shapes)), []
    with evaluation(model):
        for part in order:
            found = make(part).to("cpu")
            _check_finite(found, part)
            made.append(found)
    together = Ragged(torch.cat([part.values for part in made]), torch.cat([part.shapes for part in made]))
    return together.take(torch.cat(order).argsort())


def _check_finite(made: Ragged, places: Tensor) -> None:
    rows = (~made.values.isfinite()).nonzero()[:, 0]
    if len(rows):
        item = int(places[made.owners[rows[0]]])
        raise NonFinite(
            f"Item {item} comes back with a number that is not finite: its code is far from every item's, or the "
            "model's weights are damaged."
        )


def _joined(made: Ragged, owners: Tensor, items: int) -> Ragged:
    """Windows of one item lie one after the other: as the one grid that they were cut from, along its first axis."""
    if len(made) == items:
        return made
    shapes = torch.zeros(items, made.shapes.shape[1], dtype=torch.long)
    shapes[owners] = made.shapes
    shapes[:, 0] = torch.zeros(items, dtype=torch.long).index_add(0, owners, made.shapes[:, 0])
    return Ragged(made.values, shapes)


def checked_codes(codes: ArrayLike, width: int) -> Tensor:
    """Codes as (n, width) float32; BadInput for what is none."""
    given = codes.detach().cpu() if isinstance(codes, Tensor) else np.array(codes)
    try:
        points = torch.as_tensor(given, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        raise BadInput(f"Codes are rows of {width} numbers, which this {type(codes).__name__} is not.") from None
    if points.dim() != 2 or points.shape[1] != width:
        raise BadInput(f"Codes of this model are of shape (n, {width}), not {tuple(points.shape)}.")
    bad = (~points.isfinite().all(dim=1)).nonzero()
    if len(bad):
        raise BadInput(f"Code {int(bad[0])} holds a number that is not finite: decode takes what encode gives.")
    return points


def _grids(asked: ArrayLike | None, count: int, form: Form) -> Tensor:
    """The grids (n, k) asked for, checked against the one that all items of the model have."""
    axes = form.dimensions
    if asked is None:
        if form.longest:
            return torch.full((count, axes), form.longest)
        return torch.tensor(form.shape or form.usual).expand(count, axes)
    try:
        given = np.asarray(asked)
    except ValueError:  # rows of different lengths
        given = np.empty(0)
    if axes == 1 and given.shape in ((), (count,)):
        given = given.reshape(-1, 1)
    if given.shape not in ((axes,), (1, axes), (count, axes)) or given.dtype.kind not in "iu" or (given < 1).any():
        raise BadInput(f"Sizes are {count} times {axes} whole numbers above 0, or one size for all; these are not.")
    if form.shape is not None and (given != np.array(form.shape)).any():
        raise BadInput(
            f"Every item of this model is {' × '.join(map(str, form.shape))}: it makes none of another size."
        )
    return torch.from_numpy(given.astype(np.int64)).expand(count, axes)


def _from_mixture(codes: Tensor, count: int, seed: int, components: int) -> Tensor:
    """Draws from Gaussians fitted to codes (m, L); fewer of them where codes are few."""
    if len(codes) < 2:
        raise BadInput(f"A mixture is fitted to at least 2 codes, not {len(codes)}: hand in more data.")
    # In units of the codes' own spread, so that scikit-learn's small addition to the variances is small for any space.
    centre, spread = codes.double().mean(0), codes.double().std().clamp(min=1e-12)
    mixture = GaussianMixture(min(components, len(codes.unique(dim=0))), random_state=key(seed, "mixture") % 2**32)
    mixture.fit(((codes - centre) / spread).numpy())
    luck = Draws(seed).uniform("component", torch.arange(count)).double().numpy()
    chosen = mixture.weights_.cumsum()[:-1].searchsorted(luck, side="right")
    factors = torch.from_numpy(np.linalg.cholesky(mixture.covariances_))[chosen]
    noise = Draws(seed).normal("sample", torch.arange(count), codes.shape[1]).double()
    drawn = torch.from_numpy(mixture.means_)[chosen] + (factors @ noise[:, :, None]).squeeze(2)
    return (drawn * spread + centre).float()
