"""Seeded views and corruptions of token ids, item by item: masks, crops and drops."""

from typing import NamedTuple

import torch
from torch import Tensor

from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


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


def unmerge(ids: Ragged, items: Tensor, draws: Draws, *, rate: float, merges: Tensor, purpose: str) -> Ragged:
    """Each token taken apart, with chance `rate`, into the two it was merged of, and these again, three times at most.

    merges (V, 2): the two tokens of each, -1 where there are none.
    """
    new = torch.ones_like(ids.values, dtype=torch.bool)  # only what has just come apart is drawn for again
    for again in range(3):
        halves = merges[ids.values]
        apart = new & (halves[:, 0] >= 0) & (draws.uniform(f"{purpose} {again}", items, ids.lengths) < rate)
        if not bool(apart.any()):
            break
        counts = 1 + apart.long()
        values, new = (part.repeat_interleave(counts) for part in (torch.where(apart, halves[:, 0], ids.values), apart))
        values[(counts.cumsum(0) - 1)[apart]] = halves[apart, 1]
        longer = torch.zeros(len(ids), dtype=torch.long).index_add(0, ids.owners.cpu(), counts.cpu())
        ids = Ragged(values, longer[:, None])
    return ids


def keep(ids: Ragged, rows: Tensor) -> Ragged:
    """The sequences with only these rows, (N,) bool. No item may lose all of its rows."""
    counts = torch.zeros(len(ids), dtype=torch.long).index_add(0, ids.owners.cpu(), rows.long().cpu())
    return Ragged(ids.values[rows], counts[:, None])


def _ordinary(ids: Ragged, ordinary: range) -> Tensor:
    return (ids.values >= ordinary.start) & (ids.values < ordinary.stop)


def _lowest(values: Tensor, ids: Ragged) -> Tensor:
    """Each item's lowest value, (B,)."""
    infinity = values.new_full((len(ids),), float("inf"))
    return infinity.scatter_reduce(0, ids.owners, values, "amin")
