"""The columns of a table, each by itself: what is learned of its values, and the way to a number and back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raw2vec.errors import BadInput

Kind = Literal["number", "integer", "timestamp", "date", "text", "boolean"]
Standard = NDArray[np.float32]

_DAY = 86400
_CALENDAR = (-62135510400.0, 253402214400.0)  # Python's own, less a day at both ends for time zones
_TAKEN: dict[Kind, tuple[Kind, ...]] = {
    "number": ("number", "integer"),
    "integer": ("number", "integer"),
    "timestamp": ("timestamp", "date"),
    "date": ("timestamp", "date"),
    "text": ("text",),
    "boolean": ("boolean",),
}
_PLURAL: dict[Kind, str] = {
    "number": "numbers",
    "timestamp": "dates and times",
    "text": "texts",
    "boolean": "true and false",
}


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, standardised; dates and times are seconds since 1970, `zone` their time zone if any."""

    name: str
    kind: Kind
    mean: float
    deviation: float
    zone: str | None = None

    @property
    def arrow(self) -> pa.DataType:
        """The column's type in Arrow."""
        if self.kind == "timestamp":
            return pa.timestamp("us", self.zone)
        return pa.date32() if self.kind == "date" else pa.float64()

    def encode(self, values: Sequence[Any], rows: Sequence[int]) -> Standard:
        """(n,) float32, NaN for what is missing. BadInput, with its row, for what is no finite number."""
        numbers = _numbers(_array(self.name, values, _TAKEN[self.kind], rows))
        # Too far out for float32, a number is infinite: said below.
        with np.errstate(over="ignore"):
            standard = ((numbers - self.mean) / self.deviation).astype(np.float32)
        _check_finite(self.name, standard, values, rows)
        return standard

    def restore(self, standard: Standard) -> list[Any]:
        """Values (n,) as Python has them, None for NaN; integers rounded."""
        missing = np.isnan(standard)
        numbers = self.mean + self.deviation * np.where(missing, 0, standard).astype(np.float64)
        if self.kind == "date":
            days = np.rint(numbers.clip(*_CALENDAR) / _DAY).astype(np.int32)
            return _listed(pa.array(days, mask=missing).cast(pa.date32()))
        if self.kind == "timestamp":
            micros = np.rint(numbers.clip(*_CALENDAR) * 1e6).astype(np.int64)
            return _listed(pa.array(micros, mask=missing).cast(pa.timestamp("us", self.zone)))
        plain = [round(number) for number in numbers.tolist()] if self.kind == "integer" else numbers.tolist()
        return [None if gone else number for number, gone in zip(plain, missing.tolist(), strict=True)]


@dataclass(frozen=True)
class Categories:
    """A column of strings or booleans: the values known, whose codes are their places from 1."""

    name: str
    kind: Kind
    values: list[Any]

    @property
    def arrow(self) -> pa.DataType:
        """The column's type in Arrow."""
        return pa.bool_() if self.kind == "boolean" else pa.string()

    def encode(self, values: Sequence[Any], rows: Sequence[int]) -> Standard:
        """Codes (n,) as float32, 0 for a value that is not known, NaN for what is missing.

        Numbers among texts are written out, as readers of files do. BadInput, with its row, for one of another kind.
        """
        if self.kind == "text":
            values = [_written(value) for value in values]
        array = _array(self.name, values, _TAKEN[self.kind], rows)
        missing = array.is_null().to_numpy(zero_copy_only=False)
        if missing.all():
            return np.full(len(values), np.nan, np.float32)
        places = pc.index_in(array, value_set=pa.array(self.values, array.type)).fill_null(-1)
        return np.where(missing, np.nan, places.to_numpy(zero_copy_only=False) + 1).astype(np.float32)

    def restore(self, standard: Standard) -> list[Any]:
        """The codes' values (n,), None for NaN and for what is not known."""
        known = np.array([None, *self.values], dtype=object)
        places = np.rint(np.nan_to_num(standard)).clip(0, len(self.values)).astype(np.int64)
        return list(known[places])


@dataclass
class Tally:
    """What is learned of one column while its values stream by."""

    name: str
    kind: Kind | None = None
    zone: str | None = None
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    values: Counter[Any] = field(default_factory=Counter)

    def add(self, values: Sequence[Any], rows: Sequence[int]) -> None:
        """More values, those of these rows. BadInput, with its row, for one of another kind or infinite."""
        array = _array(self.name, values, None if self.kind is None else _TAKEN[self.kind], rows)
        kind = _kind(array.type)
        if kind is None:
            return
        self.kind = kind if self.kind in (None, kind) else _TAKEN[kind][0]
        if kind in ("text", "boolean"):
            self.values.update({pair["values"]: pair["counts"] for pair in _listed(pc.value_counts(array.drop_null()))})
            return
        self.zone = self.zone or getattr(array.type, "tz", None)
        numbers = _numbers(array)
        _check_finite(self.name, numbers, values, rows)
        self._merge(numbers[~np.isnan(numbers)])

    def learned(self, most: int, least: int) -> Numbers | Categories:
        """The column, with its mean and deviation or the `most` frequent of the values seen `least` times."""
        if self.kind in ("text", "boolean"):
            ordered = sorted(self.values.items(), key=lambda pair: (-pair[1], pair[0]))
            known = [value for value, times in ordered[:most] if times >= least]
            if not known:
                raise BadInput(
                    f"Column '{self.name}' has no value that is there {least} times: leave it out, or lower least"
                )
            return Categories(self.name, self.kind, known)
        deviation = math.sqrt(self.squares / max(self.count, 1))
        if not math.isfinite(deviation):
            raise BadInput(f"The numbers of column '{self.name}' are too large to have a deviation: scale them down")
        # A constant column: what is left is rounding, and must not become the unit.
        constant = deviation <= 1e-12 * abs(self.mean)
        return Numbers(self.name, self.kind or "number", self.mean, 1.0 if constant else deviation, self.zone)

    def _merge(self, numbers: NDArray[np.float64]) -> None:
        """Mean and sum of squares of two parts from those of each (Chan, Golub & LeVeque 1983)."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(numbers.mean())
            squares = float(np.square(numbers - mean).sum())
        total, apart = self.count + len(numbers), mean - self.mean
        self.squares += squares + apart * apart * self.count * len(numbers) / total
        self.mean += apart * len(numbers) / total
        self.count = total


def _array(name: str, values: Sequence[Any], taken: Sequence[Kind] | None, rows: Sequence[int]) -> pa.Array:
    """Values as Arrow has them, null for None and NaN, all of a kind that is taken; None takes any one."""
    array = _read(values)
    # Among times a date is its midnight: Arrow refuses it, or drops the time of day where a date comes first.
    doubtful = array is None or pa.types.is_date(array.type)
    if doubtful and any(isinstance(value, datetime) for value in values):
        array = _read([_timed(value) for value in values])
    if array is None:
        _refuse(name, values, taken, rows)
    if _is_empty(array):
        return pa.nulls(len(array))
    kind = _kind(array.type)
    # Arrow takes a number among dates for days, and among times for microseconds.
    mixed = kind in ("date", "timestamp") and any(_is_number(value) for value in values)
    if mixed or kind is None or (taken is not None and kind not in taken):
        _refuse(name, values, taken, rows)
    return array


def _read(values: Sequence[Any]) -> pa.Array | None:
    """Values as Arrow reads them, None where it cannot."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _is_empty(array: pa.Array) -> bool:
    return bool(pc.all(array.is_null(nan_is_null=True), min_count=0).as_py())


def _kind(kind: pa.DataType) -> Kind | None:
    tests: dict[Kind, tuple[Any, ...]] = {
        "number": (pa.types.is_floating, pa.types.is_decimal),
        "integer": (pa.types.is_integer,),
        "timestamp": (pa.types.is_timestamp,),
        "date": (pa.types.is_date,),
        "text": (pa.types.is_string, pa.types.is_large_string),
        "boolean": (pa.types.is_boolean,),
    }
    return next((name for name, known in tests.items() if any(test(kind) for test in known)), None)


def _timed(value: Any) -> Any:
    return datetime(value.year, value.month, value.day) if type(value) is date else value


def _refuse(name: str, values: Sequence[Any], taken: Sequence[Kind] | None, rows: Sequence[int]) -> NoReturn:
    """Which value it is that cannot stand here, found one by one: only a mistake is that slow."""
    for row, value in zip(rows, values, strict=True):
        array = _read([value])
        if array is not None and _is_empty(array):
            continue
        kind = None if array is None else _kind(array.type)
        if kind is None:
            raise BadInput(
                f"Row {row}, column '{name}' holds {_said(value)}, which is no number that fits, no text, no date and "
                f"not true or false: change it, or leave the column out"
            )
        taken = taken or _TAKEN[kind]
        if kind not in taken:
            raise BadInput(
                f"Row {row}, column '{name}' holds {_said(value)}, where the column holds {_PLURAL[taken[0]]}: give it "
                f"values of one kind, and None where one is missing"
            )
    raise BadInput(f"Column '{name}' holds numbers or dates that do not go together: write all of them in one way")


def _said(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}…"


def _numbers(array: pa.Array) -> NDArray[np.float64]:
    """Numbers as they are, dates and times as seconds since 1970, NaN for null."""
    if pa.types.is_temporal(array.type):
        micros = array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False).cast(pa.int64())
        return np.asarray(micros.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / 1e6)
    return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _check_finite(name: str, numbers: NDArray[Any], values: Sequence[Any], rows: Sequence[int]) -> None:
    if np.isinf(numbers).any():
        place = int(np.isinf(numbers).argmax())
        raise BadInput(
            f"Row {rows[place]}, column '{name}' holds {_said(values[place])}, which is infinite or too far from "
            f"what the column holds: correct it, or write None for what is missing"
        )


def _written(value: Any) -> Any:
    """Numbers as texts."""
    return str(value) if _is_number(value) else None if isinstance(value, float | np.floating) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and value == value


def _listed(array: pa.Array) -> list[Any]:
    listed: list[Any] = array.to_pylist()
    return listed
