"""What reads labels off frozen features: a linear probe and nearest neighbours, beside the guess that never looks."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from raw2vec.evaluate.base import Measured, Split, Values

TUNED_ON = 1000
"""Training rows on which a probe's one setting is cross-validated; it is then fitted on all of them."""

NEIGHBOURS = (1, 5, 20)

WEIGHTS = 1_000_000
"""Classes times sparse features above which a support vector machine a class stands for logistic regression."""

Features = Callable[[Split], tuple[Any, Any]]
"""A split to the features of its rows to learn from (m, L) and of its rows to measure (k, L), dense or sparse."""

Said = dict[str, np.ndarray]
"""Answers for all measured rows, split after split, by who gives them: "" for the one whose metrics bear no prefix."""


Reader = Callable[[Any, np.ndarray, np.ndarray, Any], Said]
"""Features to learn from (m, L), their labels and folds (m,), and features to measure (k, L), to answers (k, …)."""


def logistic(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """Logistic regression; of many sparse features and classes a support vector machine a class."""
    wide = sp.issparse(learnt) and learnt.shape[1] * len(np.unique(labels)) > WEIGHTS
    probe = LinearSVC(tol=1e-2) if wide else LogisticRegression(max_iter=500, tol=1e-3)
    grid = (0.1, 1, 10) if wide else (1, 10, 100)
    return {"": _fitted(probe, "C", (0.001, 0.01, 0.1, 1), grid, learnt, labels, folds).predict(measured)}


def logistic_and_nearest(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """The same, and the vote of the k nearest by cosine."""
    said = logistic(learnt, labels, folds, measured)
    near = _nearest(learnt, measured, max(NEIGHBOURS))
    return said | {f"knn{k}_": _vote(labels[near[:, :k]], labels.max() + 1) for k in NEIGHBOURS}


def logistic_each(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """A logistic regression for each label (m, C)."""
    probe = OneVsRestClassifier(LogisticRegression(max_iter=500, tol=1e-4))  # 1e-3 leaves rare labels unlearnt
    grid = (1, 10, 100)
    fitted = _fitted(probe, "estimator__C", (0.001, 0.01, 0.1, 1), grid, learnt, labels, folds)
    return {"": fitted.predict(measured)}


def ridge(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """Ridge regression of numbers (m,)."""
    dense, unit = (1, 10, 100, 1000, 10000), (0.1, 1, 10, 100)
    return {"": _fitted(Ridge(), "alpha", dense, unit, learnt, labels, folds).predict(measured)}


class Classes:
    """One class a row, told by a `reader`: accuracy and macro-F1 of each of its answers.

    Takes class numbers (n,), and which rows are learnt from and measured.
    """

    headline = "accuracy"
    blind_name = "majority"

    def __init__(self, labels: np.ndarray, splits: Sequence[Split], reader: Reader = logistic_and_nearest):
        self.labels, self.splits, self.truth = labels, splits, labels[_measured(splits)]
        self.reader = reader

    def refusal(self) -> str | None:
        """Why nothing can be learnt, if so."""
        alike = any(len(np.unique(self.labels[split.learnt])) < 2 for split in self.splits)
        return "All rows to learn from are of one class: a probe needs two or more." if alike else None

    def blind(self) -> Said:
        return _each(self.splits, self._commonest)

    def read(self, features: Features) -> Said:
        return _read(self.reader, self.labels, self.splits, features)

    def _commonest(self, split: Split) -> Said:
        return {"": np.full(len(split.measured), np.bincount(self.labels[split.learnt]).argmax())}

    def measured(self, said: Said) -> Measured:
        truth, classes = self.truth, max(self.labels.max(), *(guess.max() for guess in said.values())) + 1
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
    """Any number of labels a row, (n, C) zeros and ones, told by a `reader`: micro-F1 and macro-F1."""

    headline = "micro_f1"
    blind_name = "majority"

    def __init__(self, labels: np.ndarray, splits: Sequence[Split], reader: Reader = logistic_each):
        self.labels, self.splits, self.reader = labels.astype(np.int64), splits, reader
        self.truth = self.labels[_measured(splits)]

    def refusal(self) -> str | None:
        """Why nothing can be learnt, if so."""
        alike = any(len(np.unique(self.labels[split.learnt], axis=0)) < 2 for split in self.splits)
        return "All rows to learn from have the same labels: a probe needs rows that differ." if alike else None

    def blind(self) -> Said:
        """The commonest set of labels, empty sets aside (they would score nothing)."""
        return _each(self.splits, self._commonest)

    def read(self, features: Features) -> Said:
        return _read(self.reader, self.labels, self.splits, features)

    def _commonest(self, split: Split) -> Said:
        learnt = self.labels[split.learnt]
        sets, counts = np.unique(learnt[learnt.any(axis=1)], axis=0, return_counts=True)
        commonest = sets[counts.argmax()] if len(sets) else np.zeros(learnt.shape[1], dtype=np.int64)
        return {"": np.tile(commonest, (len(split.measured), 1))}

    def measured(self, said: Said) -> Measured:
        truth = sp.csr_array(self.truth)
        tables = {name: _Agreement(truth, sp.csr_array(guess)) for name, guess in said.items()}

        def of(counts: np.ndarray) -> Values:
            found = {}
            for name, table in tables.items():
                found[f"{name}micro_f1"], found[f"{name}macro_f1"] = table.micro_f1(counts), table.macro_f1(counts)
            return found

        return Measured(len(self.truth), of)


class Numbers:
    """A number a row, (n,), told by a `reader`: R² (the share of variance explained) and the mean absolute error."""

    headline = "r2"
    blind_name = "mean"

    def __init__(self, labels: np.ndarray, splits: Sequence[Split], reader: Reader = ridge):
        self.labels, self.splits, self.truth = labels, splits, labels[_measured(splits)]
        self.reader = reader

    def refusal(self) -> str | None:
        """Why nothing can be learnt, if so."""
        if not all(len(split.learnt) for split in self.splits):
            return "There are no rows to learn from: a probe needs items that differ."
        if np.ptp(self.truth):
            return None
        return f"All measured labels are {self.truth[0]:g}: a regression needs rows that differ."

    def blind(self) -> Said:
        return _each(self.splits, lambda split: {"": np.full(len(split.measured), self.labels[split.learnt].mean())})

    def read(self, features: Features) -> Said:
        return _read(self.reader, self.labels, self.splits, features)

    def measured(self, said: Said) -> Measured:
        truth = self.truth - self.truth.mean()

        def of(counts: np.ndarray) -> Values:
            total = counts.sum(axis=1)
            spread = counts @ truth**2 - (counts @ truth) ** 2 / total
            found = {}
            for name, guess in said.items():
                missed = counts @ (self.truth - guess) ** 2
                share = np.divide(missed, spread, out=np.full_like(missed, np.nan), where=spread > 0)
                found[f"{name}r2"] = 1 - share
                found[f"{name}mae"] = counts @ np.abs(self.truth - guess) / total
            return found

        return Measured(len(truth), of)


def _read(reader: Reader, labels: np.ndarray, splits: Sequence[Split], features: Features) -> Said:
    """What the reader says of each split's features, end to end."""

    def said(split: Split) -> Said:
        learnt, measured = features(split)
        return reader(learnt, labels[split.learnt], split.folds, measured)

    return _each(splits, said)


def _measured(splits: Sequence[Split]) -> np.ndarray:
    return np.concatenate([split.measured for split in splits])


def _each(splits: Sequence[Split], answers: Callable[[Split], Said]) -> Said:
    """The answers of all splits end to end."""
    found = [answers(split) for split in splits]
    return {name: np.concatenate([said[name] for said in found]) for name in found[0]}


class _Scaled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Dense rows about their mean: each column at a deviation of one, or, of rows of length one, all by one factor.

    The small columns of rows of length one are noise, and stay small. Those that vary by rounding alone, as where an
    SVD gives more than there is, are zeros: at a deviation of one they would outweigh everything in rows not learnt.
    """

    def fit(self, rows: np.ndarray, labels: Any = None) -> "_Scaled":
        self.mean_, spread = rows.mean(axis=0), rows.std(axis=0)
        varies = spread > 100 * np.finfo(rows.dtype).eps * spread.max()
        self.scale_ = np.where(varies, np.linalg.norm(spread) if _are_unit(rows) else spread, np.inf)
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return (rows - self.mean_) / self.scale_


def _fitted(
    probe: Any,
    setting: str,
    dense: tuple[float, ...],
    unit: tuple[float, ...],
    features: Any,
    labels: Any,
    folds: Any,
) -> Any:
    """The probe with the best of its settings by cross-validation, fitted on all rows.

    Rows of length one, as the sparse ones are, choose among the settings `unit`, others among `dense`.
    """
    scale = [] if sp.issparse(features) else [("scale", _Scaled())]
    grid = {f"probe__{setting}": unit if sp.issparse(features) or _are_unit(features) else dense}
    few = slice(TUNED_ON)
    turns = 1 if labels.ndim == 2 else 3  # a fit for each label takes its time
    parts = [(np.flatnonzero(folds[few] != fold), np.flatnonzero(folds[few] == fold)) for fold in range(turns)]
    parts = [(learn, check) for learn, check in parts if len(check) and len(np.unique(labels[learn], axis=0)) > 1]
    model = Pipeline([*scale, ("probe", probe)])
    with warnings.catch_warnings():
        # A last digit not converged, or a label that one fold lacks, is no news to the user.
        warnings.simplefilter("ignore")
        if parts:
            search = GridSearchCV(model, grid, cv=parts, scoring=_score(labels), refit=False)
            model.set_params(**search.fit(features[few], labels[few]).best_params_)
        return model.fit(features, labels)


def _are_unit(features: Any) -> bool:
    """Whether every dense row is of length one, or nothing at all."""
    norms = np.linalg.norm(features, axis=1)
    return bool((np.isclose(norms, 1, atol=1e-3) | (norms == 0)).all() and norms.any())


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
