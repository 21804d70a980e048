"""Columns as the items that pictures, sounds and series are: arrays, paths, bytes, and the dicts that hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raw2vec.errors import BadInput, nearest
from raw2vec.rows.base import AS_WRITTEN


def item_column(batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
    """A column of a batch or table as items, None where nothing is.

    Tensors, nested lists of numbers and structures of `values` and `shape` (see Arrays) are NumPy arrays; with a `rate`
    as well, tuples (array, rate). Strings are paths, bytes stay bytes, other structures are dicts. Nothing within a
    list is NaN. Raises BadInput for a name that is not there, for plain numbers, and for nested lists of uneven
    lengths.
    """
    names = batch.schema.names
    if name not in names:
        raise BadInput(f"There is no column '{name}' (there are: {', '.join(names)}).{nearest(name, names)}")
    column = batch.column(name)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [item for chunk in chunks for item in _items(chunk, name)]


def _items(column: pa.Array, name: str) -> Iterable[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _items(column.dictionary_decode(), name)
    if isinstance(kind, pa.FixedShapeTensorType):
        return _tensors(column)
    if isinstance(column, pa.ExtensionArray):
        return _items(column.storage, name)
    if pa.types.is_struct(kind):
        return _structures(column, name)
    if _is_list(kind):
        return (_array(value.values, name) if value.is_valid else None for value in column)
    if _is_string(kind) or pa.types.is_null(kind):
        return column.to_pylist()
    raise BadInput(f"Column '{name}' holds {kind}: name one of arrays, of paths, or of files' bytes.")


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_string(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    files = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in (*texts, *files))


def _tensors(column: pa.Array) -> list[Any]:
    """Tensors of one shape, each an array that looks into the column's own memory."""
    if not column.null_count:
        return list(column.to_numpy_ndarray())
    there = pa.ExtensionArray.from_storage(column.type, column.storage.drop_null())
    found = iter(there.to_numpy_ndarray() if len(there) else ())
    return [next(found) if valid else None for valid in column.is_valid().to_pylist()]


def _structures(column: pa.StructArray, name: str) -> list[Any]:
    fields = {field.name: values for field, values in zip(column.type, column.flatten(), strict=True)}
    if not {"values", "shape"} <= set(fields):
        told = {key: values.to_pylist() for key, values in fields.items() if key != AS_WRITTEN}
        dicts = (dict(zip(told, item, strict=True)) for item in zip(*told.values(), strict=True))
        return [item if valid else None for item, valid in zip(dicts, column.is_valid().to_pylist(), strict=True)]
    rates = fields["rate"].to_pylist() if "rate" in fields else None
    found: list[Any] = []
    for row, (values, shape) in enumerate(zip(fields["values"], fields["shape"].to_pylist(), strict=True)):
        array = None if shape is None else _array(values.values, name).reshape(shape)
        found.append(array if rates is None or array is None else (array, rates[row]))
    return found


def _array(values: pa.Array, name: str) -> NDArray[Any]:
    """What a list holds, lists within it as further axes."""
    if not _is_list(values.type):
        if not (pa.types.is_primitive(values.type) or pa.types.is_null(values.type)):
            raise BadInput(f"Column '{name}' holds lists of {values.type}: name one of lists of numbers.")
        array = values.to_numpy(zero_copy_only=False)
        return array.astype(np.float32) if array.dtype == object else array
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    if len(lengths) > 1 or None in lengths:
        said = ", ".join("nothing" if length is None else str(length) for length in lengths[:3])
        raise BadInput(f"Column '{name}' has an item of uneven lists (lengths {said}): they need one length.")
    inner = _array(values.flatten(), name)
    return inner.reshape(len(values), *lengths, *inner.shape[1:])
