"""From a fine grid to one half as fine, and back: on the same arithmetic, so that what comes back always fits.

A grid of n rows along an axis is halved to ⌈n / 2⌉, and row i of it belongs to row i // 2 of the coarse one. So every
row has one slot among the 2^k of its parent on the coarser grid; at odd edges slots stay empty.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged


class Halve(nn.Module):
    """Rows (N, D) to rows (N', D') on grids of half the size: a linear map of the 2^k rows in a parent's slots.

    Swin's patch merging (Liu et al. 2021) for grids of any size and mixed ones; an empty slot counts as zeros.
    outputs: features of the rows that come out; 0: as many as of those that went in.
    """

    def __init__(self, width: int, dimensions: int, outputs: int = 0):
        super().__init__()
        self.merge = nn.Linear(2**dimensions * width, outputs or width)

    def forward(self, x: Ragged) -> Ragged:
        coarse = halved(x.shapes)
        width = x.values.shape[1]
        side_by_side = self.merge.in_features // width
        slotted = x.values.new_zeros(int(coarse.prod(dim=1).sum()) * side_by_side, width)
        merged = self.merge(slotted.index_copy(0, _slots(x), x.values).view(-1, self.merge.in_features))
        return Ragged(merged.to(x.values.dtype), coarse)


class Double(nn.Module):
    """Rows (N', D) back to rows (N, D) on given grids that halve to theirs: each its own share of its parent's map.

    Sub-pixel growth (Shi et al. 2016). Copying the parent instead would leave siblings alike to the end.
    """

    def __init__(self, width: int, dimensions: int):
        super().__init__()
        self.part = nn.Linear(width, 2**dimensions * width)

    def forward(self, x: Ragged, shapes: Tensor) -> Ragged:
        """BadInput unless `shapes` (B, k) halve to those of `x`."""
        if not halved(shapes).equal(x.shapes):
            raise BadInput(f"Grids {shapes.tolist()} do not halve to {x.shapes.tolist()}: nothing to double into.")
        fine = Ragged.bare(shapes, x.values.device)
        parted = self.part(x.values).to(x.values.dtype).view(-1, x.values.shape[1])
        return fine.replace(parted.index_select(0, _slots(fine)))


def halved(shapes: Tensor) -> Tensor:
    """Grids (B, k) of half the size, rounded up."""
    return (shapes + 1) // 2


def halving(layers: int, halvings: int) -> list[bool]:
    """Which layers begin by halving the grid, spread evenly, so that some come before the first of them if they can."""
    if not 0 <= halvings <= layers:
        raise BadInput(f"{layers} layers can halve the grid 0 to {layers} times, once a layer, not {halvings} times.")
    places = {turn * layers // (halvings + 1) for turn in range(1, halvings + 1)}
    return [layer in places for layer in range(layers)]


def trace(shapes: Tensor, halves: Sequence[bool]) -> list[Tensor]:
    """The grids (B, k) before the first layer and after each, where `halves` says which layers begin by halving."""
    grids = [shapes]
    for halve in halves:
        grids.append(halved(grids[-1]) if halve else grids[-1])
    return grids


def _slots(fine: Ragged) -> Tensor:
    """The slot of each row of a grid among its parents' on the coarser one, (N,): parent · 2^k + corner."""
    coarse = halved(fine.shapes)
    sizes = coarse.to(fine.values.device)[fine.owners]
    lengths = coarse.prod(dim=1)
    parent, corner = torch.zeros_like(fine.owners), torch.zeros_like(fine.owners)
    for axis, along in enumerate(fine.coordinates.unbind(1)):
        parent = parent * sizes[:, axis] + along // 2
        corner = corner * 2 + along % 2
    starts = (lengths.cumsum(0) - lengths).to(fine.values.device)
    return (starts[fine.owners] + parent) * 2 ** coarse.shape[1] + corner
