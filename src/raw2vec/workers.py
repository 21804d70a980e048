"""Pieces of work side by side, each on one thread: many small steps gain nothing from being shared by threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier, Thread
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Piece], Made], pieces: Sequence[Piece], workers: int) -> Generator[Made, None, None]:
    """What the work makes of each piece, in their order. It is done without gradients.

    With several workers, as many threads take a piece at a time, and torch keeps to one thread within each, and in the
    caller until all is made: whoever may stop before closes what this gives. torch itself lets go of Python while it
    computes.
    """

    def quietly(piece: Piece) -> Made:
        with torch.inference_mode():
            return work(piece)

    workers = min(workers, len(pieces))
    if workers < 2:
        yield from map(quietly, pieces)
        return
    threads = torch.get_num_threads()
    pool, ready = ThreadPoolExecutor(workers, initializer=partial(_alone, threads)), Barrier(workers + 1)
    try:
        _alone(threads)  # the caller too: its own helpers would wait for more to do on the workers' cores
        for _ in range(workers):
            pool.submit(ready.wait)
        ready.wait()  # all have begun, so that no thread of others begins with what one of these is setting
        for each in [pool.submit(quietly, piece) for piece in pieces]:
            yield each.result()
    finally:
        ready.abort()  # where one could not begin, those that wait for it are to end
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _alone(threads: int) -> None:
    """Keeps torch to one thread within this one. It never waits for others and never fails, so that a pool can end."""
    torch.get_num_threads()  # else torch takes the common number at this thread's first sum, after it has been set
    torch.set_num_threads(1)
    # The number is each thread's own, but threads to come begin with the one that was set last, by whichever thread.
    with suppress(RuntimeError):  # no further thread can be had: it is set at the end
        last = Thread(target=torch.set_num_threads, args=(threads,))
        last.start()
        last.join()


def cores() -> int:
    """How many threads there is work for: torch's, unless this process may use fewer cores than that."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(torch.get_num_threads(), allowed)
