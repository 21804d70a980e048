"""Predictions beside their rows, one batch in memory at a time. It needs PyTorch and Arrow: see `base.heavy`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.measure import columns_of
from raw2vec.rows import text_column
from raw2vec.system import Raw2Vec
from raw2vec.use.classify import predicted, supervised

ROWS = 4096  # at a time


class Predictions:
    """What a model says of every row of `data`, in order; `items`, `truncated` and `empty` count what has gone by."""

    def __init__(self, model: Raw2Vec, data: str, column: str | None, progress: Callable[[int], None]):
        self.model, self.progress = model, progress
        _, self.labels = supervised(model.parts_)
        self.source, columns = columns_of(model.parts_, data, input=column)
        self.column = columns["input"]
        self.items = self.truncated = self.empty = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each row's number, its text, its prediction and, for classes, the probability of that."""
        for _, texts, said in self._batches():
            start = self.items - len(texts)
            for place, text in enumerate(texts):
                yield {"row": start + place, self.column: text} | {name: values[place] for name, values in said.items()}

    def write(self, out: str) -> None:
        """All rows with all their columns and the predictions, in a file that appears whole or not at all."""
        partial = Path(out + ".partial")
        try:
            with open(partial, "wb") as file:
                self._write(file, Path(out).suffix)
            os.replace(partial, out)
        finally:
            partial.unlink(missing_ok=True)

    def _write(self, file: IO[bytes], suffix: str) -> None:
        writer: _Writer | None = None
        for batch, _, said in self._batches():
            table = self._beside(batch, said)
            writer = writer or _WRITERS[suffix](file, table.schema)
            writer.write_table(table.cast(writer.schema))
        if writer is None:
            raise BadInput(f"{self.source.name} has no rows to predict.")
        writer.close()

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, list[str | None], dict[str, list[Any]]]]:
        for batch in self.source.batches(ROWS):
            texts = text_column(batch, self.column)
            found = self.model.encoded(texts)
            said = self._say(found.vectors)
            missing = [place for place, text in enumerate(texts) if not text]
            for values in said.values():
                for place in missing:
                    values[place] = None
            self.items += len(texts)
            self.empty += len(missing)
            self.truncated += int((found.truncated > 0).sum())
            self.progress(len(texts))
            yield batch, texts, said

    def _say(self, vectors: NDArray[np.float32]) -> dict[str, list[Any]]:
        found = predicted(self.model.parts_, vectors)
        said: dict[str, list[Any]] = {"prediction": found.labels.tolist()}
        if self.labels.task == "classes":
            said["probability"] = found.probabilities.max(axis=1).tolist()
        return said

    def _beside(self, batch: pa.RecordBatch, said: dict[str, list[Any]]) -> pa.Table:
        """The batch with the predictions as its last columns, in place of older ones of the same names."""
        table = pa.Table.from_batches([batch])
        table = table.drop_columns([name for name in said if name in table.column_names])
        for name, values in said.items():
            kind = _kind(name, self.labels.task, self.labels.names)
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
    """Lists become names with '|' between them, as labels are read."""

    def __init__(self, file: IO[bytes], schema: pa.Schema):
        self.schema, self.file, self.first = schema, file, True

    def write_table(self, table: pa.Table) -> None:
        for place, column in enumerate(table.schema):
            if pa.types.is_list(column.type):
                joined = ["|".join(map(str, names or [])) for names in table.column(place).to_pylist()]
                table = table.set_column(place, column.name, pa.array(joined, pa.string()))
        pa_csv.write_csv(table, self.file, pa_csv.WriteOptions(include_header=self.first))
        self.first = False

    def close(self) -> None:
        pass


class _Jsonl:
    def __init__(self, file: IO[bytes], schema: pa.Schema):
        self.schema, self.file = schema, file

    def write_table(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            self.file.write(json.dumps(row, default=str, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        pass


_WRITERS: dict[str, Callable[[IO[bytes], pa.Schema], _Writer]] = {
    ".csv": _Csv,
    ".jsonl": _Jsonl,
    ".parquet": pq.ParquetWriter,
}
