"""How good an approximate index is: measured against exact search, on queries held out for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raw2vec.errors import BadInput
from raw2vec.seeding import permutation
from raw2vec.use.stores.base import Approximate, checked

_AT = 10
_HELD_OUT = 200  # queries that recall is measured on
Answer = Callable[[NDArray[np.float32], int], NDArray[np.int64]]


def held_out(
    queries: ArrayLike | None, width: int, rows: int, seed: int, take: Callable[[NDArray[np.int64]], ArrayLike]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Up to 200 of the queries (m, width), or of the rows that `take` gives, and the row that each is itself, or -1."""
    if queries is None:
        own = permutation(rows, seed, "recall queries")[:_HELD_OUT]
        return np.asarray(take(own), np.float32), own
    array = checked(queries, width, "queries")
    if not len(array):
        raise BadInput("Recall cannot be measured on no queries. Give some, or none at all to have rows drawn.")
    drawn = array[permutation(len(array), seed, "recall queries")[:_HELD_OUT]]
    return drawn, np.full(len(drawn), -1)


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
