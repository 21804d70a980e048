"""Ranges of a model's numbers, which 8 bits stretch over: for whole vectors, and for vectors cut to any length.

A vector that is brought to length one after it was cut has larger numbers than the whole one: the ranges of whole
vectors would clip it or waste steps on it, so that every length has ranges of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from raw2vec.errors import BadInput

FILE = "ranges.safetensors"
"""In a model's folder: the ranges of each side that was calibrated."""

Ranges = NDArray[np.float32]
"""The least and the greatest of each number, (2, L)."""


@dataclass(frozen=True)
class Calibration:
    """Ranges of a model's vectors of L numbers, found in so many items, which are `told` in words.

    held: (2, L) where numbers stay what they are when vectors are cut; else (2, L (L + 1) / 2), the ranges of vectors
    of one number, of two, and so on. maps: the linear maps whose levels of int8 arithmetic were found on the way.
    """

    held: Ranges
    width: int
    items: int
    told: str
    maps: int = 0

    @classmethod
    def found(cls, vectors: NDArray[np.float32], unit: bool, told: str) -> Calibration:
        """The ranges of vectors (n, L). unit: they are brought to length one when they are cut.

        BadInput for none, or for all alike.
        """
        whole = calibrated(vectors)
        if not unit:
            return cls(whole, vectors.shape[1], len(vectors), told)
        shorter = [_ends(unit_length(vectors[:, :count])) for count in range(1, vectors.shape[1])]
        return cls(np.concatenate([*shorter, whole], axis=1), vectors.shape[1], len(vectors), told)

    def of(self, numbers: int | None = None) -> Ranges:
        """The ranges of vectors cut to so many numbers, (2, numbers); none: of whole ones."""
        count = self.width if numbers is None else numbers
        if self.held.shape[1] == self.width:
            return self.held[:, :count]
        start = count * (count - 1) // 2
        return self.held[:, start : start + count]


def calibrated(vectors: NDArray[np.float32]) -> Ranges:
    """The least and the greatest of each number of these (n, L). BadInput for none, or for all alike."""
    if not len(vectors) or not np.ptp(vectors, axis=0).any():
        raise BadInput("Ranges are told by vectors that differ, and here are none that do: calibrate on other items.")
    return _ends(vectors)


def first_numbers(vectors: NDArray[np.float32], count: int | None, unit: bool = False) -> NDArray[np.float32]:
    """The first `count` numbers of each vector, (n, count), of length one with `unit`; none: all, as they are.

    BadInput for 0, or more than there are.
    """
    if count is None:
        return vectors
    if not 1 <= count <= vectors.shape[1]:
        raise BadInput(
            f"A vector of this model has {vectors.shape[1]} numbers: it can be cut to 1 of them or more, not {count}."
        )
    return unit_length(vectors[:, :count]) if unit else vectors[:, :count]


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each of (n, L) at a length of one; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), vectors.dtype)


def write(folder: Path, ranges: Mapping[str, Calibration]) -> None:
    """Keeps the ranges of each side in a model's folder; nothing where there are none."""
    if ranges:
        about = {
            side: json.dumps({"width": each.width, "items": each.items, "told": each.told})
            for side, each in ranges.items()
        }
        save_file({side: each.held for side, each in ranges.items()}, folder / FILE, about)


def read(path: Path) -> dict[str, Calibration]:
    """What `write` wrote to such a file."""
    with safe_open(path, framework="numpy") as file:
        about = {side: json.loads(each) for side, each in file.metadata().items()}
        return {side: Calibration(file.get_tensor(side), **each) for side, each in about.items()}


def _ends(vectors: NDArray[np.float32]) -> Ranges:
    return np.stack([vectors.min(axis=0), vectors.max(axis=0)]).astype(np.float32)
