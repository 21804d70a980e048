"""Arrays and pictures that Python holds one by one, as rows: lists of them, and dicts, tuples and frames with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from io import BytesIO
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.rows.base import Kinds, Rows, typed_batch

_SAMPLED = 256  # rows that a fingerprint looks at
_NUMBERS = "buif"  # NumPy's letters for types that are plain numbers


class Objects(Rows):
    """Columns of Python values, at least one of arrays of any shapes, of sounds (array, rate), or of PIL images.

    Nothing is copied before a batch asks for it. Then arrays are structures of `values` (a list) and `shape` (a list),
    and of `rate` where they are sounds; PIL images structures of `bytes` (a PNG or TIFF file) and `path` (nothing), as
    Hugging Face's data sets have them; other columns plain values. `raw2vec.rows.item_column` makes items of them all.
    `kind` says what the first column of arrays is: 'image' (PIL, three axes, or two of uint8, uint16 or bool), 'audio'
    (with a rate, or one axis of int16) or 'series'.
    """

    name = "the data"

    def __init__(self, columns: Mapping[str, Sequence[Any]]):
        self.columns, self._values = list(columns), dict(columns)
        lengths = {key: len(values) for key, values in columns.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{key} {count}" for key, count in lengths.items())
            raise BadInput(f"The columns differ in length: {said}.")
        self._encoders = {key: _encoder(key, values) for key, values in columns.items()}
        items = next(values for values in columns.values() if _is_item(_first(values)))
        self.kind, self.alike = _kind(items), len({_size(value) for value in items if value is not None}) == 1
        self._count = max(lengths.values())

    @classmethod
    def of(cls, data: Any) -> Self | None:
        """Rows of what Memory takes, where some of it is arrays or PIL images; None where there are none.

        A list of arrays or images is one column, called by its kind; tuples give columns '0', '1', …; dicts and data
        frames their own names. Raises BadInput, by its number, for an item of another kind than the first.
        """
        columns = {key: list(values) for key, values in _columns(data).items()}
        return cls(columns) if any(_is_item(_first(values)) for values in columns.values()) else None

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(self.columns if columns is None else columns)
        for start in range(0, self._count, rows):
            yield self._batch(start, rows, names)

    def where(self, row: int) -> str:
        return f"{self.name}, item {row}"

    def fingerprint(self) -> str:
        """Of the columns, the number of rows, and the rows: all up to 256, above that as many, evenly spaced."""
        digest = blake2b(repr((self._count, self.columns)).encode(), digest_size=16)
        places = np.linspace(0, max(self._count - 1, 0), min(self._count, _SAMPLED)).astype(np.int64)
        for row in np.unique(places).tolist():
            digest.update(self._batch(row, 1, self.columns).serialize())
        return digest.hexdigest()

    def _batch(self, start: int, rows: int, names: list[str]) -> pa.RecordBatch:
        made = [self._encoders[key](self._values[key][start : start + rows], start) for key in names]
        return pa.RecordBatch.from_arrays(made, names=names)


def _columns(data: Any) -> dict[str, Any]:
    """Columns by name; none where the data has another form than those that may hold arrays."""
    if hasattr(data, "iloc"):
        return {str(key): data[key].tolist() for key in getattr(data, "columns", ())}
    if isinstance(data, Mapping):
        # A matrix beside plain columns is vectors, which Memory has as lists; pictures and series have more axes.
        sized = all(isinstance(column, np.ndarray | list | tuple) for column in data.values())
        flat = all(column.ndim < 3 for column in data.values() if isinstance(column, np.ndarray))
        lists = any(isinstance(column, list | tuple) and _is_item(_first(column)) for column in data.values())
        return {str(key): column for key, column in data.items()} if sized and (lists or not flat) else {}
    first = _first(data) if isinstance(data, list | tuple) else None
    if _is_item(first):
        return {_kind(data): data}
    if isinstance(first, Mapping) and all(isinstance(item, Mapping) for item in data):
        names = dict.fromkeys(key for item in data for key in item)
        return {str(key): [item.get(key) for item in data] for key in names}
    if isinstance(first, tuple | list) and all(isinstance(i, tuple | list) and len(i) == len(first) for i in data):
        return {str(place): [item[place] for item in data] for place in range(len(first))}
    return {}


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _is_item(value: Any) -> bool:
    return _is_array(value) or _is_sound(value) or _is_picture(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.dtype.kind in _NUMBERS


def _is_sound(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(value) == 2 and _is_array(value[0]) and isinstance(value[1], int | np.integer)
    )


def _is_picture(value: Any) -> bool:
    """A PIL image, known by what it can do: reading rows needs no Pillow."""
    return all(hasattr(value, name) for name in ("convert", "getexif", "tobytes", "save"))


def _kind(values: Sequence[Any]) -> str:
    first = _first(values)
    if not isinstance(first, np.ndarray):
        return "audio" if _is_sound(first) else "image"
    if first.ndim == 1 and first.dtype == np.int16:
        return "audio"
    pixels = first.ndim == 2 and first.dtype in (np.uint8, np.uint16, np.bool_)
    return "image" if first.ndim > 2 or pixels else "series"


def _size(value: Any) -> tuple[int, ...]:
    return tuple((value[0] if isinstance(value, tuple) else value).shape if not _is_picture(value) else value.size)


_Encoder = Callable[[Sequence[Any], int], pa.Array]


def _encoder(name: str, values: Sequence[Any]) -> _Encoder:
    """What makes a column of these values, the first of them having the number it is handed."""
    first = _first(values)
    test = next((test for test in (_is_array, _is_sound, _is_picture) if test(first)), None)
    if test is None:
        return _Plain(name)
    for number, value in enumerate(values):
        if value is not None and not test(value):
            said, known = type(value).__name__, type(first).__name__
            raise BadInput(f"Item {number} of '{name}' is a {said}, the first is a {known}: give items of one kind.")
    if test is _is_picture:
        return _pictures
    arrays = [value[0] if test is _is_sound else value for value in values if value is not None]
    return _Structures(_common_type(name, arrays), test is _is_sound)


def _common_type(name: str, arrays: Sequence[NDArray[Any]]) -> np.dtype[Any]:
    """The type that holds all of a column: wide enough, but never pixels among floats, which count otherwise."""
    kinds = {array.dtype.kind for array in arrays}
    if len(kinds) > 1:
        said = " and ".join(sorted({str(array.dtype) for array in arrays}))
        raise BadInput(f"The arrays of '{name}' are of several types ({said}): give them one.")
    wide = np.result_type(*{array.dtype for array in arrays}).newbyteorder("=")
    return np.dtype(np.float32) if wide == np.float16 else wide


class _Plain:
    """Plain values; their type is that of the first batch."""

    def __init__(self, name: str):
        self.name, self.kinds = name, Kinds()

    def __call__(self, values: Sequence[Any], start: int) -> pa.Array:
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        here = [None if isinstance(value, float) and value != value else value for value in plain]
        return typed_batch({self.name: here}, self.kinds, lambda place: f"item {start + place}").column(0)


class _Structures:
    """Arrays as their values end to end, with their shapes, and with the rates that sounds have."""

    def __init__(self, dtype: np.dtype[Any], sounds: bool):
        self.dtype, self.sounds = dtype, sounds

    def __call__(self, values: Sequence[Any], start: int) -> pa.Array:
        arrays = [value[0] if self.sounds and value is not None else value for value in values]
        flat = [np.empty(0, self.dtype) if array is None else array.astype(self.dtype).ravel() for array in arrays]
        ends = np.cumsum([0, *(len(part) for part in flat)])
        lists = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), pa.array(np.concatenate(flat)))
        shapes = pa.array([() if array is None else array.shape for array in arrays], pa.list_(pa.int64()))
        columns = {"values": lists, "shape": shapes}
        if self.sounds:
            columns["rate"] = pa.array([None if value is None else int(value[1]) for value in values], pa.int64())
        missing = pa.array([array is None for array in arrays])
        return pa.StructArray.from_arrays(list(columns.values()), names=list(columns), mask=missing)


def _pictures(values: Sequence[Any], start: int) -> pa.Array:
    files = []
    for number, picture in enumerate(values, start):
        try:
            files.append(None if picture is None else {"bytes": _file(picture), "path": None})
        except Exception as error:  # a PIL image may be read only now, and readers raise nearly anything
            raise BadInput(f"Picture {number} cannot be read ({error}): replace or remove it.") from None
    return pa.array(files, pa.struct({"bytes": pa.large_binary(), "path": pa.string()}))


def _file(picture: Any) -> bytes:
    """The picture as a file that keeps its every pixel, turned or transparent as it is."""
    to = BytesIO()
    if picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        picture.save(to, "PNG", compress_level=1, exif=picture.getexif())
    else:
        plain = {"HSV": "RGB", "RGBa": "RGBA", "La": "LA"}.get(picture.mode)
        (picture.convert(plain) if plain else picture).save(to, "TIFF", exif=picture.getexif())
    return to.getvalue()
