"""Items to vectors, in memory: sorted by length, cut by a token budget, every vector checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raw2vec.engines.base import Engine
from raw2vec.engines.pytorch import PyTorch, autocast
from raw2vec.errors import BadInput, EmptyTextWarning, NonFinite, NumberedList, TruncationWarning, called, spared
from raw2vec.models import AnyModel, Autoencoder
from raw2vec.ragged import Ragged
from raw2vec.raw import FILES_AT_ONCE, Raw
from raw2vec.use.base import empty
from raw2vec.workers import side_by_side

GAPS = (
    "The item has gaps (NaN), and the model was made without any: fill them, or fit with --set embedding.missing=flag."
)


@dataclass(frozen=True)
class Encoded:
    """n vectors (n, L) float32, the tokens or elements of each item (n,), and how many of them were cut off (n,).

    empty: the places of texts without anything to read, whose vectors are zeros.
    """

    vectors: NDArray[np.float32]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.int64]
    empty: Sequence[int] = ()


def encode(
    model: AnyModel,
    raw: Raw,
    items: Sequence[Any],
    *,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    precision: torch.dtype = torch.float32,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Encoded:
    """The items' vectors in their own order. An item of several windows gives the mean of theirs, weighted by tokens.

    An empty text gives zeros, which are like nothing: their cosine with any vector is 0. Where there is a decoder it
    gives what the model makes of it, which leads back to it.
    engine: what runs the model; none: PyTorch, in this precision.
    An item that cannot be read gives zeros as well where the items have a place to note it. Files are read some at a
    time. Raises NonFinite with the item's number where a vector is not finite, after a second try in float32.
    """
    if raw.files and len(items) > FILES_AT_ONCE and not isinstance(items[0], np.ndarray):
        numbers = items if isinstance(items, NumberedList) else NumberedList(range(len(items)), items)
        parts = [numbers.part(start, start + FILES_AT_ONCE) for start in range(0, len(items), FILES_AT_ONCE)]
        options: dict[str, Any] = {"batch_size": batch_size, "batch_tokens": batch_tokens, "precision": precision}
        options |= {"engine": engine}
        return _joined([encode(model, raw, part, **options, progress=progress) for part in parts])
    windows, engine = raw.windows(items), engine or PyTorch(model, precision)
    vectors = torch.zeros(len(items), model.latent.width)
    weights = torch.zeros(len(items))
    rows = model.embedding.grids(windows.ragged.shapes).prod(dim=1)
    places = list(engine.batches(rows, batch_tokens, batch_size))
    work = side_by_side(lambda part: engine.run(windows.ragged.take(part)), places, engine.workers)
    with evaluation(model), closing(work) as made:
        for part, found in zip(places, made, strict=True):
            owners, lengths = windows.owners[part], windows.ragged.lengths[part].float()
            if not bool(found.isfinite().all()):
                found = _again(model, engine, windows.ragged.take(part), owners, items)
            vectors.index_add_(0, owners, found * lengths[:, None])
            weights.index_add_(0, owners, lengths)
            progress(len(part), len(windows.owners))
    if len(windows.owners) > len(items):
        vectors = model.latent.normalized(vectors / weights[:, None])
    else:
        vectors = vectors / weights[:, None] if len(items) else vectors
    blank = [] if isinstance(model, Autoencoder) else empty(items)
    vectors[[*blank, *spared(items)]] = 0
    return Encoded(vectors.numpy(), np.asarray(windows.tokens), np.asarray(windows.truncated), blank)


def _joined(parts: Sequence[Encoded]) -> Encoded:
    """What files gave, which are never empty texts."""
    vectors, tokens, cut = zip(*((part.vectors, part.tokens, part.truncated) for part in parts), strict=True)
    return Encoded(np.concatenate(vectors), np.concatenate(tokens), np.concatenate(cut))


def warn(found: Encoded, raw: Raw) -> None:
    """Says once how many texts were cut, and how many are empty; called by the method that a user's method called."""
    if cut := int((found.truncated > 0).sum()):
        limit = raw.settings.get("max_tokens", "so many")
        warnings.warn(
            f"{cut} of {len(found.vectors)} texts are longer than {limit} tokens and were cut; encoded(…).truncated "
            "tells which. A recipe with raw.long=chunk pools over all of a text.",
            TruncationWarning,
            stacklevel=4,
        )
    if found.empty:
        told = f"{len(found.empty)} of {len(found.vectors)} texts {'is' if len(found.empty) == 1 else 'are'} empty"
        warnings.warn(
            f"{told} (the first is item {found.empty[0]}) and got a vector of zeros, which is like no other; "
            "encoded(…).empty tells which.",
            EmptyTextWarning,
            stacklevel=4,
        )


def features(
    model: AnyModel, raw: Raw, items: Sequence[Any], layer: int, *, precision: torch.dtype = torch.float32
) -> list[NDArray[np.float32]]:
    """The states of one layer, (*grid, D) for each item; layer 0 is the encoder's input, -1 its last states.

    BadInput for a layer that is not there.
    """
    windows = raw.windows(items)
    device = next(model.parameters()).device
    found: list[list[Tensor]] = [[] for _ in items]
    with evaluation(model), autocast(device, precision):
        for part in Ragged(windows.ragged.values, windows.ragged.shapes).split(64):
            place = sum(map(len, found))
            states = model.states(part.to(device))
            if layer not in range(-len(states), len(states)):
                last = len(states) - 1
                raise BadInput(f"There is no layer {layer}: 0 is the encoder's input, {last} (or -1) its last states.")
            for owner, state in zip(
                windows.owners[place : place + len(part)].tolist(), states[layer].items(), strict=True
            ):
                found[owner].append(state.float().cpu())
    return [torch.cat(parts).numpy() for parts in found]


@contextmanager
def evaluation(model: torch.nn.Module) -> Iterator[None]:
    """Within the block the model is in evaluation mode and no gradients are kept; afterwards it is as it was."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def _again(model: AnyModel, engine: Engine, windows: Ragged, owners: Tensor, items: Sequence[Any]) -> Tensor:
    """The vectors once more, by PyTorch in float32 where the model is there; NonFinite where they stay as they are."""
    vectors = (engine if engine.alone else PyTorch(model)).run(windows)
    bad = (~vectors.isfinite().all(dim=1)).nonzero().squeeze(1)
    if len(bad):
        named = called(items, *owners[bad].unique().tolist()[:5])
        gaps = windows.values.is_floating_point() and bool(windows.values.isnan().any())
        reason = GAPS if gaps else "Its weights may be damaged."
        raise NonFinite(f"The model gives a vector that is not finite for {named}, in float32 too. {reason}")
    return vectors
