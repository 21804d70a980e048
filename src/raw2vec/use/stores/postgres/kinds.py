"""Arrow's columns as PostgreSQL's: what type each is kept as, and its values there and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import types

from raw2vec.errors import BadInput

_LONGEST = 63  # bytes of a name; PostgreSQL cuts off the rest


class Kind(NamedTuple):
    """A type's name in PostgreSQL, and whether a column of the Arrow type is kept as it."""

    name: str
    holds: Callable[[pa.DataType], bool]


_KINDS = [
    Kind("bool", types.is_boolean),
    Kind("int2", lambda kind: kind in (pa.int8(), pa.uint8(), pa.int16())),
    Kind("int4", lambda kind: kind in (pa.uint16(), pa.int32())),
    Kind("int8", lambda kind: kind in (pa.uint32(), pa.int64())),
    Kind("numeric", lambda kind: kind == pa.uint64() or types.is_decimal(kind)),
    Kind("float4", lambda kind: kind in (pa.float16(), pa.float32())),
    Kind("float8", types.is_float64),
    Kind("text", lambda kind: types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)),
    Kind(
        "bytea", lambda kind: types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    ),
    Kind("date", types.is_date),
    Kind("timestamp", lambda kind: types.is_timestamp(kind) and kind.tz is None),
    Kind("timestamptz", types.is_timestamp),
    Kind("time", types.is_time),
    Kind("jsonb", types.is_nested),
]


def kinds(schema: pa.Schema) -> list[str]:
    """PostgreSQL's type for each column, or BadInput for one that it cannot keep."""
    found = []
    for field in schema:
        kind = next((kind.name for kind in _KINDS if kind.holds(field.type)), None)
        if kind is None:
            raise BadInput(
                f"PostgreSQL cannot keep the column '{field.name}' of {field.type}. Cast it, or leave it out."
            )
        if len(field.name.encode()) > _LONGEST:
            raise BadInput(f"PostgreSQL's names have at most {_LONGEST} bytes; '{field.name}' has more. Rename it.")
        found.append(kind)
    return found


def values(table: pa.Table) -> list[Sequence[Any]]:
    """Each column's values as psycopg takes them."""
    return [_values(field, table[field.name]) for field in table.schema]


def _values(field: pa.Field, column: pa.ChunkedArray) -> Sequence[Any]:
    try:
        if types.is_timestamp(field.type):
            column = column.cast(pa.timestamp("us", field.type.tz))
        elif types.is_time64(field.type):
            column = column.cast(pa.time64("us"))
        found: list[Any] = column.to_pylist()
        return [None if one is None else _json(one) for one in found] if types.is_nested(field.type) else found
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInput(f"PostgreSQL cannot keep the column '{field.name}' of {field.type}: {error}.") from error


def _json(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    json.dumps(value, allow_nan=False)  # ValueError or TypeError for what JSON has no word for, before anything is sent
    return Jsonb(value)


def lines(schema: pa.Schema, found: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows as PostgreSQL gives them, as the Arrow columns that they were had them."""
    columns = [
        pa.array([_back(row[place], field.type) for row in found], field.type) for place, field in enumerate(schema)
    ]
    if not columns:
        return [{} for _ in found]
    told: list[dict[str, Any]] = pa.Table.from_arrays(columns, schema=schema).to_pylist()
    return told


def _back(value: Any, kind: pa.DataType) -> Any:
    return int(value) if isinstance(value, Decimal) and types.is_integer(kind) else value
