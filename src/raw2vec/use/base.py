"""What embedding and indexing share: rows as blocks of texts, and what an encoder looks like to them."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.rows import Rows, text_column

BLOCK_ROWS = 16_384

Encode = Callable[[list[str]], tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Texts to vectors (n, L) and the tokens that were cut off each, (n,)."""


def blocks(rows: Rows, column: str, done: int = 0) -> Iterator[tuple[int, list[str], pa.Table]]:
    """Blocks of BLOCK_ROWS rows after the first `done`: where each starts, its texts ("" for none), all its columns."""
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
                yield start, *_block(held, column)
                held, start = [], at
    if held:
        yield start, *_block(held, column)


def _block(held: list[pa.RecordBatch], column: str) -> tuple[list[str], pa.Table]:
    table = pa.Table.from_batches(held)
    return [text or "" for text in text_column(table, column)], table
