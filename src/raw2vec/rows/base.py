"""What every source of rows is: named columns, read in batches as often as wanted, and a place to name in a message."""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from raw2vec.errors import BadInput, nearest

WHOLE = 1 << 34
"""Bytes up to which a fingerprint is of all that there is."""
AS_WRITTEN = "as written"
"""The field of a structure that holds what stands in a cell, beside the file that it leads to: see Located."""


_FIRST = 256  # rows of a source whose types stand for all of it


class Rows(ABC):
    """Rows of named columns. Reading again starts anew; memory holds one batch at a time, unless the rows live there.

    `name` is what to call the data in a message, `columns` its columns' names in order, `names_at` the place where
    those names stand, `skipped` one sentence for each part of the data that was left out, `group` the column whose
    rows belong together when some are held out (the functions of one file), if there is one. `kind` tells what the data
    are where their source knows (image, series, audio, table), `alike` that all items are of one size, `written` that
    every value is a string whatever it stands for, as in a csv (see Typed), and `gaps` that a row without a value is no
    mistake, as a function without a docstring. `paths_from` is the folder that paths in cells begin at (see Located).
    `types` are its columns' types where they are known without reading rows.
    `held_from` is the number of the first row that is held out, where these are the last ones (see WithHeldOut).
    """

    name: str
    columns: list[str]
    names_at: str = "it"
    skipped: Sequence[str] = ()
    group: str | None = None
    kind: str | None = None
    alike: bool = False
    written: bool = False
    gaps: bool = False
    paths_from: Path | None = None
    held_from: int | None = None
    types: pa.Schema | None = None

    @abstractmethod
    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows in order, at most `rows` at a time and never none, of `columns` (their own names) or of all."""

    @abstractmethod
    def where(self, row: int) -> str:
        """The place of a row counted from 0, as a user would look for it: 'tickets.csv line 12'. It may read again."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A short hash of the content, cheap to take: other data, another fingerprint. It may sample large data."""

    def column(self, wanted: str) -> str:
        """A column's own name, for its name or its place from 0; BadInput, with the nearest, where there is none."""
        if wanted in self.columns:
            return wanted
        if wanted.isdecimal() and int(wanted) < len(self.columns):
            return self.columns[int(wanted)]
        known = ", ".join(self.columns[:20]) + (", …" if len(self.columns) > 20 else "")
        raise BadInput(
            f"{self.name} has no column '{wanted}' ({self.names_at} names: {known}).{nearest(wanted, self.columns)}"
        )


class Joined(Rows):
    """Several sources of the same columns, one after the other: the files of a folder, or of a command line.

    What one has as whole numbers and another with fractions is numbers with fractions in all of them; as numbers and as
    words, words.
    """

    def __init__(self, name: str, parts: Sequence[Rows]):
        self.name, self.parts, self.columns = name, parts, parts[0].columns
        self.names_at, self.group = parts[0].names_at, parts[0].group
        self.written, self.gaps = all(part.written for part in parts), any(part.gaps for part in parts)
        self.skipped = [line for part in parts for line in part.skipped]
        for part in parts:
            if part.columns != self.columns:
                raise BadInput(
                    f"{part.name} has the columns {', '.join(part.columns)}, but {parts[0].name} has "
                    f"{', '.join(self.columns)}: files read together need the same columns."
                )

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        common = self._common
        for part in self.parts:
            for batch in part.batches(rows, columns):
                yield _as(batch, common, part.name) if common else batch

    @cached_property
    def _common(self) -> dict[str, pa.DataType]:
        """The type that holds all of a column, of those whose parts differ."""
        if self.written or len(self.parts) < 2:
            return {}
        types = [part.types if part.types is not None else _first_types(part) for part in self.parts]
        each = {name: [own.field(name).type for own in types if own is not None] for name in self.columns}
        return {name: _holding(kinds) for name, kinds in each.items() if len(set(kinds)) > 1}

    def where(self, row: int) -> str:
        for part in self.parts:
            count = sum(len(batch) for batch in part.batches(8192, part.columns[:1]))
            if row < count:
                return part.where(row)
            row -= count
        return f"{self.name}, past its end"

    def fingerprint(self) -> str:
        return blake2b("".join(part.fingerprint() for part in self.parts).encode(), digest_size=16).hexdigest()


def _first_types(part: Rows) -> pa.Schema | None:
    """The types that a part's first rows have; None of a part without rows."""
    for batch in part.batches(_FIRST):
        types: pa.Schema = batch.schema
        return types
    return None


def _holding(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """A type for what is of any of these types: a text where they have nothing in common."""
    try:
        fields = [pa.schema([pa.field("column", kind)]) for kind in kinds]
        return pa.unify_schemas(fields, promote_options="permissive").field("column").type
    except pa.ArrowException:
        return pa.large_string()


def _as(batch: pa.RecordBatch, types: Mapping[str, pa.DataType], name: str) -> pa.RecordBatch:
    """The batch with columns in these types. BadInput where there is no way to them."""
    try:
        own = [pa.field(field.name, types.get(field.name, field.type)) for field in batch.schema]
        return batch.cast(pa.schema(own))
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{name} holds other types than the files read with it ({reason}): give them the same."
        ) from None


@contextmanager
def opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """A file's bytes, unzipped where they are gzipped. BadInput where it cannot be read, or not to its end."""
    try:
        with open(path, "rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if zipped:
                with gzip.open(plain) as stream:
                    yield cast(IO[bytes], stream)
            else:
                yield plain
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{name} is a damaged gzip file ({error}): fetch or compress it again.") from None
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror or error}.") from None


class FileRows(Rows):
    """Rows of one file, plain or gzipped. What goes wrong on the way is told with the file, the line and the reason."""

    def __init__(self, path: str | Path, name: str | None = None):
        self.path, self.name = Path(path), name or str(path)
        self.paths_from = self.path.parent

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The file's bytes, unzipped; trouble in the file, or in decoding what it holds as text, leaves as BadInput."""
        try:
            with opened(self.path, self.name) as stream:
                yield stream
        except UnicodeDecodeError:
            raise self._not_text() from None

    def head(self, size: int = 1 << 16) -> bytes:
        """The first bytes, which must be there and must not be a binary file's: what a text reader looks at first."""
        with self.opened() as stream:
            head = stream.read(size)
        if not head.strip(b"\xef\xbb\xbf \t\r\n"):
            raise BadInput(f"{self.name} is empty: it holds no rows.")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise BadInput(f"{self.name} is UTF-16 text. Convert it first (iconv -f UTF-16 -t UTF-8 OLD > NEW).")
        if (place := head.find(b"\0")) >= 0:
            line = head.count(b"\n", 0, place) + 1
            raise BadInput(
                f"{self.name} is a binary file, not text (line {line}, byte {place} is NUL){_looks_like(head)}."
            )
        return head

    def no_text(self, line: int) -> BadInput:
        """For a line with a NUL in it, which is told where it is met: beyond a file's first bytes."""
        return BadInput(f"{self.name} line {line} holds a NUL, which no text does: mend or leave out the line.")

    def _not_text(self) -> BadInput:
        """Where the first byte is that is not UTF-8."""
        offset = 0
        with self.opened() as stream:
            for number, line in enumerate(stream, 1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    place, byte = offset + error.start, line[error.start]
                    return BadInput(
                        f"{self.name} line {number} is not UTF-8 text (byte {place} is 0x{byte:02x}). If it is in "
                        "another encoding, convert it first (iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW)."
                    )
                offset += len(line)
        return BadInput(f"{self.name} is not UTF-8 text.")

    def fingerprint(self) -> str:
        """Of the size and the content: all of it up to 16 GB, a second a gigabyte; above that 64 blocks of a megabyte,
        evenly spaced."""
        block, blocks = 1 << 20, 64
        try:
            size = self.path.stat().st_size
            digest = blake2b(str(size).encode(), digest_size=16)
            with open(self.path, "rb") as file:
                if size <= WHOLE:
                    while part := file.read(block):
                        digest.update(part)
                else:
                    for number in range(blocks):
                        file.seek((size - block) * number // (blocks - 1))
                        digest.update(file.read(block))
        except OSError as error:
            raise BadInput(f"{self.name} cannot be read: {error.strerror}.") from None
        return digest.hexdigest()


def _looks_like(head: bytes) -> str:
    kinds = {b"PK": "a zip or Office file", b"\x89PNG": "a PNG picture", b"PAR1": "a Parquet file", b"%PDF": "a PDF"}
    kinds |= {b"ARROW1": "an Arrow file", b"\xff\xd8\xff": "a JPEG picture", b"\x1f\x8b": "a gzip file"}
    return next((f": it looks like {kind}" for magic, kind in kinds.items() if head.startswith(magic)), "")


Kinds = dict[str, pa.DataType]


def typed_batch(
    values: Mapping[str, list[object]], kinds: Kinds, where: Callable[[int], str] | None = None
) -> pa.RecordBatch:
    """Python values as one batch, each column of its type in `kinds`, or of the type found, which `kinds` then holds.

    So all batches of a source have one schema; a column in which the first batch has nothing is one of strings. A value
    of another type is BadInput: `where(i)` names the place of value i, and the sentence says both types.
    """
    arrays = []
    for name, column in values.items():
        try:
            array = pa.array(column, kinds.get(name))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
            raise _misfit(name, column, kinds.get(name), where) from None
        kinds.setdefault(name, pa.string() if pa.types.is_null(array.type) else array.type)
        arrays.append(array.cast(kinds[name]))
    return pa.RecordBatch.from_arrays(arrays, names=list(values))


def _misfit(name: str, column: list[object], kind: pa.DataType | None, where: Callable[[int], str] | None) -> BadInput:
    """The first value that does not fit the type of those before it, or that no type fits."""
    first: list[object] = []
    for place, value in enumerate(column):
        at = where(place) if where else f"item {place}"
        try:
            pa.array([*first, value], kind)
        except UnicodeEncodeError:
            return BadInput(f"{at}: column '{name}' holds half a character (a lone surrogate), which is not text.")
        except (pa.ArrowException, OverflowError, TypeError):
            known = kind if kind is not None else pa.array(first).type
            before = "which no column can hold" if pa.types.is_null(known) else f"where the rows before hold {known}"
            return BadInput(f"{at}: column '{name}' holds {str(value)[:40]!r} ({type(value).__name__}), {before}.")
        first = first or ([] if value is None else [value])
    return BadInput(f"Column '{name}' mixes types: give it one.")
