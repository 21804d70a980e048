"""What distortions of grids share: whether all items are of one size, and smooth waves over each."""

import math

import torch
from torch import Tensor

from raw2vec.ragged import Ragged


def alike(values: Ragged) -> bool:
    return bool((values.shapes == values.shapes[0]).all())


def slow_waves(values: Ragged, heights: Tensor) -> Tensor:
    """Sums (N, k) of the products of the three slowest cosines along each axis, of `heights` (k, B, 3 ** k) each.

    Heights of deviation one give sums of mean square one.
    """
    same = alike(values)
    grid = Ragged.bare(values.shapes[:1], heights.device) if same else values
    shares = (grid.coordinates + 0.5) / grid.spread(grid.shapes.to(heights.device))
    each = (math.pi * shares[:, :, None] * torch.arange(3, device=heights.device)).cos().to(heights.dtype)
    each[:, :, 1:] *= math.sqrt(2)
    waves = each[:, 0]
    for axis in range(1, each.shape[1]):
        waves = (waves[:, :, None] * each[:, axis, None]).flatten(1)
    waves = waves / math.sqrt(waves.shape[1])
    if same:
        with torch.autocast(heights.device.type, enabled=False):  # places on a large grid need all their digits
            return (heights @ waves.T).flatten(1).T
    return torch.stack([(waves * values.spread(height)).sum(dim=1) for height in heights], dim=1)
