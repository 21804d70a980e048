"""Seeded views and corruptions of a batch, item by item: no crop, drop, mask or noise depends on batch mates."""

from typing import NamedTuple

import torch
from torch import Tensor

from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws, as_normal


class Masked(NamedTuple):
    """Corrupted ids, and which rows (M,) are to be predicted."""

    ids: Ragged
    rows: Tensor


def mask(
    ids: Ragged, items: Tensor, draws: Draws, *, rate: float, mask_id: int, ordinary: range, purpose: str = "mask"
) -> Masked:
    """BERT's corruption (Devlin et al. 2019, section 3.1) of token ids (N,), keyed by the items' numbers (B,).

    A share `rate` of the ordinary tokens is chosen; of these 80% become `mask_id`, 10% another ordinary token and 10%
    stay. An item whose draw chose nothing gives up its likeliest token, so that even a one-word item teaches.
    """
    chance = draws.uniform(purpose, items, ids.lengths)
    eligible = _ordinary(ids, ordinary)
    chance = torch.where(eligible, chance, 2.0)
    chosen = eligible & ((chance < rate) | (chance == _lowest(chance, ids)[ids.owners]))
    rows = chosen.nonzero().squeeze(1)
    fate = draws.uniform(f"{purpose}: fate", items, ids.lengths)[rows]
    other = draws.uniform(f"{purpose}: other", items, ids.lengths)[rows]
    random_ids = (ordinary.start + other * len(ordinary)).long()
    new = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, random_ids, ids.values[rows]))
    return Masked(ids.replace(ids.values.index_copy(0, rows, new)), rows)


def crop(
    ids: Ragged, items: Tensor, draws: Draws, *, shares: tuple[float, float], ordinary: range, purpose: str = "crop"
) -> Ragged:
    """A contiguous part of each item, its length a share of the whole drawn between `shares`; special ids stay."""
    low, high = shares
    lengths = ids.lengths.to(ids.values.device)
    size = (lengths * (low + (high - low) * draws.uniform(f"{purpose}: size", items))).ceil().clamp(min=1)
    start = ((lengths - size + 1) * draws.uniform(f"{purpose}: start", items)).floor()
    inside = (ids.places >= start[ids.owners]) & (ids.places < (start + size)[ids.owners])
    return keep(ids, inside | ~_ordinary(ids, ordinary))


def drop(ids: Ragged, items: Tensor, draws: Draws, *, rate: float, ordinary: range, purpose: str = "drop") -> Ragged:
    """Each ordinary token left out with chance `rate`; an item that would lose all of them keeps its luckiest one."""
    chance = draws.uniform(purpose, items, ids.lengths)
    candidates = torch.where(_ordinary(ids, ordinary), 1 - chance, 2.0)
    luckiest = _lowest(candidates, ids)
    return keep(ids, (chance >= rate) | ~_ordinary(ids, ordinary) | (candidates == luckiest[ids.owners]))


def add_noise(values: Ragged, items: Tensor, draws: Draws, *, deviation: float, purpose: str = "noise") -> Ragged:
    """Normal noise of this deviation on each of the numbers (N, …); what is missing stays missing.

    Pixels, uint8, count as 255ths: a deviation of 0.1 is 25 steps of grey. They stay uint8, within their range.
    """
    noise = deviation * as_normal(_uniform_each(values, items, draws, purpose))
    if values.values.dtype != torch.uint8:
        return values.replace(values.values + noise.to(values.values.dtype))
    return values.replace((values.values + 255 * noise).round().clamp(0, 255).to(torch.uint8))


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


def keep(ids: Ragged, rows: Tensor) -> Ragged:
    """The sequences with only these rows, (N,) bool. No item may lose all of its rows."""
    counts = torch.zeros(len(ids), dtype=torch.long).index_add(0, ids.owners.cpu(), rows.long().cpu())
    return Ragged(ids.values[rows], counts[:, None])


def _uniform_each(values: Ragged, items: Tensor, draws: Draws, purpose: str) -> Tensor:
    """A draw for every number of the values, of their shape (N, …)."""
    channels = values.values.shape[1:].numel()
    return draws.uniform(purpose, items, values.lengths * channels).view(values.values.shape)


def _ordinary(ids: Ragged, ordinary: range) -> Tensor:
    return (ids.values >= ordinary.start) & (ids.values < ordinary.stop)


def _lowest(values: Tensor, ids: Ragged) -> Tensor:
    """Each item's lowest value, (B,)."""
    infinity = values.new_full((len(ids),), float("inf"))
    return infinity.scatter_reduce(0, ids.owners, values, "amin")
