"""How good an approximate index is: measured against exact search, on queries held out for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from raw2vec.use.stores.base import Approximate

_AT = 10
Answer = Callable[[NDArray[np.float32], int], NDArray[np.int64]]


def measured(
    queries: NDArray[np.float32],
    own: NDArray[np.int64],
    rows: int,
    exact: Answer,
    approximate: Callable[[NDArray[np.float32], int, int], NDArray[np.int64]],
    *,
    goal: float,
    partitions: int,
) -> Approximate:
    """The fewest probes, doubled from 8, at which recall@10 meets the goal, and what they cost.

    `exact(query, k)` and `approximate(query, k, probes)` answer with rows; `own` (q,) names the row that a query is
    itself, which counts as no answer, or -1.
    """
    truth, exact_milliseconds = _answers(exact, queries, own)
    probes = min(8, partitions)
    while True:
        found, milliseconds = _answers(_probing(approximate, probes), queries, own)
        recall = float(np.mean([len(a & b) / len(b) for a, b in zip(found, truth, strict=True)]))
        if recall >= goal or probes == partitions:
            return Approximate(recall, milliseconds, exact_milliseconds, probes, len(queries), rows)
        probes = min(2 * probes, partitions)


def _probing(approximate: Callable[[NDArray[np.float32], int, int], NDArray[np.int64]], probes: int) -> Answer:
    return lambda query, k: approximate(query, k, probes)


def _answers(answer: Answer, queries: NDArray[np.float32], own: NDArray[np.int64]) -> tuple[list[set[int]], float]:
    """Each query's ten other rows, and the median milliseconds they took."""
    found, seconds = [], []
    for query, itself in zip(queries, own, strict=True):
        began = time.perf_counter()
        rows = answer(query, _AT + 1)
        seconds.append(time.perf_counter() - began)
        found.append(set(rows[rows != itself][:_AT].tolist()))
    return found, float(np.median(seconds)) * 1000
