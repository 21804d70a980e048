"""The training data as tensors, made once and memory-mapped: larger than memory, and quick to draw batches from."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.ragged import Ragged


@dataclass(frozen=True)
class Corpus:
    """R rows by C columns of items. A grid of zeros says that the row has nothing in that column.

    values: all ids, pixels, frames or columns end to end, (N, …); starts: (R, C) int64; shapes: the items' grids,
    (R, C, k) int64; labels: (R, …) float64 or int64, or None; held: (R,) true for the rows that are kept from training.
    target: the same rows' targets, where they are of another kind.
    """

    columns: tuple[str, ...]
    values: NDArray[Any]
    starts: NDArray[np.int64]
    shapes: NDArray[np.int64]
    held: NDArray[np.bool_]
    labels: NDArray[np.generic] | None = None
    target: Corpus | None = None

    def side(self, role: str) -> Corpus:
        """Where the items of this role are: of targets that are of another kind, in a corpus of their own."""
        return self.target if self.target is not None and role in ("target", "negative") else self

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens, pixels, frames or columns of each item, (R, C)."""
        return np.asarray(self.shapes.prod(axis=2))

    def gather(self, rows: NDArray[np.int64], columns: NDArray[np.int64] | int) -> Ragged:
        """The items of these rows, each in its own column or all in one. Ids come as int64, numbers as they are."""
        if self._length:
            rectangle = self.values.reshape(-1, self._length, *self.values.shape[1:])
            values = rectangle[self.starts[rows, columns] // self._length].reshape(-1, *self.values.shape[1:])
        else:
            values = self._of_any_length(self.starts[rows, columns], self.lengths[rows, columns])
        values = values.astype(np.int64) if values.ndim == 1 else values
        return Ragged(torch.from_numpy(values), torch.from_numpy(self.shapes[rows, columns]))

    def uniform(self, column: str) -> bool:
        """Whether every item of the column that is there is the same one; False where there are fewer than two."""
        place = self.columns.index(column)
        rows = np.flatnonzero(self.lengths[:, place])
        if len(rows) < 2 or (self.shapes[rows, place] != self.shapes[rows[0], place]).any():
            return False
        first = self.gather(rows[:1], place).values
        parts = (self.gather(rows[start : start + 1024], place) for start in range(0, len(rows), 1024))
        return all(bool((part.values.unflatten(0, (len(part), -1)) == first).all()) for part in parts)

    @cached_property
    def _length(self) -> int:
        """The length of every item where all are equally long, else 0."""
        first = int(self.lengths.flat[0]) if self.lengths.size else 0
        return first if (self.lengths == first).all() else 0

    def _of_any_length(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[Any]:
        ends = lengths.cumsum()
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
        return np.asarray(self.values[places])

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """The corpus that `Writer.close` finished in this folder, its values left on disk."""
        known = json.loads((folder / "corpus.json").read_text())
        labels = np.load(folder / "labels.npy", mmap_mode="r") if (folder / "labels.npy").exists() else None
        tables = {name: np.load(folder / f"{name}.npy") for name in ("starts", "shapes", "held")}
        dtype, each = np.dtype(known["dtype"]), tuple(known["each"])
        size = os.path.getsize(folder / "values.bin")
        shape = (size // (dtype.itemsize * math.prod(each)), *each)
        values = np.memmap(folder / "values.bin", dtype, "r", shape=shape) if size else np.empty(shape, dtype)
        target = cls.open(folder / "target") if (folder / "target").exists() else None
        return cls(tuple(known["columns"]), values, labels=labels, target=target, **tables)


class Writer:
    """Writes a corpus to a folder as it streams by; nothing counts until `close` has put `corpus.json` in place.

    vocabulary: how many ids there are, or 0 where values are numbers, which are kept in the type they come in.
    """

    def __init__(self, folder: Path, columns: Sequence[str], vocabulary: int):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "corpus.json").unlink(missing_ok=True)
        self.folder, self.columns, self.vocabulary = folder, tuple(columns), vocabulary
        self.dtype = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
        self.each: tuple[int, ...] = ()
        (folder / "values.bin").write_bytes(b"")
        self.shapes: list[NDArray[np.int64]] = []
        self.held: list[NDArray[np.bool_]] = []
        self.labels: list[NDArray[np.generic]] = []

    def add(self, sides: Sequence[Ragged], held: NDArray[np.bool_], labels: NDArray[np.generic] | None = None) -> None:
        """A block of rows: one Ragged a column, all of as many items, each a grid of zeros where nothing is."""
        with open(self.folder / "values.bin", "ab") as file:
            for side in sides:
                values = side.values.numpy()
                if not self.vocabulary and len(values):
                    self.dtype, self.each = values.dtype, values.shape[1:]
                file.write(values.astype(self.dtype, copy=False).tobytes())
        self.shapes.append(np.stack([side.shapes.numpy() for side in sides], axis=1))
        self.held.append(held)
        if labels is not None:
            self.labels.append(labels)

    def close(self) -> Corpus:
        """The finished corpus, opened."""
        np.save(self.folder / "shapes.npy", np.concatenate(self.shapes))
        np.save(self.folder / "starts.npy", np.concatenate(list(_starts(self.shapes))))
        np.save(self.folder / "held.npy", np.concatenate(self.held))
        if self.labels:
            np.save(self.folder / "labels.npy", np.concatenate(self.labels))
        partial = self.folder / "corpus.json.partial"
        known = {"columns": self.columns, "dtype": self.dtype.name, "each": self.each}
        partial.write_text(json.dumps(known))
        os.replace(partial, self.folder / "corpus.json")
        return Corpus.open(self.folder)


def _starts(blocks: Iterable[NDArray[np.int64]]) -> Iterable[NDArray[np.int64]]:
    """Within a block the columns lie one after the other, within a column the rows."""
    done = 0
    for shapes in blocks:
        lengths = shapes.prod(axis=2)
        flat = lengths.T.reshape(-1)
        ends = done + flat.cumsum()
        yield (ends - flat).reshape(lengths.shape[::-1]).T
        done = int(ends[-1]) if len(ends) else done
