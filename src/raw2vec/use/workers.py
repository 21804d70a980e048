"""Pieces of work side by side, each on one thread: many small steps gain nothing from being shared by threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Piece], Made], pieces: Sequence[Piece], workers: int) -> Iterator[Made]:
    """What the work makes of each piece, in their order. It is done without gradients.

    With several workers, as many threads take a piece at a time, and torch keeps to one thread within each. torch
    itself lets go of Python while it computes.
    """

    def quietly(piece: Piece) -> Made:
        with torch.inference_mode():
            return work(piece)

    workers = min(workers, len(pieces))
    if workers < 2:
        yield from map(quietly, pieces)
        return
    threads, ready = torch.get_num_threads(), Barrier(workers + 1)

    def alone() -> None:
        torch.get_num_threads()  # else torch takes the common number at this thread's first sum, after it has been set
        torch.set_num_threads(1)
        ready.wait()

    pool = ThreadPoolExecutor(workers, initializer=alone)
    try:
        made = _begun(pool, quietly, pieces, ready)
        # The number is each thread's own, but threads to come begin with the one that was set last.
        torch.set_num_threads(threads)
        for each in made:
            yield each.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(
    pool: ThreadPoolExecutor, work: Callable[[Piece], Made], pieces: Sequence[Piece], ready: Barrier
) -> list[Future[Made]]:
    try:
        made = [pool.submit(work, piece) for piece in pieces]
        ready.wait()
    except BaseException:
        ready.abort()  # no thread more can be had: those that wait for it are let go
        raise
    return made
