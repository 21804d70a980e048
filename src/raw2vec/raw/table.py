"""Rows of a table, numbers, categories and dates side by side, to one number a column, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from raw2vec.errors import BadFolder, BadInput, nearest, numbered
from raw2vec.ragged import Ragged
from raw2vec.raw.base import Form, Raw, Windows, listed
from raw2vec.raw.tabular import Categories, Numbers, Tally
from raw2vec.rows import read_cells

WHOLE_ROW = "*"
"""What stands for all columns but the label where one is named."""

_NOTE = "table.json"
_BLOCK = 8192  # rows that are learned from at once
Row = Mapping[str, Any]


class Table(Raw):
    """Rows ⇄ one number a column: Ragged values (columns, 1) float32 on grids (columns,), one window a row.

    An item is a mapping from columns to values, or a tuple, list or array of one axis, whose columns are "0", "1", ….
    Numbers, dates and times are standardised by the mean and deviation learned; strings and booleans are codes from 1,
    the most frequent first, and 0 for a value that was not learned. None and NaN are missing, and NaN. Every row has
    the columns learned, None where nothing is; at encoding others are ignored.

    leave_out: columns that are no part of an item (a label, an identity). most: values that a column of strings keeps,
    of those that are there `least` times.
    """

    def __init__(self, leave_out: Sequence[str] = (), most: int = 1000, least: int = 1):
        if isinstance(leave_out, str):
            raise BadInput(f"leave_out is the text '{leave_out}': give a list of columns, as in ['{leave_out}']")
        if most < 1 or least < 1:
            raise BadInput(f"most is {most} and least is {least}: both are at least 1")
        self.settings: dict[str, Any] = {"leave_out": [str(name) for name in leave_out], "most": most, "least": least}
        self._columns: list[Numbers | Categories] = []

    @property
    def form(self) -> Form:
        columns = self._learned()
        known = tuple(len(column.values) if isinstance(column, Categories) else 0 for column in columns)
        return Form(channels=1, shape=(len(columns),), categories=known)

    @property
    def columns(self) -> list[str]:
        """The columns' names, in the order of an item's values."""
        return [column.name for column in self._learned()]

    def learn(self, items: Iterable[Any]) -> None:
        """Means and deviations, and which values there are.

        Raises BadInput, with its row and column, for an infinite number, for values of several kinds in one column and
        for a column that not all rows have; and where there is nothing to learn from.
        """
        tallies: dict[str, Tally] = {}
        stream = iter(numbered(items))
        while block := list(islice(stream, _BLOCK)):
            rows, numbers = [_row(number, item) for number, item in block], [number for number, _ in block]
            tallies = tallies or {name: Tally(name) for name in rows[0] if name not in self.settings["leave_out"]}
            self._check_none_is_late(rows, tallies, numbers)
            for name, values in _values(rows, list(tallies), numbers).items():
                tallies[name].add(values, numbers)
        if not tallies:
            raise BadInput("There are no rows with a column to learn from")
        self._columns = [tally.learned(self.settings["most"], self.settings["least"]) for tally in tallies.values()]

    def windows(self, items: Iterable[Any]) -> Windows:
        """Every row as one window, nothing ever cut.

        Raises BadInput, with its row and column, for a column that a row has not, a value of another kind than learned,
        and a number that is infinite or too far out for float32.
        """
        columns, pairs = self._learned(), list(numbered(items))
        count, numbers = len(pairs), [number for number, _ in pairs]
        given = _values([_row(number, item) for number, item in pairs], self.columns, numbers)
        values = np.empty((count, len(columns)), np.float32)
        for place, column in enumerate(columns):
            values[:, place] = column.encode(given[column.name], numbers)
        elements = torch.full((count,), len(columns), dtype=torch.long)
        ragged = Ragged(torch.from_numpy(values).view(-1, 1), elements[:, None])
        return Windows(ragged, torch.arange(count), elements, torch.zeros_like(elements))

    def restore(self, ragged: Ragged) -> list[dict[str, Any]]:
        """Rows as dicts of plain values: integers rounded, dates as such, None for what is missing or not known."""
        columns = self._learned()
        values = ragged.values.detach().cpu().numpy().reshape(len(ragged), len(columns))
        restored = [column.restore(values[:, place]) for place, column in enumerate(columns)]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*restored, strict=True)]

    def column(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[dict[str, Any]]:
        """Rows of one column, or for "*" of all columns but those left out. Strings are read as what was learned."""
        names = batch.schema.names
        if name != WHOLE_ROW and name not in names:
            raise BadInput(f"There is no column '{name}' (there are: {', '.join(names)}).{nearest(name, names)}")
        chosen = [name] if name != WHOLE_ROW else [each for each in names if each not in self.settings["leave_out"]]
        known = {column.name: column for column in self._columns}
        values = {each: _values_as(known.get(each), batch.column(each)) for each in chosen}
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        """Rows of a data frame, an Arrow table, an array (n, columns) or a list.

        A mapping is a single row, as is a tuple, an array of one axis or a data frame's own row.
        """
        if isinstance(inputs, pa.Table | pa.RecordBatch):
            return _arrow_rows(inputs), False
        if hasattr(inputs, "iloc"):
            return ([inputs.to_dict()], True) if inputs.ndim == 1 else (_frame_rows(inputs), False)
        single = isinstance(inputs, Mapping | tuple) or (isinstance(inputs, np.ndarray) and inputs.ndim == 1)
        return ([inputs], True) if single else (listed(inputs), False)

    def freeze(self, item: Any, number: int | None = None) -> Tensor:
        """The row as JSON, in which a date or time is told by its kind: bytes (n,)."""
        content = json.dumps(dict(_row(number or 0, item)), default=_frozen).encode()
        return torch.frombuffer(bytearray(content), dtype=torch.uint8)

    def thaw(self, tensor: Tensor) -> dict[str, Any]:
        row = json.loads(tensor.numpy().tobytes())
        return {name: _thawed(value) if isinstance(value, dict) else value for name, value in row.items()}

    def identity(self) -> str:
        return json.dumps({"columns": [asdict(column) for column in self._learned()]}, indent=2)

    def save(self, folder: str | Path) -> None:
        """Writes table.json: each column's name and kind, with its mean and deviation, or its values."""
        Path(folder, _NOTE).write_text(self.identity() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Self:
        path, made = Path(folder, _NOTE), cls(**settings)
        try:
            known = json.loads(path.read_text(encoding="utf-8"))["columns"]
            made._columns = [Categories(**each) if "values" in each else Numbers(**each) for each in known]
        except FileNotFoundError:
            raise BadFolder(f"{folder} has no {_NOTE}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise BadFolder(f"{path} is damaged ({error})") from None
        return made

    def _learned(self) -> list[Numbers | Categories]:
        if not self._columns:
            raise BadInput("This Table has learned no columns yet: call learn(rows) or load(folder, settings) first")
        return self._columns

    def _check_none_is_late(self, rows: Sequence[Row], names: Iterable[str], numbers: Sequence[int]) -> None:
        """A column that the first row has not would be lost without a word."""
        known = {*names, *self.settings["leave_out"]}
        for number, row in zip(numbers, rows, strict=True):
            if not row.keys() <= known:
                late = next(name for name in row if name not in known)
                raise BadInput(
                    f"Row {number} has a column '{late}', which the first row has not: give every row the same "
                    f"columns, None where nothing is"
                )


def _row(number: int, item: Any) -> Row:
    """An item with its columns' names."""
    if isinstance(item, Mapping):
        return item if isinstance(next(iter(item), ""), str) else {str(name): value for name, value in item.items()}
    if isinstance(item, np.ndarray) and item.ndim == 1:
        item = item.tolist()
    if not isinstance(item, tuple | list):
        raise BadInput(f"Row {number} is a {type(item).__name__}: give a dict, a tuple or an array of one axis")
    return dict(zip(_numbered(len(item)), item, strict=True))


@lru_cache
def _numbered(columns: int) -> tuple[str, ...]:
    return tuple(map(str, range(columns)))


def _values(rows: Sequence[Row], names: Sequence[str], numbers: Sequence[int]) -> dict[str, list[Any]]:
    """The rows' values, column by column."""
    try:
        return {name: [row[name] for row in rows] for name in names}
    except KeyError:
        number, row = next(pair for pair in zip(numbers, rows, strict=True) if not pair[1].keys() >= set(names))
        name = next(name for name in names if name not in row)
        has = ", ".join(f"'{each}'" for each in row)
        raise BadInput(f"Row {number} has no column '{name}' (it has: {has or 'none'}).{nearest(name, row)}") from None


def _arrow_rows(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _values_as(known: Numbers | Categories | None, column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values; strings, as a csv has them, of the kind that was learned where they can be read as it."""
    values: list[Any] = column.to_pylist()
    if known is None or not pa.types.is_string(column.type) or "" in getattr(known, "values", ()):
        return values
    kind = known.arrow
    read = read_cells(column, kind)
    if read is None:  # a cell that cannot be read stays as it is written, for `windows` to refuse with its row
        cells = [(value, read_cells(pa.array([value], pa.string()), kind)) for value in values]
        return [value if found is None else found[0].as_py() for value, found in cells]
    return read.to_pylist()


def _frame_rows(frame: Any) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    columns = [frame.iloc[:, place].tolist() for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _frozen(value: Any) -> Any:
    """What JSON has no word for: dates, times, and the numbers of arrays and data frames. The rest is not learned."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime):
        return {"timestamp": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if isinstance(value, np.generic) else repr(value)


def _thawed(value: Mapping[str, str]) -> date | datetime:
    [(kind, written)] = value.items()
    return date.fromisoformat(written) if kind == "date" else datetime.fromisoformat(written)
