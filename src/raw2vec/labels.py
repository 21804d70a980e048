"""Labels as users have them, and as numbers: classes, several labels at once, real numbers, or vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.errors import BadInput

Task = Literal["classes", "labels", "numbers", "vectors"]

MOST_CLASSES = 20  # more different numbers than so are a quantity, where they are written with a decimal point


class Labels:
    """What the labels of a fit are: a task, and its names (classes or labels), scale (numbers) or width (vectors).

    Labels are `numbers` when all are floats (or digits with a decimal point) with more than 20 values, `labels` when
    they are lists or strings with '|' between the names, `vectors` when all are arrays (see `cells`), and `classes`
    otherwise. A word among numbers is refused.
    """

    def __init__(self, task: Task, names: Sequence[Any] = (), mean: float = 0.0, scale: float = 1.0, width: int = 0):
        self.task: Task = task
        self.names, self.mean, self.scale, self.width = list(names), mean, scale, width

    @classmethod
    def learn(cls, values: Sequence[Any], column: str = "label") -> Labels:
        """From all labels; BadInput names the row of one that is missing or of no use, or says that all are one."""
        if any(isinstance(value, np.ndarray) for value in values):
            return cls("vectors", width=_vectors(values, column).shape[1])
        for row, value in enumerate(values):
            _check(value, row, column)
        if any(_is_several(value) for value in values):
            return cls("labels", sorted({name for value in values for name in _names(value)}, key=str))
        if _are_numbers(values):
            return cls("numbers").scaled([_number(value, row, column) for row, value in enumerate(values)], column)
        _refuse_stray(values, column)
        names = sorted({_plain(value) for value in values}, key=lambda name: (str(type(name)), name))
        if len(names) < 2:
            shown = f" ({names[0]!r})" if names else ""
            raise BadInput(f"The column '{column}' holds one class only{shown}: there is nothing to tell apart.")
        return cls("classes", names)

    def widened(self, values: Iterable[Any], column: str = "label") -> Labels:
        """The same task with the names among these values that were never learned after those that were.

        BadInput names the row of a value that is missing or of no use.
        """
        found: dict[Any, None] = {}
        for row, value in enumerate(values):
            _check(value, row, column)
            names = [] if self.task == "numbers" else _names(value) if self.task == "labels" else [_plain(value)]
            found |= dict.fromkeys(names)
        places = self._places()
        strange = [name for name in found if name not in places and str(name) not in places]
        return Labels(self.task, [*self.names, *sorted(strange, key=str)], self.mean, self.scale)

    def _places(self) -> dict[Any, int]:
        """Each name's number, by the name and by how it reads: a file may hold 1 where another holds '1'."""
        places = list(enumerate(self.names))
        return {str(name): place for place, name in places} | {name: place for place, name in places}

    def scaled(self, values: Iterable[Any], column: str = "label") -> Labels:
        """The same task with the mean and deviation of these numbers alone; BadInput when all are one."""
        numbers = np.array([float(value) for value in values])
        scale = float(numbers.std())
        if not scale:
            raise BadInput(f"Every '{column}' is {numbers[0]:g}: there is nothing to learn from one value.")
        return Labels(self.task, self.names, float(numbers.mean()), scale)

    @property
    def outcomes(self) -> int:
        """Classes or labels; 1 for numbers, and of vectors how many numbers each has."""
        if self.task == "vectors":
            return self.width
        return 1 if self.task == "numbers" else len(self.names)

    def numbers(self, values: Iterable[Any]) -> NDArray[Any]:
        """Class numbers (B,) int64, label sets (B, C) or vectors float32, or standardised numbers (B, 1) float32."""
        values = list(values)
        if self.task == "vectors":
            return _vectors(values, "label", self.width)
        if self.task == "numbers":
            numbers = np.array([[_number(value, row)] for row, value in enumerate(values)])
            return ((numbers - self.mean) / self.scale).astype(np.float32)
        places = self._places()
        if self.task == "labels":
            sets = np.zeros((len(values), len(places)), np.float32)
            for row, value in enumerate(values):
                sets[row, [self._place(places, name, row) for name in _names(value)]] = 1
            return sets
        return np.array([self._place(places, _plain(value), row) for row, value in enumerate(values)], np.int64)

    def words(self, modes: NDArray[Any]) -> list[Any]:
        """Back from what a head says is likeliest to labels as users have them."""
        if self.task == "numbers":
            return [float(value) * self.scale + self.mean for value in modes.reshape(-1)]
        if self.task == "vectors":
            return [row.tolist() for row in modes]
        if self.task == "labels":
            return [[name for name, on in zip(self.names, row, strict=True) if on] for row in modes]
        return [self.names[int(place)] for place in modes]

    def as_dict(self) -> dict[str, Any]:
        """What a model folder keeps; the arguments of the constructor."""
        return {"task": self.task, "names": self.names, "mean": self.mean, "scale": self.scale, "width": self.width}

    def _place(self, places: dict[Any, int], name: Any, row: int) -> int:
        place = places.get(name, places.get(str(name)))
        if place is None:
            shown = ", ".join(map(repr, self.names[:8]))
            raise BadInput(f"Row {row}: the label {name!r} was not among those learned ({shown}…).")
        return place


def cells(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column of labels as Labels takes them: lists of fractions as arrays, all else as Python has it."""
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not lists or not pa.types.is_floating(kind.value_type):
        return list(column.to_pylist())
    return [None if cell.values is None else cell.values.to_numpy(zero_copy_only=False) for cell in column]


def _vectors(values: Sequence[Any], column: str, width: int = 0) -> NDArray[np.float32]:
    """Vectors (B, width) float32; BadInput names the row of one that is missing, of another width or not finite."""
    rows = [np.asarray([] if value is None else value, np.float32) for value in values]
    width = width or next((len(row) for row in rows if row.ndim == 1), 0)
    for place, row in enumerate(rows):
        if row.shape != (width,) or not width or not np.isfinite(row).all():
            found = f"{len(row)} numbers" if row.shape != (width,) else "a number that is not finite"
            raise BadInput(f"Row {place} has {found} in its '{column}', where a vector of {width or 'some'} is needed.")
    return np.stack(rows)


def _check(value: Any, row: int, column: str) -> None:
    """A label is there, and is text or a number, or several of them."""
    for name in value if isinstance(value, list | tuple | set) else [value]:
        name = _plain(name)
        if (
            name is None
            or (isinstance(name, float) and math.isnan(name))
            or (isinstance(name, str) and not name.strip())
        ):
            raise BadInput(f"Row {row} has no '{column}' (it is empty or NaN); fill it in or leave the row out.")
        if not isinstance(name, str | int | float):
            raise BadInput(f"Row {row}: its '{column}' is a {type(name).__name__}; a label is text or a number.")


def _is_several(value: Any) -> bool:
    return isinstance(value, list | tuple | set) or (isinstance(value, str) and "|" in value)


def _number(value: Any, row: int, column: str = "label") -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadInput(f"Row {row} has {value!r} for its '{column}', which is not a number.") from None
    if not math.isfinite(number):
        raise BadInput(f"Row {row} has {number} for its '{column}', which is not a finite number.")
    return number


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _names(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [name for name in value.split("|") if name]
    return [_plain(name) for name in value] if isinstance(value, list | tuple | set) else [_plain(value)]


def _are_numbers(values: Sequence[Any]) -> bool:
    if all(isinstance(value, float | np.floating) for value in values):
        return len(set(values)) > MOST_CLASSES or not all(float(value).is_integer() for value in values)
    try:
        numbers = {float(value) for value in values if isinstance(value, str)}
    except ValueError:
        return False
    return len(numbers) > MOST_CLASSES and any("." in value for value in values if isinstance(value, str))


def _refuse_stray(values: Sequence[Any], column: str) -> None:
    """BadInput for what is no number where nearly all are: as classes, every number would be one of its own."""
    told = [value for value in map(_plain, values) if _is_pointed(value)]
    if len(values) < 20 or len(told) <= 0.9 * len(values) or len({float(value) for value in told}) <= MOST_CLASSES:
        return
    for row, value in enumerate(values):
        try:
            float(value)
        except ValueError:
            raise BadInput(
                f"Row {row} has {value!r} for its '{column}', where {len(told)} of {len(values)} rows have a number "
                "with a decimal point: make it a number, or leave the row out."
            ) from None


def _is_pointed(value: Any) -> bool:
    """Whether it is a number with a decimal point."""
    try:
        return isinstance(value, float) or (isinstance(value, str) and "." in value and math.isfinite(float(value)))
    except ValueError:
        return False
