"""Text files side by side, as translation data usually come: line by line the same in train.en and train.fr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import Rows


class Side(Protocol):
    """One of the files: rows of one column, a line each, empty lines too."""

    name: str
    paths_from: Path | None

    def count(self) -> int: ...
    def batches(self, rows: int = 1024) -> Iterator[pa.RecordBatch]: ...
    def where(self, row: int) -> str: ...
    def fingerprint(self) -> str: ...


class Parallel(Rows):
    """Files that go line by line: a row for each line, a column for each file, called as `sides` calls it.

    An empty line is an empty text, so that what belongs together stays together. Raises BadInput, with every file's
    count, where they are not equally long: some line is missing then, and the rest would be paired with the wrong ones.
    """

    names_at = "what is in braces"

    def __init__(self, name: str, sides: Mapping[str, Side]):
        self.name, self.columns, self._sides = name, list(sides), sides
        self.paths_from = next(iter(sides.values())).paths_from
        counts = {side.name: side.count() for side in sides.values()}
        if len(set(counts.values())) > 1:
            raise BadInput(f"{_told(counts)}: they are to go line by line, so a line is missing or one is too many.")

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(self.columns if columns is None else columns)
        for blocks in zip(*(self._sides[name].batches(rows) for name in names), strict=True):
            yield pa.RecordBatch.from_arrays([block.column(0) for block in blocks], names=names)

    def where(self, row: int) -> str:
        """The line, and the first of the files."""
        return next(iter(self._sides.values())).where(row)

    def fingerprint(self) -> str:
        """Of every file, and of what it is called."""
        parts = repr([(name, side.fingerprint()) for name, side in self._sides.items()])
        return blake2b(parts.encode(), digest_size=16).hexdigest()


def _told(counts: Mapping[str, int]) -> str:
    """'train.en has 29,000 lines, train.de 28,999 and train.fr 29,000'."""
    (first, lines), *others = counts.items()
    *between, last = [f"{name} {count:,}" for name, count in others]
    return ", ".join([f"{first} has {lines:,} line{'s' * (lines != 1)}", *between]) + f" and {last}"
