"""Scores beside their rows, one batch in memory at a time. It needs PyTorch and Arrow: see `base.heavy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raw2vec.disk import replacing
from raw2vec.errors import BadInput, NumberedList, Unreadable
from raw2vec.folder import Model
from raw2vec.measure import columns_of
from raw2vec.rows import Rows, Typed, one_value, written
from raw2vec.system import Raw2Vec
from raw2vec.unreadable import as_list
from raw2vec.use.detect import threshold, unit

ROWS = 4096  # at a time
CONTAMINATION = 0.1  # where neither the user nor the model's report tells of a threshold


_ADDED = ("score", "anomaly")


class Scored(NamedTuple):
    """What was found: rows, those below the threshold, those that were cut, those with nothing to score; and what the
    scores are in; and which columns of the data gave way to the new ones. unreadable: files without a score, each with
    its row, its path (`item`) and the reason, counted as empty too."""

    items: int
    anomalies: int
    threshold: float
    truncated: int
    empty: int
    unit: str = "nats"
    replaced: Sequence[str] = ()
    unreadable: Sequence[dict[str, Any]] = ()


def scored(
    model: Raw2Vec,
    data: str,
    column: str | None,
    contamination: float | None,
    out: str,
    progress: Callable[[int], None],
) -> Scored:
    """Writes every row with its score and whether it is an anomaly; a row without an item has neither."""
    rows, columns = columns_of(model.parts_, data, input=column)
    parts, start = [], 0
    unreadable: dict[int, Unreadable] = {}
    for batch in rows.batches(ROWS):
        parts.append(_scores(model, batch, columns["input"], start, progress, unreadable))
        start += len(batch)
    scores = np.concatenate([found for found, _ in parts])
    there = scores[~np.isnan(scores)]
    if not len(there):
        raise BadInput(f"{rows.name} has nothing to score in '{columns['input']}'.")
    line = _line(model.parts_, there, contamination)
    with replacing(Path(out)) as partial:
        carried = Typed(rows, texts=[columns["input"]]) if rows.written else rows
        _write(partial, Path(out).suffix, carried, scores, line)
    cut = sum(cut for _, cut in parts)
    gone = [name for name in _ADDED if name in rows.columns and not out.endswith(".npy")]
    counts = len(scores), int((there < line).sum()), line, cut, len(scores) - len(there)
    return Scored(*counts, unit(model.parts_), gone, tuple(as_list(unreadable)))


def _scores(
    model: Raw2Vec,
    batch: pa.RecordBatch,
    column: str,
    start: int,
    progress: Callable[[int], None],
    unreadable: dict[int, Unreadable],
) -> tuple[NDArray[np.float64], int]:
    """A batch's scores, NaN where there is no item, and how many items were cut. `start`: its first row's number.

    A file that cannot be read is none, and noted.
    """
    raw, cut = model.parts_.raw, 0
    items = raw.column(batch, column)
    there = [place for place, item in enumerate(items) if item is not None]
    scores = np.full(len(items), np.nan)
    if there:
        given = NumberedList([start + place for place in there], (items[place] for place in there), unreadable)
        cut = int((raw.windows(given).truncated > 0).sum())
        there = [place for place in there if start + place not in unreadable]
    if there:
        given = NumberedList([start + place for place in there], (items[place] for place in there))
        scores[there] = model.score_samples(given)
    progress(len(items))
    return scores, cut


def _line(parts: Model, scores: NDArray[np.float64], contamination: float | None) -> float:
    known = parts.report.get("threshold")
    if contamination is None and known is not None:
        return float(known)
    return threshold(scores, CONTAMINATION if contamination is None else contamination)


def _write(path: Path, suffix: str, rows: Rows, scores: NDArray[np.float64], line: float) -> None:
    if suffix == ".npy":
        with open(path, "wb") as file:
            np.save(file, scores)
        return
    tables = _beside(rows, scores, line, plain=suffix == ".csv")
    first = next(tables)
    with open(path, "wb") as file:
        made = pa_csv.CSVWriter if suffix == ".csv" else pq.ParquetWriter
        with made(file, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table.cast(first.schema))


def _beside(rows: Rows, scores: NDArray[np.float64], line: float, plain: bool) -> Iterator[pa.Table]:
    """The rows with both columns as their last ones, in place of older ones of these names; `plain`: without those
    that hold more than one value a row, which a csv has no room for."""
    start = 0
    for batch in rows.batches(ROWS):
        table = written(pa.Table.from_batches([batch]))
        held = scores[start : start + len(table)]
        start += len(table)
        kept = [
            field.name for field in table.schema if field.name not in _ADDED and (one_value(field.type) or not plain)
        ]
        nothing = np.isnan(held)
        yield (
            table.select(kept)
            .append_column("score", pa.array(held, mask=nothing))
            .append_column("anomaly", pa.array(held < line, mask=nothing))
        )
