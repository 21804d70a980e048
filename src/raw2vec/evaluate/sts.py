"""Semantic textual similarity: do the cosines of pairs agree with people's scores? Spearman and Pearson."""

from time import perf_counter
from typing import Any

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Encode, Measured, Protocol, Report, Values, unit, vectors


class Sts(Protocol):
    """Input and target are two texts, and the label how alike they are, on any scale that grows with likeness."""

    name = "sts"
    roles = ("input", "target", "label")

    def run(self, model: Encode, columns: Columns, seed: int = 0) -> Report:
        started = perf_counter()
        inputs, targets, labels = self.read(columns)
        gold = _gold(labels)
        left, right = unit(vectors(model, inputs, "input")), unit(vectors(model, targets, "target"))
        if left.shape[1] != right.shape[1]:
            raise BadInput(f"The encoder gave inputs {left.shape[1]} dimensions and targets {right.shape[1]}.")
        scores = {MODEL: _products(left, right)}
        for name, learn in self.baselines.items():
            baseline = learn([*inputs, *targets], left.shape[1])
            scores[name] = _products(baseline(inputs, "input"), baseline(targets, "target"))
        # Cosines of equal vectors differ by rounding, which must not be ranked.
        scores = {name: np.round(score.astype(np.float64), 6) for name, score in scores.items()}
        notes = [
            f"{'the encoder' if name == MODEL else name} scores every pair the same, which counts as a correlation of 0"
            for name, score in scores.items()
            if np.ptp(score) == 0
        ]
        contestants = {name: correlations(score, gold) for name, score in scores.items()}
        return self.report(contestants, "spearman", started, seed, notes)


def _products(left: Any, right: Any) -> np.ndarray:
    """Row by row, the product of two dense or two sparse matrices (n, L): (n,)."""
    both = left * right if isinstance(left, np.ndarray) else left.multiply(right)
    return np.asarray(both.sum(axis=1)).ravel()


def correlations(left: np.ndarray, right: np.ndarray) -> Measured:
    """Spearman and Pearson between two (n,) columns; 0 where one of them is constant."""
    left_rank, right_rank = _Ranking(left), _Ranking(right)

    def of(counts: np.ndarray) -> Values:
        return {
            "spearman": _pearson(left_rank.among(counts), right_rank.among(counts), counts),
            "pearson": _pearson(left, right, counts),
        }

    return Measured(len(left), of)


class _Ranking:
    """Mid-ranks of (n,) values however often each counts, without sorting again."""

    def __init__(self, values: np.ndarray):
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        self.starts = np.flatnonzero(first)
        self.group = np.empty(len(values), dtype=np.int64)
        self.group[self.order] = np.cumsum(first) - 1

    def among(self, counts: np.ndarray) -> np.ndarray:
        """Each value's rank (R, n) when the values repeat as `counts` (R, n) says; equal ones share their mean rank."""
        sizes = np.add.reduceat(counts[:, self.order], self.starts, axis=1)
        return np.asarray((np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, self.group])


def _pearson(left: np.ndarray, right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The correlation (R,) of two columns, (n,) or (R, n), counted (R, n); 0 where one is constant."""
    share = counts / counts.sum(axis=1, keepdims=True)
    left = left - (share * left).sum(axis=1, keepdims=True)
    right = right - (share * right).sum(axis=1, keepdims=True)
    spread = np.sqrt((share * left**2).sum(axis=1) * (share * right**2).sum(axis=1))
    both = (share * left * right).sum(axis=1)
    return np.asarray(np.where(spread > 1e-12, both / np.maximum(spread, 1e-12), 0))


def _gold(labels: list[object]) -> np.ndarray:
    """The labels as numbers (n,), of which two or more differ; else BadInput."""
    gold = np.empty(len(labels))
    for row, label in enumerate(labels):
        try:
            gold[row] = float(label)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            gold[row] = np.nan
    bad = np.flatnonzero(~np.isfinite(gold))
    if len(bad):
        row = bad[0]
        raise BadInput(f"The label of row {row} is {labels[row]!r}, not a number ({len(bad)} of {len(labels)} rows).")
    if np.ptp(gold) == 0:
        raise BadInput(f"All {len(gold)} labels are {gold[0]:g}: a correlation needs pairs with different scores.")
    return gold
