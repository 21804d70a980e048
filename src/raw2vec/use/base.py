"""What embedding and indexing share: rows as blocks of items, and what an encoder looks like to them."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.errors import NumberedList
from raw2vec.rows import Rows, text_column, written
from raw2vec.unreadable import as_list

BLOCK_ROWS = 16_384
BLOCK_BYTES = 1 << 24
"""Of rows as Arrow holds them: texts of ten pages each would else fill the memory, 16,384 at a time."""
_READ = 256  # rows at a time: what a reader holds before a block can be full

Small = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int8] | NDArray[np.uint8]
"""Vectors as they are written: numbers of so many bits, or a bit each, eight to a byte."""
Encode = Callable[[list[Any]], tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Items to vectors (n, L) and the tokens that were cut off each, (n,)."""
Write = Callable[[list[Any]], tuple[Small, NDArray[np.int64]]]
"""The same, of vectors as they are written."""
Column = Callable[[pa.Table, str], list[Any]]
"""A column of a table as items that `Encode` takes, every one there."""
Block = tuple[int, NumberedList, pa.Table]
"""Where a block starts, its items, and all columns of its rows."""


@dataclass(frozen=True)
class Made:
    """A block's vectors (n, L), and what its items gave cause to count: `truncated`, `empty`, `first_empty`,
    `unreadable`, the last two only where there are such."""

    vectors: Small
    counts: dict[str, Any]


Done = tuple[int, pa.Table, Made]
Through = Callable[[Iterator[Block]], Generator[Done, None, None]]
"""Who encodes blocks; they come out in their order."""


def made(start: int, items: NumberedList, encode: Write) -> Made:
    """What there is to keep of a block's items."""
    vectors, cut = encode(items)
    blank = empty(items)
    counts: dict[str, Any] = {"truncated": int((cut > 0).sum()), "empty": len(blank)}
    counts |= {"first_empty": start + blank[0]} if blank else {}
    counts |= {"unreadable": as_list(items.unreadable)} if items.unreadable else {}
    return Made(vectors, counts)


def in_turn(encode: Write) -> Through:
    """Encodes blocks here, one after the other."""

    def through(blocks: Iterator[Block]) -> Generator[Done, None, None]:
        for start, items, block in blocks:
            yield start, block, made(start, items, encode)

    return through


def blocks(rows: Rows, column: str, read: Column, done: int = 0) -> Iterator[Block]:
    """Blocks of BLOCK_ROWS rows, or of fewer with BLOCK_BYTES, after the first `done`: where each starts, its items,
    and all columns.

    The items are numbered, and have a place for those that cannot be read; the columns are as the data's file has them.
    """
    held: list[pa.RecordBatch] = []
    start = at = done
    skip, size = done, 0
    for batch in rows.batches(_READ):
        taken = batch.slice(min(skip, batch.num_rows))
        skip -= batch.num_rows - taken.num_rows
        while taken.num_rows:
            part = taken.slice(0, BLOCK_ROWS - (at - start))
            taken = taken.slice(part.num_rows)
            held.append(part)
            at, size = at + part.num_rows, size + part.nbytes
            if at - start == BLOCK_ROWS or size >= BLOCK_BYTES:
                yield start, *_block(held, start, column, read)
                held, start, size = [], at, 0
    if held:
        yield start, *_block(held, start, column, read)


def _block(held: list[pa.RecordBatch], start: int, column: str, read: Column) -> tuple[NumberedList, pa.Table]:
    table = pa.Table.from_batches(held)
    items = NumberedList(range(start, start + len(table)), read(table, column), unreadable={})
    return items, written(table)


def first(rows: Rows, column: str, read: Column, count: int) -> NumberedList:
    """The first items of a column, as many as there are up to `count`, with a place for those that cannot be read."""
    items: list[Any] = []
    named = [column] if column in rows.columns else None  # else whole rows are items
    for batch in rows.batches(count, named):  # of several files each begins a batch of its own
        items += read(pa.Table.from_batches([batch.slice(0, count - len(items))]), column)
        if len(items) == count:
            break
    return NumberedList(range(len(items)), items, unreadable={})


def many(rows: Rows, column: str, count: int) -> bool:
    """Whether there are so many rows, or more; no further than that is read."""
    found = 0
    for batch in rows.batches(_READ, [column] if column in rows.columns else None):
        found += len(batch)
        if found >= count:
            return True
    return False


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
