"""What stands beside the vectors: the user's columns checked, and the words that a text is found by."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from raw2vec.errors import BadInput, nearest

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")


class Misfit(BadInput):
    """Columns that are not as the store's rows have them."""


def fitted(
    columns: pa.Table | pa.RecordBatch | None, count: int, schema: pa.Schema | None, text: str | None
) -> pa.Table:
    """Columns for `count` vectors in the `schema` of the rows already there; None for the first, which settle it."""
    table = pa.table({}) if columns is None else columns
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if columns is not None and len(table) != count:
        raise BadInput(f"There are {count} vectors and {len(table)} rows of columns. Give one row for each vector.")
    return _settled(table, text) if schema is None else _alike(table, schema)


def _settled(table: pa.Table, text: str | None) -> pa.Table:
    names: list[str] = table.schema.names
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"There are two columns named '{name}'. Rename one.")
        if not name or name.startswith("_") or name == "vector" or set(name) & set(".`"):
            raise BadInput(
                f"A store cannot keep a column named '{name}': names that start with '_', hold a '.' or a '`', are "
                "empty or are 'vector' are taken. Rename it."
            )
    if text is not None and text not in names:
        raise BadInput(f"The store's text column '{text}' is not among the columns.{nearest(text, names)}")
    schema = pa.schema([(field.name, _kept_as(field.type)) for field in table.schema])
    if text is not None and schema.field(text).type not in (pa.string(), pa.large_string()):
        raise BadInput(f"The text column '{text}' must hold text, not {schema.field(text).type}.")
    return table.cast(schema)


def _kept_as(kind: pa.DataType) -> pa.DataType:
    """The type a column is stored as: dictionaries as their values, a column of nothing as text."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.string() if pa.types.is_null(kind) else kind


def _alike(table: pa.Table, schema: pa.Schema) -> pa.Table:
    names: list[str] = table.schema.names
    for name in schema.names:
        if names.count(name) != 1:
            raise Misfit(
                f"The column '{name}', which this store's rows have, is missing.{nearest(name, names)} Rename one to "
                "it, or name another --store."
            )
    for name in names:
        if name not in schema.names:
            raise Misfit(
                f"This store's rows have no column '{name}'.{nearest(name, schema.names)} Rename or leave it out, or "
                "name another --store."
            )
    arrays = []
    for field in schema:
        try:
            arrays.append(table[field.name].cast(field.type))
        except pa.ArrowException as error:
            kind = table.schema.field(field.name).type
            raise Misfit(
                f"The column '{field.name}' holds {kind}, which does not fit the store's {field.type} "
                f"({str(error).splitlines()[0].rstrip('.')}): give it such values, or name another --store."
            ) from error
    return pa.Table.from_arrays(arrays, schema=schema)


def rising(positions: ArrayLike, count: int) -> NDArray[np.int64]:
    """`positions` as (count,) int64, or BadInput unless they are integers from 0 that rise."""
    array = np.asarray(positions)
    if array.shape != (count,) or (count and (array.dtype.kind not in "iu" or array[0] < 0)):
        raise BadInput(f"The positions must be {count} integers from 0 up, one for each vector.")
    if not np.all(array[1:] > array[:-1]):
        raise BadInput("The positions must rise from one vector to the next.")
    return array.astype(np.int64)


def joined(
    first: int,
    vectors: NDArray[np.float32],
    table: pa.Table,
    source: str,
    positions: NDArray[np.int64],
    text: str | None,
) -> pa.Table:
    """The rows as the store keeps them, numbered from `first`; `table` may have no columns."""
    count, width = vectors.shape
    rows = {
        "_row": pa.array(np.arange(first, first + count)),
        "_source": pa.array([source] * count, pa.string()),
        "_position": pa.array(positions),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width),
    }
    rows |= {name: table[name] for name in table.schema.names}
    if text is not None:
        rows["_words"] = pa.array([words(line) for line in table[text].to_pylist()], pa.string())
    return pa.table(rows)


def words(text: str | None) -> str:
    """What a text is found by: its words in lower case, identifiers whole and in parts (parse_url: also parse, url)."""
    found: list[str] = []
    for word in re.findall(r"\w+", text or ""):
        parts = [part for part in _HUMP.split(word) if part]
        found += [word] if parts == [word] else [word, *parts]
    return " ".join(found).lower()
