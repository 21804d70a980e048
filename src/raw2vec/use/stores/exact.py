"""Exact search: the rows nearest to a query among all of them, from a memory-mapped matrix of unit vectors.

One pass over the matrix in float32 picks the rows that can be among the k best, given what rounding may do; those few
are scored again in float64. So the answer is exact, and the same for a query alone or in any batch.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.disk import locked
from raw2vec.use.stores.base import normalized, write_json

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
Read = Callable[[int], Iterable[NDArray[np.float32]]]
Number = TypeVar("Number", bound=np.generic)

_BLOCK = 1 << 15  # rows scored at a time
_FEW = 6  # up to this many queries, a dot product a row is faster than the matrix product
_GROUP = 64


class Matrix:
    """The unit vectors of a store's rows in `vectors.f32`, kept beside the table that they can be made from again.

    Rows are only ever added, so the file only grows. `vectors.json` says how many of its rows are whole and of which
    store; whatever lies behind them is the rest of an interrupted write and is written over.
    """

    def __init__(self, folder: Path, store: str, width: int):
        self._file = Rows(folder / "vectors.f32", store, width, np.float32)

    def rows(self, count: int, read: Read) -> NDArray[np.float32]:
        """The first `count` unit vectors, (count, width); what the file lacks comes from `read(first row)`."""
        return self._file.first(count, lambda start: map(_unit, read(start)))


class Rows(Generic[Number]):
    """A file of rows (n, width) of one type, and beside it, with the suffix .json, how many are whole and whose."""

    def __init__(self, path: Path, store: str, width: int, kind: type[Number]):
        self._path, self._record = path, path.with_suffix(".json")
        self._store, self._width, self._type = store, width, np.dtype(kind)
        self._values: NDArray[Number] = np.empty((0, width), kind)

    def first(self, count: int, read: Callable[[int], Iterable[NDArray[Number]]]) -> NDArray[Number]:
        """The first `count` rows, (count, width); what the file lacks comes from `read(first row)`.

        Where the folder is not there or cannot be written to, they are held in memory instead.
        """
        if len(self._values) < count:
            try:
                self._grow(count, read)
                self._values = np.memmap(self._path, self._type, "r", shape=(self._whole(), self._width))
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.ENOENT, errno.EPERM, errno.EROFS):
                    raise
                self._values = np.concatenate(list(read(0)))
        return self._values[:count]

    def _grow(self, count: int, read: Callable[[int], Iterable[NDArray[Number]]]) -> None:
        """Appends the missing rows to the file. The record follows once they are on the disk."""
        if self._whole() >= count:
            return
        with locked(self._path.with_suffix(".lock")):
            rows = self._whole()
            if rows == 0:
                self._path.unlink(missing_ok=True)  # another process may still have it mapped: never cut it short
            with self._path.open("r+b" if rows else "wb") as file:
                file.seek(rows * self._width * self._type.itemsize)
                for block in read(rows) if rows < count else ():
                    file.write(block.data)
                    rows += len(block)
                file.flush()
                os.fsync(file.fileno())
            write_json(self._record, {"store": self._store, "rows": rows})

    def _whole(self) -> int:
        """How many rows of the file are this store's and whole; 0 when there is none or it is not to be trusted."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            size = self._path.stat().st_size
        except (FileNotFoundError, ValueError):
            return 0
        rows = record.get("rows") if isinstance(record, dict) and record.get("store") == self._store else 0
        return rows if isinstance(rows, int) and 0 <= rows * self._width * self._type.itemsize <= size else 0


def nearest(
    values: NDArray[np.float32], queries: NDArray[np.float32], k: int, among: NDArray[np.int64] | None = None
) -> list[Found]:
    """For each of (q, width) queries its k nearest rows of the (n, width) unit `values`, and their cosines.

    Best first, equal cosines in the order of the rows. `among` (m,), sorted, narrows the search to these rows.
    """
    wide = normalized(queries)
    narrow = wide.astype(np.float32)
    # Twice the most that a float32 dot product of unit vectors can be wrong (Higham 2002, section 3.1).
    margin = (values.shape[1] + 2) * 2.0**-23

    def block(start: int) -> list[Found]:
        rows, scores = _scores(values, narrow, start, among)
        return [_promising(rows, line, k, margin) for line in scores]

    # The matrix product has threads of its own; they are as many as torch is told to use.
    with ThreadPoolExecutor(torch.get_num_threads() if len(queries) <= _FEW else 1) as threads:
        blocks = list(threads.map(block, range(0, len(values), _BLOCK)))
    answers = []
    for place, query in enumerate(wide):
        rows = np.concatenate([np.empty(0, np.int64), *(found[place][0] for found in blocks)])
        scores = np.concatenate([np.empty(0, np.float32), *(found[place][1] for found in blocks)])
        answers.append(_best(values, query, _promising(rows, scores, k, margin)[0], k))
    return answers


def _promising(rows: NDArray[np.int64], scores: NDArray[np.float32], k: int, margin: float) -> Found:
    """Those that may be among the k best, were every score half the margin wrong."""
    kept = np.flatnonzero(scores >= _floor(scores, k) - margin)
    return rows[kept], scores[kept]


def _scores(
    values: NDArray[np.float32], queries: NDArray[np.float32], start: int, among: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the block from `start` that are searched, (m,), and the queries' scores for them, (q, m)."""
    block = values[start : start + _BLOCK]
    if among is None:
        return np.arange(start, start + len(block)), _products(block, queries)
    rows = among[np.searchsorted(among, start) : np.searchsorted(among, start + len(block))]
    if 4 * len(rows) > len(block):  # scoring the block and picking is cheaper than gathering its rows
        return rows, _products(block, queries)[:, rows - start]
    return rows, _products(block[rows - start], queries)


def _products(block: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m, width) and (q, width) to (q, m)."""
    if len(queries) > _FEW:
        return queries @ block.T
    return np.stack([np.vecdot(block, query) for query in queries])


def _floor(scores: NDArray[np.float32], k: int) -> float:
    """A number that at least k scores reach, near the k-th best; -inf where there are fewer than k."""
    if len(scores) >= 4 * k * _GROUP:  # the k-th best of groups' maxima: as good, and six times faster to find
        scores = scores[: len(scores) // _GROUP * _GROUP].reshape(-1, _GROUP).max(axis=1)
    if len(scores) < k:
        return -np.inf
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _best(values: NDArray[np.float32], query: NDArray[np.float64], rows: NDArray[np.int64], k: int) -> Found:
    """The k best of the candidate rows, scored in float64 one row at a time, so that equal rows score equal."""
    parts = [np.vecdot(values[rows[a : a + _BLOCK]].astype(np.float64), query) for a in range(0, len(rows), _BLOCK)]
    scores = np.concatenate(parts or [np.empty(0)]).clip(-1, 1).astype(np.float32)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return normalized(vectors).astype(np.float32)
