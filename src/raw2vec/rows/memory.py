"""Rows from Python's own hands: lists, tuples, dicts, arrays, data frames, Arrow tables and generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import Rows, typed_batch

_SAMPLED = 4096  # rows that a fingerprint looks at


class Memory(Rows):
    """Rows that live in memory: an Arrow table, with what to call it and its rows in a message."""

    names_at = "it"

    def __init__(self, table: pa.Table, name: str = "the data", row_name: str = "item"):
        self.table, self.name, self._row_name = table, name, row_name
        self.columns = table.schema.names

    @classmethod
    def of(cls, data: Any) -> Memory:
        """Anything with rows: see the module's first line. None and NaN are missing values.

        A list of strings is the column 'text'; tuples give columns '0', '1', …; dicts and data frames their own names.
        Raises BadInput, with the item's number, for what has no rows, or rows of different kinds.
        """
        if isinstance(data, pa.RecordBatch):
            data = pa.Table.from_batches([data])
        if isinstance(data, pa.Table):
            return cls(data, "the table", "row")
        if hasattr(data, "iloc"):
            frame = data.to_frame(data.name or "text") if hasattr(data, "to_frame") else data
            return cls(_frame_table(frame), "the data frame", "row")
        if isinstance(data, np.ndarray):
            data = data.tolist() if data.ndim == 1 else [tuple(row) for row in _two_dimensional(data)]
        if isinstance(data, Mapping):
            return cls(_columns_table(data))
        if isinstance(data, str | bytes) or not isinstance(data, Iterable):
            raise BadInput(f"Data cannot be read from a {type(data).__name__}: give a path, a list or a table.")
        return cls(_items_table(list(data)))

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        chosen = self.table if columns is None else self.table.select(list(columns))
        yield from (batch for batch in chosen.to_batches(max_chunksize=rows) if len(batch))

    def where(self, row: int) -> str:
        return f"{self.name}, {self._row_name} {row}"

    def fingerprint(self) -> str:
        """Of the columns, the number of rows, and the rows themselves: all up to 4,096, above that as many of them."""
        count = len(self.table)
        places = np.unique(np.linspace(0, max(count - 1, 0), min(count, _SAMPLED)).astype(np.int64))
        digest = blake2b(repr((count, self.columns)).encode(), digest_size=16)
        digest.update(repr(self.table.take(pa.array(places, pa.int64())).to_pydict()).encode(errors="surrogatepass"))
        return digest.hexdigest()


def _items_table(items: list[Any]) -> pa.Table:
    """One row an item, by what the first item that is there is."""
    first = next((item for item in items if not _missing(item)), None)
    if isinstance(first, Mapping):
        _same_kind(items, Mapping, "dict")
        names = list(dict.fromkeys(str(key) for item in items for key in item))
        return _columns_table({name: [item.get(name) for item in items] for name in names})
    if isinstance(first, tuple | list):
        _same_kind(items, (tuple, list), "tuple")
        odd = next((place for place, item in enumerate(items) if len(item) != len(first)), None)
        if odd is not None:
            raise BadInput(f"Item {odd} has {len(items[odd])} values, where the first has {len(first)}.")
        return _columns_table({str(place): [item[place] for item in items] for place in range(len(first))})
    return _columns_table({"text": items})


def _same_kind(items: list[Any], kind: type | tuple[type, ...], name: str) -> None:
    odd = next((place for place, item in enumerate(items) if not isinstance(item, kind)), None)
    if odd is not None:
        raise BadInput(
            f"Item {odd} is a {type(items[odd]).__name__}, where the first is a {name}: give items of one kind."
        )


def _columns_table(columns: Mapping[Any, Any]) -> pa.Table:
    values = {str(name): _plain(column, str(name)) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in values.items()}
    if len(set(lengths.values())) > 1:
        raise BadInput(
            f"The columns differ in length: {', '.join(f'{name} {count}' for name, count in lengths.items())}."
        )
    return pa.Table.from_batches([typed_batch(values, {}, lambda place: f"item {place}")])


def _plain(column: Any, name: str) -> list[object]:
    """Python values, None for what is missing; among strings, numbers are written out."""
    if isinstance(column, str | bytes) or not isinstance(column, Iterable):
        raise BadInput(f"Column '{name}' is a {type(column).__name__}: give a list of its values.")
    found = column.tolist() if hasattr(column, "tolist") else list(column)
    values = [None if _missing(item) else item.item() if isinstance(item, np.generic) else item for item in found]
    if any(isinstance(item, str) for item in values):
        return [str(item) if isinstance(item, str | int | float) else item for item in values]
    return values


def _missing(item: Any) -> bool:
    """None, and the NaN and NA with which arrays and data frames write it."""
    return item is None or (isinstance(item, float) and item != item) or type(item).__name__ in ("NAType", "NaTType")


def _two_dimensional(array: np.ndarray) -> list[list[Any]]:
    if array.ndim != 2:
        raise BadInput(f"An array of shape {array.shape} has no rows and columns: give one or two dimensions.")
    rows: list[list[Any]] = array.tolist()
    return rows


def _frame_table(frame: Any) -> pa.Table:
    return _columns_table({str(name): frame[name] for name in frame.columns})
