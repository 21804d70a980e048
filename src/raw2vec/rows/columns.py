"""Columns as texts: numbers written out, bytes decoded, None where nothing is; and the column to read unasked."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from raw2vec.errors import BadInput, nearest
from raw2vec.rows.base import Rows


class Guess(NamedTuple):
    """A column that nobody named, its texts' mean length in characters, and the sentence that says so."""

    column: str
    length: float
    sentence: str


def text_column(batch: pa.RecordBatch | pa.Table, name: str) -> list[str | None]:
    """A column of a batch or table as texts: numbers and dates written out, bytes decoded, None where nothing is.

    Raises BadInput for a name that is not there, for lists and structures, and for bytes that are not UTF-8.
    """
    names = batch.schema.names
    if name not in names:
        raise BadInput(f"There is no column '{name}' (there are: {', '.join(names)}).{nearest(name, names)}")
    values, kind = batch.column(name), batch.schema.field(name).type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_nested(kind):
        raise BadInput(f"Column '{name}' holds {kind}, which is no text: name a column of texts or numbers.")
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return [None if value is None else str(value) for value in values.to_pylist()]
    try:
        texts: list[str | None] = values.cast(pa.string()).to_pylist()
    except pa.ArrowInvalid:
        raise BadInput(
            f"Column '{name}' holds bytes that are not UTF-8 text: decode or convert them first, or fit with --kind "
            "image or audio if they are files of such."
        ) from None
    return texts


def one_value(kind: pa.DataType) -> bool:
    """Whether a column of this type holds one plain value a row: no list, array, structure or file's bytes."""
    files = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    many = pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType)
    return not (many or any(test(kind) for test in files))


def guess_text(rows: Rows, sample: int = 256) -> Guess:
    """The column with the longest texts on average, judged by the first rows. Only columns of strings are in question.

    Raises BadInput when no column holds strings.
    """
    batch = next(rows.batches(sample))
    lengths = {
        name: pc.mean(pc.utf8_length(batch.column(name).cast(pa.string()))).as_py() or 0.0 for name in _texts(batch)
    }
    if not lengths:
        raise BadInput(f"{rows.name} has no column of texts among {', '.join(rows.columns)}: name one with --input.")
    best = max(lengths, key=lambda name: lengths[name])
    if len(rows.columns) == 1:
        return Guess(best, lengths[best], f"Reading '{best}', the only column of {rows.name}")
    others = ", ".join(name for name in rows.columns if name != best)
    sentence = (
        f"Reading column '{best}' of {rows.name}: its texts are the longest ({lengths[best]:.0f} characters on "
        f"average); --input names another ({others})"
    )
    return Guess(best, lengths[best], sentence)


def text_columns(rows: Rows) -> list[str]:
    """The names of the columns of strings."""
    return _texts(next(rows.batches(1)))


def _texts(batch: pa.RecordBatch) -> list[str]:
    found = []
    for name, kind in zip(batch.schema.names, batch.schema.types, strict=True):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            found.append(name)
    return found


def guess_text_column(rows: Rows) -> str:
    """The name of the column that `guess_text` finds."""
    return guess_text(rows).column
