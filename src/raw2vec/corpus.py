"""The training data, tokenised once and memory-mapped: larger than memory, and quick to draw batches from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.ragged import Ragged


@dataclass(frozen=True)
class Corpus:
    """R rows by C columns of token ids. A length of zero says that the row has nothing in that column.

    ids: all tokens end to end; starts, lengths: (R, C) int64; labels: (R, …) float64 or int64, or None;
    held: (R,) true for the rows that are kept from training.
    """

    columns: tuple[str, ...]
    ids: NDArray[np.unsignedinteger]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    held: NDArray[np.bool_]
    labels: NDArray[np.generic] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def gather(self, rows: NDArray[np.int64], columns: NDArray[np.int64] | int) -> Ragged:
        """The ids of these rows, each in its own column or all in one, as Ragged int64."""
        starts, lengths = self.starts[rows, columns], self.lengths[rows, columns]
        ends = lengths.cumsum()
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
        return Ragged(torch.from_numpy(self.ids[places].astype(np.int64)), torch.from_numpy(lengths)[:, None])

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """The corpus that `Writer.close` finished in this folder, its ids left on disk."""
        columns = tuple(json.loads((folder / "corpus.json").read_text())["columns"])
        labels = np.load(folder / "labels.npy", mmap_mode="r") if (folder / "labels.npy").exists() else None
        tables = {name: np.load(folder / f"{name}.npy") for name in ("starts", "lengths", "held")}
        dtype = json.loads((folder / "corpus.json").read_text())["dtype"]
        size = os.path.getsize(folder / "ids.bin")
        ids = np.memmap(folder / "ids.bin", dtype=dtype, mode="r") if size else np.empty(0, dtype)
        return cls(columns, ids, labels=labels, **tables)


class Writer:
    """Writes a corpus to a folder as it streams by; nothing counts until `close` has put `corpus.json` in place."""

    def __init__(self, folder: Path, columns: Sequence[str], vocabulary: int):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "corpus.json").unlink(missing_ok=True)
        self.folder, self.columns = folder, tuple(columns)
        self.dtype = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
        self.file = open(folder / "ids.bin", "wb")  # noqa: SIM115 - open while rows stream by
        self.lengths: list[NDArray[np.int64]] = []
        self.held: list[NDArray[np.bool_]] = []
        self.labels: list[NDArray[np.generic]] = []

    def add(self, sides: Sequence[Ragged], held: NDArray[np.bool_], labels: NDArray[np.generic] | None = None) -> None:
        """A block of rows: one Ragged a column, all of as many items, each with length zero where nothing is."""
        for side in sides:
            self.file.write(side.values.numpy().astype(self.dtype).tobytes())
        self.lengths.append(np.stack([side.lengths.numpy() for side in sides], axis=1))
        self.held.append(held)
        if labels is not None:
            self.labels.append(labels)

    def close(self) -> Corpus:
        """The finished corpus, opened."""
        self.file.close()
        lengths = np.concatenate(self.lengths)
        np.save(self.folder / "lengths.npy", lengths)
        np.save(self.folder / "starts.npy", np.concatenate(list(_starts(self.lengths))))
        np.save(self.folder / "held.npy", np.concatenate(self.held))
        if self.labels:
            np.save(self.folder / "labels.npy", np.concatenate(self.labels))
        partial = self.folder / "corpus.json.partial"
        partial.write_text(json.dumps({"columns": self.columns, "dtype": self.dtype.name}))
        os.replace(partial, self.folder / "corpus.json")
        return Corpus.open(self.folder)


def _starts(blocks: Iterable[NDArray[np.int64]]) -> Iterable[NDArray[np.int64]]:
    """Within a block the columns lie one after the other, within a column the rows."""
    done = 0
    for lengths in blocks:
        flat = lengths.T.reshape(-1)
        ends = done + flat.cumsum()
        yield (ends - flat).reshape(lengths.shape[::-1]).T
        done = int(ends[-1]) if len(ends) else done
