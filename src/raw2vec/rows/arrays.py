"""NumPy arrays as rows, from memory or from files: pictures, series and tables of numbers, mapped rather than read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.rows.base import WHOLE, Rows

_SAMPLED = 1024  # rows that a fingerprint looks at, at a time or, of very many, in all
_NUMBERS = "buif"  # NumPy's letters for types that are plain numbers
_OF_OBJECTS = ("Python objects in dtype", "Object arrays cannot")  # what NumPy says of them, in an .npy and an .npz


class Arrays(Rows):
    """Columns that are arrays of as many rows, the first axis counting rows.

    An array of two axes or more becomes, batch by batch and without a copy, Arrow's tensors of a fixed shape, which
    `raw2vec.rows.item_column` makes arrays again; one of one axis becomes plain values, NaN being missing. `kind` says
    what the first column is: 'image' (uint8, uint16, bool, or rows of three axes), 'series' (other numbers) or 'table'
    (numbers of one axis). A first column of another name answers to its kind as well.
    """

    alike = True

    def __init__(
        self,
        columns: Mapping[str, NDArray[Any]],
        kind: str,
        name: str = "the data",
        row_name: str = "item",
        skipped: Sequence[str] = (),
        folder: Path | None = None,
    ):
        self.kind, self.name, self.skipped, self._row_name = kind, name, skipped, row_name
        self.paths_from = folder
        self.columns, self._arrays = list(columns), dict(columns)
        self._count = len(next(iter(columns.values())))
        for key, array in columns.items():
            if array.dtype.kind not in _NUMBERS and not (array.dtype.kind == "U" and array.ndim == 1):
                raise BadInput(f"{name}: the array '{key}' holds {array.dtype}, not plain numbers: convert it first.")
            if self._count and not array[:1].size:
                raise BadInput(f"{name}: the array '{key}' has the shape {array.shape}: its rows are empty.")

    @classmethod
    def of(cls, array: NDArray[Any], kind: str | None = None) -> Self:
        """An array of three axes or more: rows of one column, 'image' or 'series'; of two, where it is of that kind."""
        kind = kind or _kind(array)
        return cls({kind: array}, kind)

    @classmethod
    def open(
        cls, path: str | Path, wanted: Sequence[str] = (), name: str | None = None, kind: str | None = None
    ) -> Self:
        """A .npy file, memory-mapped, or those arrays of a .npz that go together.

        An array of three axes or more is the column 'image' or 'series' (of a .npz: of its own name), one of two is a
        table with the columns '0', '1', …, or, where the `kind` is series, (n, time); one of one axis the column '0'.
        Of a .npz the array with the most axes is read, the first of several, and with it those of one axis, and those
        wanted, that are as long; one that is `wanted`, or as long as what is wanted, comes before others. What is left
        out is named in `skipped`.
        """
        name = name or str(path)
        found = _loaded(Path(path), name)
        if isinstance(found, np.ndarray):
            if kind == "series" and found.ndim == 2:
                return cls({kind: found}, kind, name, "row")
            columns = _columns(found, _kind(found))
            return cls(columns, _kind(found), name, "row")
        main = _main(found, wanted)
        count = len(found[main])
        beside = [key for key, array in found.items() if len(array) == count and (array.ndim == 1 or key in wanted)]
        columns = _columns(found[main], main) | {key: found[key] for key in beside if key != main}
        skipped = [
            f"the array '{key}' {array.shape} does not go with '{main}' {found[main].shape}"
            for key, array in found.items()
            if key != main and key not in beside
        ]
        return cls(columns, _kind(found[main]), name, "row", skipped, Path(path).parent)

    def column(self, wanted: str) -> str:
        return self.columns[0] if wanted == self.kind and wanted not in self.columns else super().column(wanted)

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(self.columns if columns is None else columns)
        for start in range(0, self._count, rows):
            made = [_arrow(self._arrays[key][start : start + rows]) for key in names]
            yield pa.RecordBatch.from_arrays(made, names=names)

    def where(self, row: int) -> str:
        return f"{self.name}, {self._row_name} {row}"

    def fingerprint(self) -> str:
        """Of names, types, shapes and content: all of it up to 16 GB, above that rows evenly spaced."""
        about = [(key, array.dtype.str, array.shape) for key, array in self._arrays.items()]
        digest = blake2b(repr(about).encode(), digest_size=16)
        size = sum(array.nbytes for array in self._arrays.values())
        places = np.unique(np.linspace(0, max(self._count - 1, 0), min(self._count, _SAMPLED)).astype(np.int64))
        parts = [places] if size > WHOLE else [slice(at, at + _SAMPLED) for at in range(0, self._count, _SAMPLED)]
        for array in self._arrays.values():
            for part in parts:
                digest.update(np.ascontiguousarray(array[part]).tobytes())
        return digest.hexdigest()


def _main(arrays: Mapping[str, NDArray[Any]], wanted: Sequence[str]) -> str:
    asked = [key for key in wanted if key in arrays]
    lengths = {len(arrays[key]) for key in asked}
    matching = [key for key, array in arrays.items() if len(array) in lengths]
    candidates = [key for key in asked if arrays[key].ndim > 1] or matching or list(arrays)
    return max(candidates, key=lambda key: arrays[key].ndim)


def _kind(array: NDArray[Any]) -> str:
    if array.ndim < 3:
        return "table"
    return "image" if array.ndim > 3 or array.dtype in (np.uint8, np.uint16, np.bool_) else "series"


def _columns(array: NDArray[Any], name: str) -> dict[str, NDArray[Any]]:
    if array.ndim > 2:
        return {name: array}
    return {str(place): column for place, column in enumerate(array.reshape(len(array), -1).T)}


def _arrow(values: NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values.astype(_arrow_type(values.dtype)), from_pandas=True)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)  # Arrow's tensors have no bits: white is 255
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values, _arrow_type(values.dtype)))


def _arrow_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The machine's own byte order, and no half or longer precision, which not all of Arrow knows."""
    wide = dtype.kind == "f" and dtype.itemsize not in (4, 8)
    return np.dtype(np.float32 if dtype.itemsize == 2 else np.float64) if wide else dtype.newbyteorder("=")


def _loaded(path: Path, name: str) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """The array of a .npy, left on disk where it can be, or those of a .npz by name."""
    try:
        found = np.load(path, mmap_mode="r")
        if isinstance(found, np.ndarray):
            arrays = {"": found}
        else:
            with found:
                arrays = {key: found[key] for key in found.files}
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror or 'it is no NumPy file, or cut short'}.") from None
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, SyntaxError) as error:
        reason = str(error).splitlines()[0] if str(error) else "cut short"
        if any(said in reason for said in _OF_OBJECTS):
            raise BadInput(
                f"{name} holds Python objects, not plain numbers: give series of different lengths as a parquet whose "
                "column holds lists, or, with --kind series, as a folder of .npy files of one each."
            ) from None
        raise BadInput(f"{name} cannot be read as NumPy arrays of plain numbers ({reason}).") from None
    with_rows = {key: array for key, array in arrays.items() if array.ndim}
    if not with_rows:
        raise BadInput(f"{name} holds no array with rows: give one with an axis or more.")
    return with_rows[""] if isinstance(found, np.ndarray) else with_rows
