"""What a transformer keeps of the rows that it has written: they stay where they are, whoever goes on from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST = 16  # rows that there is room for at first; then twice as many as are needed


@dataclass(frozen=True)
class Past:
    """Keys and values of all rows so far of B items, of each of which there are K drafts side by side.

    A beam's drafts change places at every row, and to move their rows along was an eighth of its time. So the drafts
    of an item look at the rows of all of them, and `own` (B, K, count) says whose these are: 0 for what a draft has
    come by, -inf for the rest; None where there is but one draft. rooms: keys, then values, of each layer in turn,
    (B, heads, room, W), of which the first `count` rows are filled. It is gone on from once: what comes next is
    written into the same room.
    """

    rooms: list[Tensor]
    count: int = 0
    own: Tensor | None = None

    @classmethod
    def none(cls, cross: Tensor, layers: int) -> Past:
        """No rows yet, of heads like those that look at the memory (B, 2, heads, S, W)."""
        return cls([cross.new_empty(len(cross), cross.shape[2], 0, cross.shape[4]) for _ in range(2 * layers)])

    def longer(self) -> Past:
        """With an unwritten row more for each draft, the last ones."""
        wide = 1 if self.own is None else self.own.shape[1]
        count = self.count + wide
        rooms = self.rooms if count <= self.rooms[0].shape[2] else [self._roomier(room, count) for room in self.rooms]
        if self.own is None:
            return Past(rooms, count)
        newest = self.own.new_full((wide, wide), float("-inf")).fill_diagonal_(0.0)
        return Past(rooms, count, torch.cat((self.own, newest.expand(len(self.own), -1, -1)), dim=2))

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """The keys and the values of a layer, (B, heads, count, W), to be read and the last to be written."""
        keys, values = (room[:, :, : self.count] for room in self.rooms[2 * number : 2 * number + 2])
        return keys, values

    def take(self, drafts: Tensor, items: Tensor | None, changed: Tensor | None) -> Past:
        """These drafts (n,) of these items; see Kept.take and `settled`."""
        rooms = self.rooms if items is None else [settled(room, items, changed) for room in self.rooms]
        count, own = len(rooms[0]), self.own
        if own is None and len(drafts) == count:
            return Past(rooms, self.count)
        if own is None:
            own = rooms[0].new_zeros(len(self.rooms[0]), 1, self.count)
        taken = own.flatten(0, 1).index_select(0, drafts)
        return Past(rooms, self.count, taken.view(count, len(drafts) // count, self.count))

    def _roomier(self, room: Tensor, count: int) -> Tensor:
        made = room.new_empty(*room.shape[:2], max(2 * count, _LEAST), room.shape[3])
        made[:, :, : self.count] = room[:, :, : self.count]
        return made


def changes(items: Tensor, count: int) -> Tensor | None:
    """The places whose item is another one afterwards, if these (b,) of `count` items are taken; None: count on none.

    None also where more are taken than there are.
    """
    if len(items) > count:
        return None
    return (items != torch.arange(len(items), device=items.device)).nonzero().squeeze(1)


def settled(part: Tensor, items: Tensor, changed: Tensor | None) -> Tensor:
    """The items at these places of part (B, …), (b, …), of which only those are copied that change their places.

    They take the places of those that go, so that `part` itself is used up.
    """
    if changed is None:
        return part.index_select(0, items)
    return part.index_copy_(0, changed, part.index_select(0, items[changed]))[: len(items)]


def closed_up(left: Tensor) -> Tensor:
    """Ascending places (b,) of the items that are left, the last ones in the places of those that are gone."""
    order = torch.arange(len(left), device=left.device)
    stay = left < len(left)
    gone = torch.ones(len(left), dtype=torch.bool, device=left.device).index_fill_(0, left[stay], False)
    order[gone] = left[~stay]
    return order
