"""The one shape everything flows in: items of different sizes, end to end, with no padding between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Group(NamedTuple):
    """The items of one length T: `items` (b,) their places in the batch, `rows` (b, T) their rows among the values."""

    items: Tensor
    rows: Tensor


def sent(values: Tensor, device: torch.device | str) -> Tensor:
    """The values on `device`; on the way to a GPU, without waiting for it to be done with all else."""
    if torch.device(device).type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Ragged:
    """B items laid end to end: values (N, …) and shapes (B, k), where N is the sum of the shapes' products.

    A sequence is a grid of one dimension (k = 1), a picture a grid of two. The shapes stay on the CPU whatever the
    values' device, so that control flow never waits for a GPU.
    """

    values: Tensor
    shapes: Tensor

    @classmethod
    def of(cls, items: Sequence[Tensor], dimensions: int = 1) -> Ragged:
        """Items, each (*grid, …) with a grid of `dimensions` axes, laid end to end. At least one item is needed."""
        shapes = torch.tensor([item.shape[:dimensions] for item in items], dtype=torch.long)
        return cls(torch.cat([item.flatten(0, dimensions - 1) for item in items]), shapes)

    @classmethod
    def from_padded(cls, padded: Tensor, lengths: Tensor) -> Ragged:
        """The first lengths[b] rows of each padded[b]: (B, T, …) and (B,) to a Ragged of sequences."""
        lengths = lengths.cpu()
        inside = torch.arange(padded.shape[1]) < lengths[:, None]
        return cls(padded[inside.to(padded.device)], lengths[:, None])

    @classmethod
    def bare(cls, shapes: Tensor, device: torch.device) -> Ragged:
        """Grids (B, k) with nothing on them yet: values (N, 0) on `device`."""
        return cls(torch.empty(int(shapes.prod(dim=1).sum()), 0, device=device), shapes)

    @classmethod
    def row(cls, values: Tensor, place: int) -> Ragged:
        """One row (B, …) of each of B sequences, all at the same place of theirs."""
        places = torch.full((len(values),), place, device=values.device)
        return cls.placed(values, torch.ones(len(values), 1, dtype=torch.long), places)

    @classmethod
    def placed(cls, values: Tensor, lengths: Tensor, places: Tensor) -> Ragged:
        """Rows (N, …) of sequences (B, 1) that stand at `places` (N,) of theirs, where these are not simply in turn."""
        made = cls(values, lengths)
        made.__dict__.update(places=places, coordinates=places[:, None])
        return made

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def lengths(self) -> Tensor:
        """Rows of each item, (B,) int64 on the CPU."""
        return self.shapes.prod(dim=1)

    @cached_property
    def length(self) -> int | None:
        """The rows of every item, where all have as many: then the values are a rectangle (B, length, …)."""
        first = int(self.lengths[0]) if len(self) else 0
        return first if first and bool((self.lengths == first).all()) else None

    @cached_property
    def offsets(self) -> Tensor:
        """Where each item starts, and the end: (B + 1,) int64 on the CPU."""
        return torch.cat([torch.zeros(1, dtype=torch.long), self.lengths.cumsum(0)])

    @cached_property
    def owners(self) -> Tensor:
        """The item each row belongs to, (N,) int64 on the values' device."""
        return sent(self._repeated(torch.arange(len(self))), self.values.device)

    @cached_property
    def places(self) -> Tensor:
        """Each row's place within its own item, (N,) int64 on the values' device."""
        within = torch.arange(int(self.offsets[-1])) - self._repeated(self.offsets[:-1])
        return sent(within, self.values.device)

    @cached_property
    def coordinates(self) -> Tensor:
        """Each row's place along every axis of its own item's grid, the last axis fastest: (N, k) int64."""
        rest, found = self.places, []
        for sizes in reversed(self.shapes.unbind(1)[1:]):
            along = sent(self._repeated(sizes), rest.device)
            found.append(rest % along)
            rest = rest // along
        return torch.stack([rest, *reversed(found)], dim=1)

    @cached_property
    def groups(self) -> list[Group]:
        """The items gathered by length, shortest first: what lets attention run on plain rectangles."""
        lengths, found = self.lengths.unique(return_inverse=True)
        groups = []
        for place, length in enumerate(lengths.tolist()):
            items = (found == place).nonzero().squeeze(1)
            rows = self.offsets[items, None] + torch.arange(length)
            groups.append(Group(items.to(self.values.device), rows.to(self.values.device)))
        return groups

    def replace(self, values: Tensor) -> Ragged:
        """Other values (N, …) over the same items; what was worked out about the shapes is kept."""
        other = Ragged(values, self.shapes)
        for known in ("lengths", "length", "offsets", "owners", "places", "coordinates", "groups", "slots"):
            if known in self.__dict__:
                other.__dict__[known] = self.__dict__[known]
        return other

    def _repeated(self, per_item: Tensor) -> Tensor:
        # NumPy's repeat: torch's wakes every thread, which takes longer than the copying (torch 2.13).
        return torch.from_numpy(np.repeat(per_item.numpy(), self.lengths.numpy()))

    def to(self, device: torch.device | str) -> Ragged:
        """The values on `device`; the shapes stay where they are."""
        return Ragged(sent(self.values, device), self.shapes)

    def items(self) -> list[Tensor]:
        """Each item by itself, (*grid, …)."""
        parts = self.values.split(self.lengths.tolist())
        return [part.unflatten(0, tuple(shape)) for part, shape in zip(parts, self.shapes.tolist(), strict=True)]

    def take(self, items: Tensor) -> Ragged:
        """The items at these places, in this order."""
        items = items.cpu()
        if self.length:  # whole items at a time, ten times as fast as row by row
            rectangle = self.values.unflatten(0, (len(self), self.length))
            taken = rectangle.index_select(0, items.to(self.values.device))
            return Ragged(taken.flatten(0, 1), self.shapes[items])
        lengths = self.lengths[items]
        ends = lengths.cumsum(0)
        starts = np.repeat((self.offsets[items] - ends + lengths).numpy(), lengths.numpy())
        rows = torch.arange(len(starts)) + torch.from_numpy(starts)
        return Ragged(self.values[rows.to(self.values.device)], self.shapes[items])

    def only(self, rows: Tensor) -> Ragged:
        """These rows (N,) bool alone, as sequences (shapes (B, 1)): each still tells its true place in the whole item.

        `places` and `coordinates` are those from before, as long as rows are replaced and not taken or split again.
        """
        counts = torch.zeros(len(self), dtype=torch.long).index_add(0, self.owners.cpu(), rows.long().cpu())
        part = Ragged(self.values[rows], counts[:, None])
        part.__dict__.update(places=self.places[rows], coordinates=self.coordinates[rows])
        return part

    def rows_at(self, items: Tensor, coordinates: Tensor) -> Tensor:
        """The rows (M,) that stand at these coordinates (M, k) of these items' grids (M,), on the values' device."""
        sizes, within = self.shapes.to(self.values.device)[items], torch.zeros_like(items)
        for axis, along in enumerate(coordinates.unbind(1)):
            within = within * sizes[:, axis] + along
        return self.offsets.to(self.values.device)[items] + within

    def split(self, size: int) -> list[Ragged]:
        """Consecutive parts of at most `size` items."""
        shapes = self.shapes.split(size)
        values = self.values.split([int(part.prod(dim=1).sum()) for part in shapes])
        return [Ragged(*part) for part in zip(values, shapes, strict=True)]

    def spread(self, per_item: Tensor) -> Tensor:
        """One row an item, (B, …), repeated over the item's rows: (N, …)."""
        return per_item[self.owners]

    def padded(self, fill: float = 0.0) -> Tensor:
        """Sequences as a rectangle (B, T, …), short ones filled up. Only kernels use it, inside themselves."""
        longest = int(self.lengths.max())
        rectangle = self.values.new_full((len(self) * longest, *self.values.shape[1:]), fill)
        return rectangle.index_copy(0, self.slots, self.values).unflatten(0, (len(self), longest))

    def unpadded(self, rectangle: Tensor) -> Tensor:
        """The way back from `padded`: the real rows (N, …) of a rectangle (B, T, …)."""
        return rectangle.flatten(0, 1).index_select(0, self.slots)

    @cached_property
    def slots(self) -> Tensor:
        """Where each row stands among the rows of `padded`, (N,) int64 on the values' device."""
        return self.owners * int(self.lengths.max()) + self.places

    def inside(self) -> Tensor:
        """True where `padded` holds a real row: (B, T) bool on the values' device."""
        inside = torch.arange(int(self.lengths.max())) < self.lengths[:, None]
        return inside.to(self.values.device)

    def sum(self) -> Tensor:
        """The sum of each item's rows, (B, …), added up in float32 or wider."""
        if self.length == 1:
            return self.values
        wide = self.values.to(torch.promote_types(self.values.dtype, torch.float32))
        if self.length:  # thirty times as fast as adding row by row (torch 2.13)
            return wide.unflatten(0, (len(self), self.length)).sum(dim=1).to(self.values.dtype)
        total = wide.new_zeros(len(self), *wide.shape[1:])
        return total.index_add(0, self.owners, wide).to(self.values.dtype)

    def mean(self) -> Tensor:
        """The mean of each item's rows, (B, D), for values (N, D). An item of no rows gives zeros."""
        if self.length:
            return self.values if self.length == 1 else self.sum() / self.length
        counts = sent(self.lengths.clamp(min=1), self.values.device)[:, None]
        return self.sum() / counts.to(self.values.dtype)

    def max(self) -> Tensor:
        """The largest of each item's rows, column by column, (B, D), for values (N, D); zeros where there are none."""
        rows = torch.arange(len(self.values), device=self.values.device)
        return embedding_bag(rows, self.values, sent(self.offsets[:-1], self.values.device), mode="max")
