"""Paths in a table: each cell becomes the file that it leads to, and none leads out of the table's own folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import AS_WRITTEN, Joined, Rows

_SAMPLED, _EVERY, _BEGINNING = 64, 4096, 1 << 16  # the first files and every so many of them, 64 kB of each
_FOLDERS = 4096  # whose real places are kept in mind


def located(rows: Rows, *columns: str) -> Rows:
    """The rows with the cells of these columns as files (see Located); those not read from a file stay as they are.

    Nothing is opened before the rows are read. Paths that Python holds, or that a folder was listed for, begin at the
    working directory as ever, and lead wherever they do.
    """
    columns = tuple(name for name in columns if name in rows.columns)
    if not columns:
        return rows
    if rows.paths_from is not None:
        return Located(rows, columns, rows.paths_from)
    return Joined(rows.name, [located(part, *columns) for part in rows.parts]) if type(rows) is Joined else rows


def written(batch: pa.Table) -> pa.Table:
    """The table with its paths as they stand in the file."""
    for place, field in enumerate(batch.schema):
        if _holds(field.type, AS_WRITTEN):
            cells = [chunk.field(AS_WRITTEN) for chunk in batch.column(place).chunks]
            batch = batch.set_column(place, field.name, pa.chunked_array(cells, field.type.field(AS_WRITTEN).type))
    return batch


class Located(Rows):
    """Rows in which a path is a structure of `path`, from where it can be opened, and of the cell as it is written.

    A path begins at the folder of the data's file or, where there is no such file, at the working directory. It is
    refused by its line where it leads out of both, through '..' and links as well, and where no file is. An empty cell
    is None. Structures of `bytes` and `path`, as Hugging Face's data sets have them, keep their bytes; only where there
    are none the path counts.
    """

    def __init__(self, rows: Rows, columns: Sequence[str], folder: Path):
        self._rows, self._paths, self.folder = rows, tuple(columns), folder
        self.name, self.columns, self.names_at, self.skipped = rows.name, rows.columns, rows.names_at, rows.skipped
        self.group, self.kind, self.alike = rows.group, rows.kind, rows.alike
        self.written, self.gaps, self.held_from = rows.written, rows.gaps, rows.held_from
        self._real: dict[str, str] = {}
        self._fingerprint = ""

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        self._real, start = {}, 0
        for batch in self._rows.batches(rows, columns):
            for place, name in enumerate(batch.schema.names):
                if name in self._paths:
                    batch = batch.set_column(place, name, self._files(batch.column(place), start))
            start += len(batch)
            yield batch

    def where(self, row: int) -> str:
        return self._rows.where(row)

    def fingerprint(self) -> str:
        """Of the rows, of every file's size, and of the first 64 kB of the first 64 files and of some others."""
        if not self._fingerprint:
            digest, count = blake2b(self._rows.fingerprint().encode(), digest_size=16), 0
            for batch in self.batches(columns=self._paths):
                for path in (path for name in self._paths for path in _paths(batch.column(name)) if path):
                    digest.update(_seen(path, count < _SAMPLED or count % _EVERY == 0))
                    count += 1
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def _files(self, cells: pa.Array, start: int) -> pa.Array:
        """Cells with the files that they lead to; `start` is the first one's row. What holds no path stays as it is."""
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        paths = _paths(cells)
        if not (is_text(cells.type) or _holds(cells.type, "path")):
            return cells
        held = cells.field("bytes") if _holds(cells.type, "bytes") else None
        there = [False] * len(cells) if held is None else held.is_valid().to_pylist()
        found = [
            path if whole or not path else self._file(path, start + place)
            for place, (path, whole) in enumerate(zip(paths, there, strict=True))
        ]
        fields = {} if held is None else {"bytes": held}
        fields |= {"path": pa.array(found, pa.string()), AS_WRITTEN: cells}
        nothing = pa.array([not (path or whole) for path, whole in zip(found, there, strict=True)], pa.bool_())
        return pa.StructArray.from_arrays(list(fields.values()), names=list(fields), mask=nothing)

    def _file(self, cell: str, row: int) -> str:
        """Where the file of a cell is; BadInput, with the row's place, where it leads out or nowhere."""
        roots = [os.path.realpath(root) for root in (self.folder, os.curdir)]
        places = {str(path): self._resolved(str(path)) for path in (self.folder / cell, Path(cell))}
        within = [any(_is_within(real, root) for root in roots) for real in places.values()]
        for (path, real), inside in zip(places.items(), within, strict=True):
            if inside and os.path.isfile(real):
                return path
        told = f"{self._rows.where(row)}: the path '{cell}'"
        if within[0]:
            what = "is a folder" if (self.folder / cell).is_dir() else "leads to no file"
            raise BadInput(f"{told} {what}: paths begin at {self._begin()}.")
        raise BadInput(
            f"{told} leads out of {self._begin()}: put the file there, or work in a folder that holds it and the table."
        )

    def _begin(self) -> str:
        here = os.path.realpath(self.folder) == os.path.realpath(os.curdir)
        return "the working directory" if here else f"{self.folder}, where the table is, or the working directory"

    def _resolved(self, path: str) -> str:
        """The path without links and '..'; a folder's is found once."""
        folder, name = os.path.split(path)
        if "\0" in path:
            return ""
        if name in ("", os.pardir, os.curdir):
            return os.path.realpath(path)
        if folder not in self._real:
            if len(self._real) > _FOLDERS:
                self._real.clear()
            self._real[folder] = os.path.realpath(folder)
        real = os.path.join(self._real[folder], name)
        return os.path.realpath(real) if os.path.islink(real) else real


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _paths(cells: pa.Array) -> list[str | None]:
    if _holds(cells.type, "path"):
        cells = cells.field("path")
    found: list[str | None] = cells.to_pylist() if is_text(cells.type) else [None] * len(cells)
    return found


def _holds(kind: pa.DataType, field: str) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index(field) >= 0


def is_text(kind: pa.DataType) -> bool:
    """Whether a column is of strings, however Arrow keeps them."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _seen(path: str, closely: bool) -> bytes:
    """A file's size, and how it begins."""
    try:
        size = repr(os.stat(path).st_size).encode()
        if not closely:
            return size
        with open(path, "rb") as file:
            return size + file.read(_BEGINNING)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
