"""Retrieval: does a query find its document among all the others? MRR, recall and nDCG over exact ranks."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from raw2vec.errors import BadInput, nearest
from raw2vec.evaluate.base import MODEL, Columns, Encode, Measured, Protocol, Report, unit, vectors

SCORES = 1 << 24
"""Scores held at once (64 MB of float32): what bounds the memory of an exact ranking."""

TIE = 1e-6
"""Scores nearer than this, absolutely or relatively, are equal: closer than that is float32 rounding."""


class Task(NamedTuple):
    """Distinct queries and documents, and P judged pairs: query (P,), document (P,), gain (P,) above 0, by query."""

    queries: list[str]
    documents: list[str]
    query: np.ndarray
    document: np.ndarray
    gain: np.ndarray


class Retrieval(Protocol):
    """Each input is a query whose right answer is the target of its row, searched among all targets.

    Nothing can tell identical texts apart, so identical targets are one document, and identical inputs one query to
    which each of their documents is a right answer; it counts once, as counting it again would measure nothing new. A
    tie with a wrong document gives the mean of the ranks it spans: it neither rewards nor punishes an encoder that
    cannot decide.
    """

    name = "retrieval"
    roles = ("input", "target")

    def run(self, model: Encode, columns: Columns, seed: int = 0) -> Report:
        inputs, targets = self.read(columns)
        return self._measure(
            model, _task((text, target, 1.0) for text, target in zip(inputs, targets, strict=True)), seed
        )

    def judged(
        self,
        model: Encode,
        queries: Mapping[str, str],
        documents: Mapping[str, str],
        judgements: Mapping[str, Mapping[str, float]],
        seed: int = 0,
    ) -> Report:
        """The same with judgements of one's own, as BEIR lays them out: query id → document id → gain.

        `queries` and `documents` are id → text. A gain of 0 or less is a wrong answer; a query without a right one is
        left out, with a note.
        """
        for query, gains in judgements.items():
            _known(query, queries, "query")
            for document in gains:
                _known(document, documents, "document")
        triples = [
            (queries[query], documents[document], float(gain))
            for query, gains in judgements.items()
            for document, gain in gains.items()
            if gain > 0
        ]
        if not triples:
            raise BadInput("The judgements hold no pair with a gain above 0, so there is nothing to find.")
        idle = len(queries) - sum(any(gain > 0 for gain in judgements.get(query, {}).values()) for query in queries)
        notes = [f"{idle} of {len(queries)} queries have no right answer and were left out"] if idle else []
        return self._measure(model, _task(triples, documents.values()), seed, notes)

    def _measure(self, model: Encode, task: Task, seed: int, notes: Sequence[str] = ()) -> Report:
        started = perf_counter()
        left = unit(vectors(model, task.queries, "input"))
        right = unit(vectors(model, task.documents, "target"))
        if left.shape[1] != right.shape[1]:
            raise BadInput(f"The encoder gave inputs {left.shape[1]} dimensions and targets {right.shape[1]}.")
        contestants = {MODEL: measure(task, left, right)}
        for name, learn in self.baselines.items():
            baseline = learn(task.documents, right.shape[1])
            contestants[name] = measure(task, baseline(task.queries, "input"), baseline(task.documents, "target"))
        if len(task.documents) <= 10:
            notes = [
                *notes,
                f"there are only {len(task.documents)} documents, so recall@10 is 1 whatever the encoder does",
            ]
        return self.report(contestants, "mrr@10", started, seed, notes)


def measure(task: Task, left: Any, right: Any) -> Measured:
    """The metrics of the ranking that the products of `left` (Q, L) and `right` (D, L) make, query by query.

    recall@k is over the most that k places could hold (BEIR's R_cap), so that perfect is 1; nDCG has linear gains.
    """
    rank = ranks(task, left, right)
    query, count = task.query, len(task.queries)
    relevant = np.bincount(query, minlength=count)
    best = np.full(count, np.inf)
    np.minimum.at(best, query, rank)
    ideal = _places(query, np.lexsort((-task.gain, query)))

    def total(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(query, weights=values, minlength=count))

    def discounted(at: np.ndarray) -> np.ndarray:
        return total(np.where(at <= 10, task.gain / np.log2(at + 1), 0))

    return Measured.means(
        {
            "mrr@10": np.where(best <= 10, 1 / best, 0),
            "recall@1": total(rank <= 1) / np.minimum(relevant, 1),
            "recall@10": total(rank <= 10) / np.minimum(relevant, 10),
            "ndcg@10": discounted(rank) / discounted(ideal),
        }
    )


def ranks(task: Task, left: Any, right: Any) -> np.ndarray:
    """Each judged pair's exact place in its query's ranking, (P,) from 1, block by block so that memory stays bounded.

    A pair's place is the wrong documents above it, half of those level with it, and the right ones up to itself.
    """
    block = max(1, SCORES // right.shape[0])
    wrong, own = np.empty(len(task.query)), np.empty(len(task.query))
    across = right.T if isinstance(right, np.ndarray) else right.T.tocsr()
    for start in range(0, left.shape[0], block):
        scores = left[start : start + block] @ across
        scores = scores if isinstance(scores, np.ndarray) else scores.toarray()
        first, last = np.searchsorted(task.query, [start, start + block])
        rows, columns = task.query[first:last] - start, task.document[first:last]
        own[first:last] = scores[rows, columns]
        scores[rows, columns] = -np.inf
        for part in range(first, last, block):
            pairs = slice(part, min(part + block, last))
            wrong[pairs] = _wrong(scores[task.query[pairs] - start], own[pairs, None])
    wrong += _places(task.query, np.lexsort((task.gain, -own, task.query)))
    return wrong


def _wrong(scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The scores (p, D) above one's own (p, 1), and half of those level with it: (p,)."""
    own = own.astype(scores.dtype)
    margin = TIE * np.maximum(1, np.abs(own))
    above = np.count_nonzero(scores > own + margin, axis=1)
    return np.asarray((above + np.count_nonzero(scores >= own - margin, axis=1)) / 2)


def _places(query: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Each pair's place from 1 within its query, the pairs taken in `order`, which keeps a query's pairs together."""
    places = np.empty(len(query))
    places[order] = np.arange(1, len(query) + 1) - np.searchsorted(query, query)
    return places


def _task(triples: Any, pool: Any = ()) -> Task:
    """(query, document, gain) triples of texts, and more documents to search among, with identical texts made one."""
    queries: dict[str, int] = {}
    documents: dict[str, int] = {}
    for text in pool:
        documents.setdefault(text, len(documents))
    gains: dict[tuple[int, int], float] = {}
    for query, document, gain in triples:
        pair = queries.setdefault(query, len(queries)), documents.setdefault(document, len(documents))
        gains[pair] = max(gain, gains.get(pair, 0.0))
    pairs = np.array(sorted(gains), dtype=np.int64)
    gain = np.array([gains[query, document] for query, document in pairs.tolist()])
    return Task(list(queries), list(documents), pairs[:, 0], pairs[:, 1], gain)


def _known(name: str, known: Mapping[str, str], what: str) -> None:
    if name not in known:
        raise BadInput(
            f"The judgements name a {what} '{name}' that is not among the {len(known)}.{nearest(name, known)}"
        )
