"""Predictions beside their rows, one batch in memory at a time. It needs PyTorch and Arrow: see `base.heavy`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raw2vec.disk import replacing
from raw2vec.errors import BadInput, NumberedList, Unreadable, spared
from raw2vec.measure import columns_of
from raw2vec.rows import Rows, Typed, one_value, written
from raw2vec.sides import column_side, told
from raw2vec.system import Raw2Vec
from raw2vec.use.base import present
from raw2vec.use.classify import Predicted, predicted, supervised
from raw2vec.use.zero_shot import PLAIN

ROWS = 4096  # at a time


@dataclass(frozen=True)
class Teller:
    """What tells classes, labels or numbers from vectors (n, L): `names` are what it chooses from."""

    task: str
    names: list[Any]
    tell: Callable[[NDArray[np.float32]], Predicted]


def teller(model: Raw2Vec, labels: Sequence[str] | None, templates: Sequence[str] | None) -> Teller:
    """The model's own head, or the names in `labels` by their meaning, each in these `templates`."""
    if labels is None:
        _, known = supervised(model.parts_)
        return Teller(known.task, known.names, partial(predicted, model.parts_))
    named = model.classes(labels, templates or PLAIN)
    return Teller("classes", named.names, named.predicted)


class Predictions:
    """What a model says of every row of `data`, in order; `items`, `truncated` and `empty` count what has gone by.

    unreadable: files of it that cannot be read, which get no prediction, by their rows.
    """

    def __init__(self, model: Raw2Vec, data: str, column: str | None, teller: Teller, progress: Callable[[int], None]):
        self.model, self.teller, self.progress = model, teller, progress
        self.source, columns = columns_of(model.parts_, data, told(model.parts_), input=column)
        self.column = columns["input"]
        self.side = column_side(model.parts_, self.source, self.column)
        self.items = self.truncated = self.empty = 0
        self.unreadable: dict[int, Unreadable] = {}
        self.replaced = [name for name in self._names() if name in self.source.columns]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each row's number, its text or path if it is one, its prediction and, for classes, that one's probability."""
        for batch, items, said in self._batches(self.source):
            start = self.items - len(items)
            if self.column in batch.schema.names:  # a path as it is written
                items = written(pa.Table.from_batches([batch])).column(self.column).to_pylist()
            told = {self.column: items} if all(item is None or isinstance(item, str) for item in items) else {}
            columns = {"row": range(start, self.items), **told, **said}
            for values in zip(*columns.values(), strict=True):
                yield dict(zip(columns, values, strict=True))

    def write(self, out: str) -> None:
        """All rows with their columns and the predictions, in a file that appears whole or not at all.

        The cells of a csv are written as what they stand for; a csv or jsonl goes without what it has no room for.
        """
        with replacing(Path(out)) as partial, open(partial, "wb") as file:
            self._write(file, Path(out).suffix)

    def _write(self, file: IO[bytes], suffix: str) -> None:
        writer: _Writer | None = None
        carried = Typed(self.source, texts=[self.column]) if self.source.written else self.source
        for batch, _, said in self._batches(carried):
            table = self._beside(batch, said)
            writer = writer or _WRITERS[suffix](file, table.schema)
            writer.write_table(table.cast(writer.schema))
        if writer is None:
            raise BadInput(f"{self.source.name} has no rows to predict.")
        writer.close()

    def _batches(self, carried: Rows) -> Iterator[tuple[pa.RecordBatch, list[Any], dict[str, list[Any]]]]:
        """The rows' batches as `carried` has them, their items, and what is said of those: None where nothing is."""
        for batch, own in zip(carried.batches(ROWS), self.source.batches(ROWS), strict=True):
            items = self.model.parts_.raw.side(self.side).column(own, self.column)
            there = present(items)
            said: dict[str, list[Any]] = {name: [None] * len(items) for name in self._names()}
            if there:
                numbers = [self.items + place for place in there]
                given = NumberedList(numbers, (items[place] for place in there), self.unreadable)
                found = self.model.encoded(given, side=self.side)
                gone = set(spared(given))
                for name, values in self._say(found.vectors).items():
                    for at, (place, value) in enumerate(zip(there, values, strict=True)):
                        said[name][place] = None if at in gone else value
                self.truncated += int((found.truncated > 0).sum())
            self.items += len(items)
            self.empty += len(items) - len(there)
            self.progress(len(items))
            yield batch, items, said

    def _names(self) -> list[str]:
        return ["prediction", "probability"] if self.teller.task == "classes" else ["prediction"]

    def _say(self, vectors: NDArray[np.float32]) -> dict[str, list[Any]]:
        found = self.teller.tell(vectors)
        said: dict[str, list[Any]] = {"prediction": found.labels.tolist()}
        if self.teller.task == "classes":
            said["probability"] = found.probabilities.max(axis=1).tolist()
        return said

    def _beside(self, batch: pa.RecordBatch, said: dict[str, list[Any]]) -> pa.Table:
        """The batch with the predictions as its last columns, in place of older ones of the same names."""
        table = written(pa.Table.from_batches([batch]))
        table = table.drop_columns([name for name in said if name in table.column_names])
        for name, values in said.items():
            kind = _kind(name, self.teller.task, self.teller.names)
            table = table.append_column(name, pa.array(values, kind))
        return table


def _kind(name: str, task: str, names: list[Any]) -> pa.DataType:
    """The Arrow type of a column of predictions: the same in every batch, whatever the batch holds."""
    if name == "probability" or task == "numbers":
        return pa.float64()
    return pa.list_(pa.string()) if task == "labels" else pa.array(names).type


class _Writer(Protocol):
    """What the three formats have in common."""

    schema: pa.Schema

    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


class _Csv:
    """Lists of names become names with '|' between them, as labels are read; other lists and arrays are left out."""

    def __init__(self, file: IO[bytes], schema: pa.Schema):
        self.schema, self.file, self.first = schema, file, True

    def write_table(self, table: pa.Table) -> None:
        table = table.select([column.name for column in table.schema if one_value(column.type) or _names(column.type)])
        for place, column in enumerate(table.schema):
            if _names(column.type):
                joined = ["|".join(map(str, names or [])) for names in table.column(place).to_pylist()]
                table = table.set_column(place, column.name, pa.array(joined, pa.string()))
        pa_csv.write_csv(table, self.file, pa_csv.WriteOptions(include_header=self.first))
        self.first = False

    def close(self) -> None:
        pass


class _Jsonl:
    """Lists stay lists; arrays, structures and files' bytes are left out."""

    def __init__(self, file: IO[bytes], schema: pa.Schema):
        self.schema, self.file = schema, file

    def write_table(self, table: pa.Table) -> None:
        kept = [column.name for column in table.schema if one_value(column.type) or pa.types.is_list(column.type)]
        for row in table.select(kept).to_pylist():
            self.file.write(json.dumps(row, default=str, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        pass


def _names(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_string(kind.value_type)


_WRITERS: dict[str, Callable[[IO[bytes], pa.Schema], _Writer]] = {
    ".csv": _Csv,
    ".jsonl": _Jsonl,
    ".parquet": pq.ParquetWriter,
}
