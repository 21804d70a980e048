"""What the cells of a csv stand for: numbers, dates, true and false, where a whole column can be read as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raw2vec.rows.base import Rows

_MISSING = pa.array(["", "NA", "N/A", "n/a", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None"])
_TYPES = (pa.bool_(), pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
"""What a column may be, tried in this order; else it is text."""
NUMBERS = (pa.int64(), pa.float64())
"""The types to try where nothing but numbers is to be told from text."""


class Typed(Rows):
    """Rows whose columns of strings have the first type of all their cells: see `read_cells`.

    The source is read once to find the types. An empty cell is a missing value; in columns that are no text, so is
    each of the words that spreadsheets and data frames write for one (NA, nan, null, None). texts: columns that stay
    as they are. types: what the others may be.
    """

    def __init__(self, rows: Rows, texts: Sequence[str] = (), types: Sequence[pa.DataType] = _TYPES):
        self._rows = rows
        self.name, self.columns, self.names_at = rows.name, rows.columns, rows.names_at
        self.skipped, self.group, self.kind, self.alike = rows.skipped, rows.group, rows.kind, rows.alike
        self.held_from = rows.held_from
        self._types = {name: kind for name, kind in _types(rows, types).items() if name not in texts}

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in self._rows.batches(rows, columns):
            names = batch.schema.names
            yield pa.RecordBatch.from_arrays([self._typed(name, batch.column(name)) for name in names], names=names)

    def where(self, row: int) -> str:
        return self._rows.where(row)

    def fingerprint(self) -> str:
        return self._rows.fingerprint()

    def _typed(self, name: str, cells: pa.Array) -> pa.Array:
        known = name in self._types and pa.types.is_string(cells.type)
        read = read_cells(cells, self._types[name]) if known else None
        return cells if read is None else read


def read_cells(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Strings (n,) as values of a type, null for what is missing; None where one of them is no such value.

    Numbers that begin with a needless 0 are none: they name something, as postal codes do.
    """
    if pa.types.is_string(kind):
        return pc.if_else(pc.equal(cells, ""), None, cells)
    trimmed = pc.utf8_trim_whitespace(cells)
    filled = pc.if_else(pc.is_in(trimmed, _MISSING), None, trimmed)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if number and _any(filled, r"^[+-]?0[0-9]"):
        return None
    if pa.types.is_boolean(kind) and not _all(filled, r"^(?i:true|false)$"):
        return None
    try:
        return filled.cast(kind)
    except pa.ArrowInvalid:
        return None


def _types(rows: Rows, types: Sequence[pa.DataType]) -> dict[str, pa.DataType]:
    """Every column's type; string for one without a cell that is filled."""
    left = {name: list(types) for name in rows.columns}
    filled = dict.fromkeys(rows.columns, False)
    for batch in rows.batches(8192):
        for name, kinds in left.items():
            cells = batch.column(name)
            if not pa.types.is_string(cells.type):  # a path with the file that it leads to
                kinds.clear()
            left[name] = [kind for kind in kinds if read_cells(cells, kind) is not None]
            filled[name] |= bool(kinds) and not pc.all(pc.is_in(cells, _MISSING)).as_py()
    return {name: kinds[0] if kinds and filled[name] else pa.string() for name, kinds in left.items()}


def _any(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _all(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py())
