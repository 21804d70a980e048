"""Seeded views and corruptions of numbers on grids, item by item: spans, speeds, noise, gaps and distortions."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from raw2vec.augmentation.base import alike, slow_waves
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws, as_normal


def add_noise(values: Ragged, items: Tensor, draws: Draws, *, deviation: float, purpose: str = "noise") -> Ragged:
    """Normal noise of this deviation on each of the numbers (N, …); what is missing stays missing.

    Pixels, uint8, count as 255ths: a deviation of 0.1 is 25 steps of grey. They stay uint8, within their range.
    """
    noise = deviation * as_normal(_uniform_each(values, items, draws, purpose))
    if values.values.dtype != torch.uint8:
        return values.replace(values.values + noise.to(values.values.dtype))
    return values.replace((values.values + 255 * noise).round().clamp(0, 255).to(torch.uint8))


def crop_span(
    values: Ragged, items: Tensor, draws: Draws, *, shares: tuple[float, float], purpose: str = "crop"
) -> Ragged:
    """A span of each item along its first axis (time), its length a share of the whole drawn between `shares`.

    The other axes stay whole: of a spectrogram (frames, bands) some frames in a row with all of their bands.
    """
    low, high = shares
    size, start = span_of(values.shapes[:, 0], items, draws, low, high, purpose)
    return span(values, size, start)


def change_speed(values: Ragged, items: Tensor, draws: Draws, *, factor: float, purpose: str = "speed") -> Ragged:
    """Each item resampled along its first axis (time), its length times a factor drawn between 1 / factor and factor.

    The first row and the last stay what they are; a row between two of the item's lies on the straight line.
    """
    device, lengths = values.values.device, values.shapes[:, 0]
    speeds = factor ** (2 * draws.uniform(purpose, items).cpu() - 1)
    length = (lengths * speeds).round().long().clamp(min=1)
    made = Ragged.bare(torch.cat([length[:, None], values.shapes[:, 1:]], dim=1), device)
    last = (lengths - 1).to(device)[made.owners]
    steps = ((lengths - 1) / (length - 1).clamp(min=1)).to(device)
    place = made.coordinates[:, 0] * steps[made.owners]
    before, after = place.long().minimum(last), (place.long() + 1).minimum(last)
    left, right = (
        values.values[values.rows_at(made.owners, torch.cat([row[:, None], made.coordinates[:, 1:]], dim=1))]
        for row in (before, after)
    )
    return made.replace(torch.lerp(left, right, (place - before).to(left.dtype)[:, None]))


def rescale(
    values: Ragged, items: Tensor, draws: Draws, *, scaling: float, shift: float, purpose: str = "scale"
) -> Ragged:
    """Each channel of an item times a factor e^z and moved by an amount: one draw an item and channel.

    z is normal of deviation `scaling`, the amount of deviation `shift`; moving log-power is a change of gain.
    """
    channels, dtype = values.values.shape[1], values.values.dtype
    factors = (scaling * draws.normal(f"{purpose}: factor", items, channels)).exp().to(dtype)
    amounts = (shift * draws.normal(f"{purpose}: shift", items, channels)).to(dtype)
    return values.replace(values.values * values.spread(factors) + values.spread(amounts))


def blank_spans(values: Ragged, items: Tensor, draws: Draws, *, rate: float, purpose: str = "blank") -> Ragged:
    """One span along each axis at zero, its length a share of that axis drawn between 0 and `rate`.

    Of a spectrogram some frames and some bands (SpecAugment; Park et al. 2019).
    """
    hidden = torch.zeros(len(values.values), dtype=torch.bool, device=values.values.device)
    for axis in range(values.shapes.shape[1]):
        lengths, where = values.shapes[:, axis], f"{purpose} along axis {axis}"
        size, start = span_of(lengths, items, draws, 0.0, rate, where, least=0)
        hidden |= _within(values, axis, size, start)
    return values.replace(values.values.masked_fill(hidden[:, None], 0.0))


def hide(values: Ragged, items: Tensor, draws: Draws, *, rate: float, purpose: str = "hide") -> Ragged:
    """Each of the numbers (N, …) missing with chance `rate`: NaN, or black where they are pixels, uint8."""
    hidden = _uniform_each(values, items, draws, purpose) < rate
    return values.replace(values.values.masked_fill(hidden, 0 if values.values.dtype == torch.uint8 else torch.nan))


def move(values: Ragged, items: Tensor, draws: Draws, *, reach: int, purpose: str = "move") -> Ragged:
    """Each item's content up to `reach` rows further or back along every axis of its grid; the edge is drawn out.

    One whole number an item and axis, all equally likely.
    """
    axes = values.shapes.shape[1]
    luck = torch.stack([draws.uniform(f"{purpose} along axis {axis}", items) for axis in range(axes)], dim=1)
    by = ((2 * reach + 1) * luck).long() - reach
    largest = values.spread(values.shapes.to(by.device)) - 1
    source = (values.coordinates - values.spread(by)).clamp(min=0).minimum(largest)
    place = values.offsets[:-1].to(by.device)[values.owners]
    for axis in range(axes):
        place = place + source[:, axis] * (largest[:, axis + 1 :] + 1).prod(dim=1)
    return values.replace(values.values[place])


def bend(values: Ragged, items: Tensor, draws: Draws, *, by: float, purpose: str = "bend") -> Ragged:
    """Each item seen through a smooth distortion of its grid: every row moved by about `by` rows along every axis.

    How far, a deviation, is a sum of the three slowest cosines of each axis, so that whole parts shift, turn, grow and
    lean a little (elastic distortions; Simard et al. 2003, in the field's slowest waves). What is read between rows is
    interpolated, and edges are drawn out. Pixels, uint8, stay uint8. BadInput for tokens, between which nothing is.
    """
    if values.values.dtype != torch.uint8 and not values.values.is_floating_point():
        raise BadInput("Only pixels and numbers can be bent; these are tokens: set bend to 0.")
    if not len(values.values):
        return values
    axes = range(values.shapes.shape[1])
    heights = torch.stack([draws.normal(f"{purpose} along axis {axis}", items, 3 ** len(axes)) for axis in axes])
    dtype = values.values.dtype
    moves = by * slow_waves(values, heights.to(torch.promote_types(dtype, torch.float32)))
    found = _resampled(values, moves) if len(axes) == 2 and alike(values) else _between_rows(values, moves)
    return values.replace((found.round() if dtype == torch.uint8 else found).to(dtype))


def _resampled(values: Ragged, moves: Tensor) -> Tensor:
    """As `_between_rows`, for planes of one size, by a kernel four times as fast on a CPU (torch 2.13)."""
    size = values.shapes[0].to(moves.device)
    shape = (len(values), *values.shapes[0].tolist())
    planes = values.values.to(moves.dtype).unflatten(0, shape).permute(0, 3, 1, 2)
    one = Ragged.bare(values.shapes[:1], moves.device).coordinates.unflatten(0, shape[1:])
    at_home = (2 * one + 1) / size - 1  # edges at -1 and 1
    places = torch.addcmul(at_home, moves.unflatten(0, shape), 2 / size)
    found = grid_sample(planes, places.flip(-1), padding_mode="border", align_corners=False)
    return found.permute(0, 2, 3, 1).flatten(0, 2)


def _between_rows(values: Ragged, moves: Tensor) -> Tensor:
    """What stands as far as `moves` (N, k) from each row within its own item, linearly from the 2 ** k around."""
    largest = values.spread(values.shapes.to(moves.device)) - 1
    places = (values.coordinates + moves).clamp(min=0).minimum(largest)
    before = places.long()
    beyond = (places - before)[:, :, None]
    rows_an_axis = [(largest[:, axis + 1 :] + 1).prod(dim=1) for axis in range(places.shape[1])]
    steps = torch.stack(rows_an_axis, dim=1) * (before < largest)

    def between(rows: Tensor, axis: int) -> Tensor:
        if axis == places.shape[1]:
            return values.values.index_select(0, rows).to(moves.dtype)
        near, far = between(rows, axis + 1), between(rows + steps[:, axis], axis + 1)
        return torch.lerp(near, far, beyond[:, axis])

    return between(values.rows_at(values.owners, before), 0)


def hidden_rows(rows: Ragged, items: Tensor, draws: Draws, *, rate: float, purpose: str = "hidden rows") -> Tensor:
    """Which rows are hidden, (N,) bool: of each item a share `rate` of them, rounded, those with the lowest draws.

    One at least is hidden and one at least is left, so that an item of two rows or more teaches; of a single row
    nothing is hidden.
    """
    lengths = rows.lengths
    counts = (rate * lengths).round().long().clamp(min=1).minimum((lengths - 1).clamp(min=0))
    by_draw = draws.uniform(purpose, items, lengths).argsort(stable=True)
    # Stable again: items stay where they are, and within each its rows stand from the lowest draw to the highest.
    order = by_draw[rows.owners[by_draw].argsort(stable=True)]
    ranked = rows.places < counts.to(order.device)[rows.owners]
    return torch.empty_like(ranked).index_copy(0, order, ranked)


def span_of(
    lengths: Tensor, items: Tensor, draws: Draws, low: float, high: float, purpose: str, least: int = 1
) -> tuple[Tensor, Tensor]:
    """The size of a span, drawn between the shares `low` and `high` of each length (B,), and where it starts.

    It has at least so many rows, where the item has. Both on the CPU, as lengths are.
    """
    luck, place = (draws.uniform(f"{purpose}: {what}", items).cpu() for what in ("size", "start"))
    size = (lengths * (low + (high - low) * luck)).round().long().clamp(min=least).minimum(lengths)
    return size, ((lengths - size + 1) * place).long()


def span(values: Ragged, size: Tensor, start: Tensor) -> Ragged:
    """The rows of each item from `start` (B,) on along its first axis, `size` (B,) of them, other axes whole."""
    shapes = torch.cat([size[:, None], values.shapes[:, 1:]], dim=1)
    return Ragged(values.values[_within(values, 0, size, start)], shapes)


def _within(values: Ragged, axis: int, size: Tensor, start: Tensor) -> Tensor:
    """Which rows lie within their item's span along the axis, (N,) bool."""
    along, owners = values.coordinates[:, axis], values.owners
    first, end = start.to(along.device)[owners], (start + size).to(along.device)[owners]
    return (along >= first) & (along < end)


def _uniform_each(values: Ragged, items: Tensor, draws: Draws, purpose: str) -> Tensor:
    """A draw for every number of the values, of their shape (N, …)."""
    channels = values.values.shape[1:].numel()
    return draws.uniform(purpose, items, values.lengths * channels).view(values.values.shape)
