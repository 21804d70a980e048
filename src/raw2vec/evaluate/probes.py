"""What reads labels off frozen features: a linear probe and nearest neighbours, beside the guess that never looks."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import Measured, Values

TUNED_ON = 5000
"""Training rows on which a probe's one setting is cross-validated; it is then fitted on all of them."""

NEIGHBOURS = (1, 5, 20)


class Classes:
    """One class a row: logistic regression, and the vote of the k nearest by cosine; accuracy and macro-F1 of each.

    Takes class numbers (n,), `test` (n,) True for the rows to measure, and for each of the others a number in `folds`.
    """

    headline = "accuracy"
    blind_name = "majority"

    def __init__(self, labels: np.ndarray, test: np.ndarray, folds: np.ndarray):
        self.labels, self.test, self.folds = labels, test, folds
        if len(np.unique(labels[~test])) < 2:
            raise BadInput("All rows to learn from are of one class: a probe needs two or more.")

    def blind(self) -> Measured:
        commonest = np.bincount(self.labels[~self.test]).argmax()
        return self._measured({"": np.full(self.test.sum(), commonest)})

    def read(self, features: Any) -> Measured:
        learnt, measured = features[~self.test], features[self.test]
        probe = LogisticRegression(max_iter=500, tol=1e-3)
        fitted = _fitted(probe, "C", (0.001, 0.01, 0.1, 1), (1, 10, 100), learnt, self.labels[~self.test], self.folds)
        said = {"": fitted.predict(measured)}
        near = _nearest(learnt, measured, max(NEIGHBOURS))
        for k in NEIGHBOURS:
            said[f"knn{k}_"] = _vote(self.labels[~self.test][near[:, :k]], self.labels.max() + 1)
        return self._measured(said)

    def _measured(self, said: dict[str, np.ndarray]) -> Measured:
        truth, classes = self.labels[self.test], self.labels.max() + 1
        right = {name: (guess == truth).astype(np.float64) for name, guess in said.items()}
        tables = {name: _Agreement(_marks(truth, classes), _marks(guess, classes)) for name, guess in said.items()}

        def of(counts: np.ndarray) -> Values:
            found = {}
            for name in said:
                found[f"{name}accuracy"] = counts @ right[name] / counts.sum(axis=1)
                found[f"{name}macro_f1"] = tables[name].macro_f1(counts)
            return found

        return Measured(len(truth), of)


class Several:
    """Any number of labels a row, (n, C) zeros and ones: a logistic regression each; micro-F1 and macro-F1."""

    headline = "micro_f1"
    blind_name = "majority"

    def __init__(self, labels: np.ndarray, test: np.ndarray, folds: np.ndarray):
        self.labels, self.test, self.folds = labels.astype(np.int64), test, folds
        if len(np.unique(labels[~test], axis=0)) < 2:
            raise BadInput("All rows to learn from have the same labels: a probe needs rows that differ.")

    def blind(self) -> Measured:
        """The commonest set of labels, empty sets aside (they would score nothing)."""
        learnt = self.labels[~self.test]
        sets, counts = np.unique(learnt[learnt.any(axis=1)], axis=0, return_counts=True)
        commonest = sets[counts.argmax()] if len(sets) else np.zeros(learnt.shape[1], dtype=np.int64)
        return self._measured(np.tile(commonest, (self.test.sum(), 1)))

    def read(self, features: Any) -> Measured:
        probe = OneVsRestClassifier(LogisticRegression(max_iter=500, tol=1e-3))
        learnt, labels = features[~self.test], self.labels[~self.test]
        fitted = _fitted(probe, "estimator__C", (0.001, 0.01, 0.1, 1), (1, 10, 100), learnt, labels, self.folds)
        return self._measured(fitted.predict(features[self.test]))

    def _measured(self, said: np.ndarray) -> Measured:
        table = _Agreement(sp.csr_array(self.labels[self.test]), sp.csr_array(said))

        def of(counts: np.ndarray) -> Values:
            return {"micro_f1": table.micro_f1(counts), "macro_f1": table.macro_f1(counts)}

        return Measured(len(said), of)


class Numbers:
    """A number a row, (n,): ridge regression; R² (the share of variance explained) and the mean absolute error."""

    headline = "r2"
    blind_name = "mean"

    def __init__(self, labels: np.ndarray, test: np.ndarray, folds: np.ndarray):
        self.labels, self.test, self.folds = labels, test, folds
        if np.ptp(labels[test]) == 0:
            raise BadInput(f"All measured labels are {labels[test][0]:g}: a regression needs rows that differ.")

    def blind(self) -> Measured:
        return self._measured(np.full(self.test.sum(), self.labels[~self.test].mean()))

    def read(self, features: Any) -> Measured:
        learnt, labels = features[~self.test], self.labels[~self.test]
        fitted = _fitted(Ridge(), "alpha", (1, 10, 100, 1000, 10000), (0.1, 1, 10), learnt, labels, self.folds)
        return self._measured(fitted.predict(features[self.test]))

    def _measured(self, said: np.ndarray) -> Measured:
        truth = self.labels[self.test] - self.labels[self.test].mean()
        error = self.labels[self.test] - said

        def of(counts: np.ndarray) -> Values:
            total = counts.sum(axis=1)
            spread = counts @ truth**2 - (counts @ truth) ** 2 / total
            missed = counts @ error**2
            r2 = 1 - np.divide(missed, spread, out=np.full_like(missed, np.nan), where=spread > 0)
            return {"r2": r2, "mae": counts @ np.abs(error) / total}

        return Measured(len(truth), of)


def _fitted(
    probe: Any,
    setting: str,
    dense: tuple[float, ...],
    sparse: tuple[float, ...],
    features: Any,
    labels: Any,
    folds: Any,
) -> Any:
    """The probe with the best of its settings by cross-validation, fitted on all rows; dense features standardised."""
    steps = [("probe", probe)] if sp.issparse(features) else [("scale", StandardScaler()), ("probe", probe)]
    grid = {f"probe__{setting}": sparse if sp.issparse(features) else dense}
    few = slice(TUNED_ON)
    parts = [(np.flatnonzero(folds[few] != fold), np.flatnonzero(folds[few] == fold)) for fold in range(3)]
    parts = [(learn, check) for learn, check in parts if len(check) and len(np.unique(labels[learn], axis=0)) > 1]
    model = Pipeline(steps)
    with warnings.catch_warnings():
        # A last digit not converged, or a label that one fold lacks, is no news to the user.
        warnings.simplefilter("ignore")
        if parts:
            search = GridSearchCV(model, grid, cv=parts, scoring=_score(labels), refit=False)
            model.set_params(**search.fit(features[few], labels[few]).best_params_)
        return model.fit(features, labels)


def _score(labels: np.ndarray) -> str:
    if labels.ndim == 2:
        return "f1_micro"
    return "neg_mean_squared_error" if labels.dtype.kind == "f" else "accuracy"


def _nearest(learnt: Any, measured: Any, count: int) -> np.ndarray:
    """The places among the rows learnt of the `count` nearest by cosine, (n, count), nearest first."""
    search = NearestNeighbors(n_neighbors=min(count, learnt.shape[0]), metric="cosine", algorithm="brute").fit(learnt)
    return np.asarray(search.kneighbors(measured, return_distance=False))


def _vote(labels: np.ndarray, classes: int) -> np.ndarray:
    """The class (n,) of most among the neighbours' (n, k), nearest first; the nearest of them decides a draw."""
    rows, k = labels.shape
    weights = np.broadcast_to(1 + 1e-3 * 0.5 ** np.arange(k), labels.shape)
    places = np.repeat(np.arange(rows), k)
    votes = sp.csr_array((weights.ravel(), (places, labels.ravel())), shape=(rows, classes))
    return np.asarray(votes.argmax(axis=1)).ravel()


def _marks(labels: np.ndarray, classes: int) -> sp.csr_array:
    """Class numbers (n,) as zeros and ones (n, C)."""
    return sp.csr_array((np.ones(len(labels)), labels, np.arange(len(labels) + 1)), shape=(len(labels), classes))


class _Agreement:
    """Labels said against labels true, both (n, C) zeros and ones: F1 as a function of how often each row counts."""

    def __init__(self, truth: Any, said: Any):
        self.both = truth.multiply(said).tocsr().astype(np.float64)
        self.either = (truth + said).tocsr().astype(np.float64)

    def macro_f1(self, counts: np.ndarray) -> np.ndarray:
        """The mean over the labels that occur, truly or as said, in the resample: (R,)."""
        either = counts @ self.either
        f1 = np.divide(2 * (counts @ self.both), either, out=np.zeros_like(either), where=either > 0)
        return np.asarray(f1.sum(axis=1) / np.maximum((either > 0).sum(axis=1), 1))

    def micro_f1(self, counts: np.ndarray) -> np.ndarray:
        """Over all labels together: (R,); 0 where there are none."""
        either = (counts @ self.either).sum(axis=1)
        both = (counts @ self.both).sum(axis=1)
        return np.asarray(2 * both / np.where(either > 0, either, 1))
