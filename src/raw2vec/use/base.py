"""What embedding and indexing share: rows as blocks of items, and what an encoder looks like to them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.errors import NumberedList
from raw2vec.rows import Rows, text_column, written

BLOCK_ROWS = 16_384

Encode = Callable[[list[Any]], tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Items to vectors (n, L) and the tokens that were cut off each, (n,)."""
Small = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int8] | NDArray[np.uint8]
"""Vectors as they are written: numbers of so many bits, or a bit each, eight to a byte."""
Column = Callable[[pa.Table, str], list[Any]]
"""A column of a table as items that `Encode` takes, every one there."""


def blocks(rows: Rows, column: str, read: Column, done: int = 0) -> Iterator[tuple[int, NumberedList, pa.Table]]:
    """Blocks of BLOCK_ROWS rows after the first `done`: where each starts, its items, and all columns.

    The items are numbered, and have a place for those that cannot be read; the columns are as the data's file has them.
    """
    held: list[pa.RecordBatch] = []
    start = at = done
    skip = done
    for batch in rows.batches(BLOCK_ROWS):
        taken = batch.slice(min(skip, batch.num_rows))
        skip -= batch.num_rows - taken.num_rows
        while taken.num_rows:
            part = taken.slice(0, BLOCK_ROWS - (at - start))
            taken = taken.slice(part.num_rows)
            held.append(part)
            at += part.num_rows
            if at - start == BLOCK_ROWS:
                yield start, *_block(held, start, column, read)
                held, start = [], at
    if held:
        yield start, *_block(held, start, column, read)


def _block(held: list[pa.RecordBatch], start: int, column: str, read: Column) -> tuple[NumberedList, pa.Table]:
    table = pa.Table.from_batches(held)
    items = NumberedList(range(start, start + len(table)), read(table, column), unreadable={})
    return items, written(table)


def first(rows: Rows, column: str, read: Column, count: int) -> NumberedList:
    """The first items of a column, as many as there are up to `count`, with a place for those that cannot be read."""
    batch = next(iter(rows.batches(count, [column])), None)
    items = [] if batch is None else read(pa.Table.from_batches([batch.slice(0, count)]), column)
    return NumberedList(range(len(items)), items, unreadable={})


def texts(table: pa.Table, column: str) -> list[str]:
    """A column as texts, the empty one where nothing is."""
    return [text or "" for text in text_column(table, column)]


def present(items: list[Any]) -> list[int]:
    """The places of the items that are there: neither None nor an empty text."""
    return [place for place, item in enumerate(items) if item is not None and not is_empty(item)]


def empty(items: Sequence[Any]) -> list[int]:
    """The places of the items that are empty texts."""
    return [place for place, item in enumerate(items) if is_empty(item)]


def is_empty(item: Any) -> bool:
    """Whether an item is a text in which there is nothing to read: no character at all, or white space and controls."""
    return isinstance(item, str) and not any(mark.isprintable() and not mark.isspace() for mark in item)
