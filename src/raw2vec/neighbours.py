"""The nearest others of every vector, exactly: products in blocks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SCORES = 1 << 24
"""Cosines held at once, 64 MB of float32."""


def nearest(vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The places of the `k` others nearest to each of vectors (n, L), by cosine, the nearest first: (n, k), and their
    cosines (n, k). k is at most n - 1. A vector of zeros is like nothing: its cosines are 0."""
    unit = _unit(vectors)
    k = max(0, min(k, len(unit) - 1))
    places, cosines = torch.empty(len(unit), k, dtype=torch.long), torch.empty(len(unit), k)
    for rows, scores in _blocks(unit):
        scores[torch.arange(len(rows)), rows] = -2.0  # itself
        cosines[rows], places[rows] = scores.topk(k)
    return places.numpy(), cosines.clamp(-1, 1).numpy()


def alike(vectors: NDArray[np.float32], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (p,), (p,) of vectors (n, L) whose cosine is at least `threshold`, the first place the smaller."""
    unit = _unit(vectors)
    found: list[Tensor] = []
    for rows, scores in _blocks(unit):
        pairs = (scores >= threshold - 1e-6).nonzero()
        pairs[:, 0] += rows[0]
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    left, right = torch.cat(found).T if found else torch.empty(2, 0, dtype=torch.long)
    return left.numpy(), right.numpy()


def _blocks(unit: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    size = max(1, _SCORES // max(len(unit), 1))
    for start in range(0, len(unit), size):
        rows = torch.arange(start, min(start + size, len(unit)))
        yield rows, unit[rows] @ unit.T


def _unit(vectors: NDArray[np.float32]) -> Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(np.asarray(vectors, np.float32)), dim=1)
