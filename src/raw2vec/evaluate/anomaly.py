"""Anomaly detection: do an item's scores tell the odd ones from the rest, and better than what needs no network?"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, Values, learnt, per_item

Score = Callable[[Sequence[Any]], Any]
"""Items to (n,) numbers, higher for one that is more normal: a log-likelihood, minus an error."""


class Anomaly(Protocol):
    """Scores (higher is more normal) against labels, 1 for an anomaly and 0 for the rest; the scores need see no label.

    `roc_auc` is the chance that an anomaly scores below a normal item; `average_precision` the mean precision down the
    list, oddest first; `recall@contamination` the share of anomalies found when as many items are called odd as there
    are. Items of one score share their places evenly. Baselines learn from `train`, or else from the measured items.
    """

    name = "anomaly"
    roles = ("input", "label")

    def run(self, model: Score, columns: Columns, seed: int = 0, train: Columns | None = None) -> Report:
        started = perf_counter()
        items, labels = self.read(columns)
        odd = _odd(labels)
        contestants = {MODEL: _measured(per_item(model(items), len(items), "scores"), odd)}
        known = items if train is None else self._known(train)
        baselines, notes = learnt(self.baselines, known, items, 0)
        for name, score in baselines.items():
            contestants[name] = _measured(per_item(score(items), len(items), "scores"), odd)
        if train is None and baselines:
            notes.append("the baselines learnt from the measured items, anomalies among them, without their labels")
        return self.report(
            contestants, "roc_auc", started, seed, [f"{odd.sum()} of {len(odd)} items are anomalies", *notes]
        )

    def _known(self, train: Columns) -> Sequence[Any]:
        """The items to learn from, which need no labels: taken as they are, anomalies among them or not."""
        if not len(train.get("input", ())):
            raise BadInput(f"The protocol '{self.name}' was given no rows to learn its baselines from.")
        return train["input"]


def _odd(labels: Sequence[Any]) -> np.ndarray:
    """True for an anomaly, (n,), from labels of 0 and 1 in any spelling of a number; both must be there."""
    found = np.zeros(len(labels), dtype=bool)
    for row, label in enumerate(labels):
        if str(label).strip().lower() not in _SPELLINGS:
            raise BadInput(f"Row {row} has the label {label!r}, which is neither 1 (an anomaly) nor 0.")
        found[row] = _SPELLINGS[str(label).strip().lower()]
    if found.all() or not found.any():
        only = "anomalies" if found.all() else "normal items"
        raise BadInput(f"All {len(found)} rows are {only}: to be told apart there must be both.")
    return found


_SPELLINGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def _measured(scores: np.ndarray, odd: np.ndarray) -> Measured:
    """The metrics over groups of equal scores, oddest first, each as a function of how often its items count."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    right = odd[order]

    def of(counts: np.ndarray) -> Values:
        sorted_counts = counts[:, order]
        found = np.add.reduceat(sorted_counts * right, starts, axis=1)
        called = np.add.reduceat(sorted_counts, starts, axis=1)
        return _ranked(found, called)

    return Measured(len(scores), of)


def _ranked(found: np.ndarray, called: np.ndarray) -> Values:
    """Metrics (R,) by groups (R, G), oddest first: anomalies `found`, items `called`. NaN where one sort lacks."""
    odd, items = found.sum(axis=1), called.sum(axis=1)
    found_so_far, called_so_far = found.cumsum(axis=1), called.cumsum(axis=1)
    false = called - found
    beaten = (items - odd)[:, None] - false.cumsum(axis=1) + false / 2
    precision = found_so_far / np.maximum(called_so_far, 1)
    room = np.clip(odd[:, None] - (called_so_far - called), 0, called) / np.maximum(called, 1)
    wins, kept, caught = ((found * share).sum(axis=1) for share in (beaten, precision, room))
    with np.errstate(invalid="ignore"):
        return {
            "roc_auc": wins / (odd * (items - odd)),
            "average_precision": kept / odd,
            "recall@contamination": caught / odd,
        }
