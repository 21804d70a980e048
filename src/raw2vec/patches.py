"""Grids cut into patches and put together again: what an embedding and a readout of numbers must agree on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged


def patch_sizes(patch: int | Sequence[int], dimensions: int, shape: Sequence[int] | None) -> tuple[int, ...]:
    """How long a patch is along each of the axes: `patch`, one length for all or one for each of them.

    0 is the whole `shape` that every item must then have. Raises BadInput for a patch below 0, or 0 along one of
    several axes, or of other dimensions; for one as large as the item where items have no shape in common; and for a
    shape of other dimensions.
    """
    if shape is not None and len(shape) != dimensions:
        raise BadInput(f"The shape {tuple(shape)} has {len(shape)} axes, but items have {dimensions}: give them one.")
    if patch == 0:
        if shape is None:
            raise BadInput("Items differ in size, so that the whole item cannot be one patch: set patch to 1 or more.")
        return tuple(shape)
    sizes = (patch,) * dimensions if isinstance(patch, int) else tuple(patch)
    if len(sizes) != dimensions:
        raise BadInput(
            f"A patch of {sizes} has {len(sizes)} axes, but items have {dimensions}: give a length for each."
        )
    if min(sizes) < 1:
        raise BadInput(f"A patch of {patch} cannot be cut: give it one element or more, or 0 for the whole item.")
    return sizes


def patch_grids(shapes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Patches along each axis of items with grids (B, k), those cut off by the edge included: (B, k)."""
    return shapes.add(torch.tensor(sizes) - 1).div(torch.tensor(sizes), rounding_mode="floor")


def cut(items: Ragged, sizes: Sequence[int]) -> Ragged:
    """Elements (N, C) to patches (N', P, C), P the elements of a patch row by row; zeros beyond an item's edge."""
    grids = patch_grids(items.shapes, sizes)
    if (shape := _common(items.shapes)) is not None:
        return Ragged(_folded(items.values, len(items), shape, sizes), grids)
    count, each = int(grids.prod(dim=1).sum()), math.prod(sizes)
    empty = items.values.new_zeros(count * each, items.values.shape[1])
    patches = empty.index_copy(0, _slots(items, grids, sizes), items.values)
    return Ragged(patches.unflatten(0, (count, each)), grids)


def join(patches: Ragged, shapes: Tensor, sizes: Sequence[int]) -> Ragged:
    """Patches (N', P, C) back to the elements (N, C) of items with grids `shapes`; what lies beyond an edge is left.

    Raises BadInput where the patches lie on other grids than `patch_grids` tells.
    """
    if not patches.shapes.equal(patch_grids(shapes, sizes)):
        raise BadInput("The states lie on other grids than the items' patches do: decode to `grids(shapes)`.")
    if (shape := _common(shapes)) is not None:
        return Ragged(_unfolded(patches.values, len(shapes), shape, sizes), shapes)
    slots = _slots(Ragged.bare(shapes, patches.values.device), patches.shapes, sizes)
    return Ragged(patches.values.flatten(0, 1).index_select(0, slots), shapes)


def _common(shapes: Tensor) -> tuple[int, ...] | None:
    """The grid that all items have, if they do: then cutting is a matter of views, without an index an element."""
    return tuple(shapes[0].tolist()) if len(shapes) and bool((shapes == shapes[0]).all()) else None


def _folded(values: Tensor, items: int, shape: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """Elements (B · shape, C) of items of one shape to their patches (B · grid, P, C)."""
    axes, channels = len(sizes), values.shape[1]
    grid = [-(-length // size) for length, size in zip(shape, sizes, strict=True)]
    beyond = [count * size - length for count, size, length in zip(grid, sizes, shape, strict=True)]
    # Torch's `pad` counts from the last axis: channels first, which have no edge.
    padding = [0, 0, *(amount for after in reversed(beyond) for amount in (0, after))]
    whole = values.reshape(items, *shape, channels)
    whole = pad(whole, padding) if any(padding) else whole
    pairs = [length for pair in zip(grid, sizes, strict=True) for length in pair]
    order = [*range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2)]
    patches = whole.view(items, *pairs, channels).permute(0, *order, 2 * axes + 1)
    return patches.reshape(items * math.prod(grid), math.prod(sizes), channels)


def _unfolded(patches: Tensor, items: int, shape: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """The way back from `_folded`."""
    axes, channels = len(sizes), patches.shape[2]
    grid = [-(-length // size) for length, size in zip(shape, sizes, strict=True)]
    order = [axis for along in range(1, axes + 1) for axis in (along, along + axes)]
    pairs = patches.view(items, *grid, *sizes, channels).permute(0, *order, 2 * axes + 1)
    whole = pairs.reshape(items, *(count * size for count, size in zip(grid, sizes, strict=True)), channels)
    inside = whole[(slice(None), *(slice(length) for length in shape))]
    return inside.reshape(items * math.prod(shape), channels)


def _slots(items: Ragged, grids: Tensor, sizes: Sequence[int]) -> Tensor:
    """Where each element lies among the elements of all patches laid end to end: (N,) int64 on the values' device."""
    device = items.values.device
    size, counts = torch.tensor(sizes, device=device), grids.prod(dim=1)
    starts, steps = (counts.cumsum(0) - counts).to(device), _steps(grids).to(device)
    patch = starts[items.owners] + (items.coordinates // size * steps[items.owners]).sum(dim=1)
    within = (items.coordinates % size * _steps(size[None])).sum(dim=1)
    return patch * math.prod(sizes) + within


def _steps(grids: Tensor) -> Tensor:
    """How many places one step along each axis passes, the last axis fastest: (B, k) to (B, k)."""
    passed = grids.flip(1).cumprod(dim=1).flip(1)
    return torch.cat([passed[:, 1:], torch.ones_like(passed[:, :1])], dim=1)
