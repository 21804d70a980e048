"""Classification and regression on frozen vectors: what a linear probe and the nearest neighbours can read off them."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any
from typing import Protocol as Shape

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Baseline, Columns, Comparison, Encode, Measured, Protocol, Report, vectors
from raw2vec.labels import Labels
from raw2vec.seeding import permutation


class Probe(Shape):
    """What reads labels off features: fitted where `test` (n,) is False, measured where it is True.

    Each of the rows to fit on has its place in one of three `folds`.
    """

    headline: str
    blind_name: str

    def __init__(self, labels: np.ndarray, test: np.ndarray, folds: np.ndarray): ...

    def blind(self) -> Measured:
        """The best guess that never looks at the features."""

    def read(self, features: Any) -> Measured:
        """Features (n, L), dense or sparse, fitted and measured."""


class Classification(Protocol):
    """A probe is fitted on the training rows' vectors and measured on the rows evaluated, and so is every baseline.

    With no training rows of their own, a fifth of the rows is measured and the rest learnt from, drawn with the seed,
    class by class, identical texts on one side. What labels are (classes, several at once, numbers), `Labels` tells.
    """

    name = "classification"
    roles = ("input", "label")

    def __init__(
        self,
        baselines: Mapping[str, Baseline],
        compare: Callable[[Mapping[str, Measured], int], Comparison],
        probes: Mapping[str, type[Probe]],
    ):
        super().__init__(baselines, compare)
        self.probes = dict(probes)

    def run(self, model: Encode, columns: Columns, seed: int = 0, train: Columns | None = None) -> Report:
        started = perf_counter()
        texts, labels = self.read(columns)
        learnt_texts, learnt_labels = ([], []) if train is None else self.read(train)
        texts, column = [*learnt_texts, *texts], [*learnt_labels, *labels]
        found = Labels.learn(column)
        values = _values(found, column)
        strata = values if found.task == "classes" else np.zeros(len(texts), dtype=np.int64)
        test = np.arange(len(texts)) >= len(learnt_texts) if train is not None else _fifth(texts, strata, seed)
        probe = self.probes[found.task](values, test, _dealt(strata[~test], 3, seed, "folds"))
        rows = vectors(model, texts, "input")
        contestants = {MODEL: probe.read(rows), probe.blind_name: probe.blind()}
        known = [text for text, held in zip(texts, test, strict=True) if not held]
        for name, learn in self.baselines.items():
            contestants[name] = probe.read(learn(known, rows.shape[1])(texts, "input"))
        notes = [f"{(~test).sum()} rows were learnt from and {test.sum()} measured", *_gaps(texts, strata, test)]
        return self.report(contestants, probe.headline, started, seed, notes)


def _values(labels: Labels, column: list[Any]) -> np.ndarray:
    """Class numbers (n,), zeros and ones (n, C), or numbers (n,) in the unit they were given in."""
    values = labels.numbers(column)
    return values[:, 0].astype(np.float64) * labels.scale + labels.mean if labels.task == "numbers" else values


def _fifth(texts: Sequence[str], strata: np.ndarray, seed: int) -> np.ndarray:
    """True for the fifth of the rows to measure, (n,): of each stratum (n,) alike, and identical texts together."""
    _, first, which = np.unique(np.array(texts, dtype=object), return_index=True, return_inverse=True)
    held: np.ndarray = (_dealt(strata[first], 5, seed, "held out") == 1)[which.ravel()]
    if not held.any():
        raise BadInput(
            f"{len(texts)} rows ({len(first)} different texts) are too few to learn from some and measure the others."
        )
    return held


def _dealt(strata: np.ndarray, hands: int, seed: int, purpose: str) -> np.ndarray:
    """Rows (n,) dealt to `hands` numbers in a drawn order, class by class, so that each hand has its share of each."""
    order = permutation(len(strata), seed, purpose)
    order = order[np.argsort(strata[order], kind="stable")]
    dealt = np.empty(len(strata), dtype=np.int64)
    dealt[order] = (np.arange(len(strata)) - np.searchsorted(strata[order], strata[order])) % hands
    return dealt


def _gaps(texts: Sequence[str], strata: np.ndarray, test: np.ndarray) -> list[str]:
    """What makes a figure easier or harder than it looks: texts that were also learnt from, classes that never were."""
    known = {text for text, held in zip(texts, test, strict=True) if not held}
    repeated = sum(text in known for text, held in zip(texts, test, strict=True) if held)
    unseen = (~np.isin(strata[test], strata[~test])).sum()
    notes = [f"{repeated} of {test.sum()} measured texts were also learnt from"] if repeated else []
    if unseen:
        notes.append(f"{unseen} of {test.sum()} measured rows have a class never learnt, and count as wrong")
    return notes
