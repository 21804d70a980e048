"""Exact search: the rows nearest to a query among all of them, from a memory-mapped matrix of unit vectors.

One pass over the matrix in float32 picks the rows that can be among the k best given what rounding may do; those few
are scored again in float64. So the answer is exact, and the same for a query alone or in any batch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raw2vec.use.stores.base import locked, normalized, write_json, writing

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
_BLOCK = 1 << 15  # rows scored at a time: their scores for a batch of queries stay in the cache
_FEW = 6  # up to this many queries a dot product a row (1.4 ms a query) beats the matrix product


class Matrix:
    """The unit vectors of a store's rows in `vectors.f32`, kept beside the table that they can be made from again.

    Rows are only ever added, so the file only grows. `vectors.json` says how many of its rows are whole and of which
    store; whatever lies behind them is the rest of an interrupted write and is written over.
    """

    def __init__(self, folder: Path, store: str, width: int):
        self.folder, self.store, self.width = folder, store, width
        self._path, self._record = folder / "vectors.f32", folder / "vectors.json"
        self._values: NDArray[np.float32] = np.empty((0, width), np.float32)

    def rows(self, count: int, read: Callable[[int], Iterable[NDArray[np.float32]]]) -> NDArray[np.float32]:
        """The first `count` unit vectors, (count, width). What the file lacks comes from `read(first row)`.

        In a folder that cannot be written to they are kept in memory instead.
        """
        if len(self._values) < count:
            if self._whole() < count:
                try:
                    self._extend(read)
                except PermissionError:
                    self._values = np.concatenate([_unit(block) for block in read(0)])
                except OSError as error:
                    if error.errno != 30:  # EROFS, a file system mounted read-only
                        raise
                    self._values = np.concatenate([_unit(block) for block in read(0)])
            if len(self._values) < count:
                self._values = np.memmap(self._path, np.float32, "r", shape=(self._whole(), self.width))
        return self._values[:count]
