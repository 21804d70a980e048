"""Classification and regression on frozen vectors: what a linear probe and the nearest neighbours can read off them."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple
from typing import Protocol as Shape

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Baseline, Columns, Comparison, Encode, Measured, Protocol, Report, vectors
from raw2vec.seeding import permutation


class Probe(Shape):
    """What reads labels off features: fitted where `test` (n,) is False, measured where it is True."""

    headline: str
    blind_name: str

    def __init__(self, labels: np.ndarray, test: np.ndarray, folds: np.ndarray): ...

    def blind(self) -> Measured:
        """The best guess that never looks at the features."""

    def read(self, features: Any) -> Measured:
        """Features (n, L), dense or sparse, fitted and measured."""


class Labels(NamedTuple):
    """Labels as they are learnt: (n,) class numbers, (n,) floats, or (n, C) zeros and ones, and the classes' names."""

    kind: str
    values: np.ndarray
    names: list[str]


class Classification(Protocol):
    """A probe is fitted on the training rows' vectors and measured on the rows evaluated, and so is every baseline.

    With no training rows of their own, a fifth of the rows is measured and the rest learnt from, drawn with the seed,
    class by class, identical texts on one side. Labels that are numbers with fractions, or more than 20 different whole
    ones, are regressed; lists, or strings with `|`, are several labels a row; everything else is classes.
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
        texts, found = [*learnt_texts, *texts], read_labels([*learnt_labels, *labels])
        test = _fifth(texts, found, seed) if train is None else np.arange(len(texts)) >= len(learnt_texts)
        rows = vectors(model, texts, "input")
        strata = found.values if found.kind == "classes" else np.zeros(len(texts), dtype=np.int64)
        probe = self.probes[found.kind](found.values, test, _dealt(strata[~test], 3, seed, "folds"))
        contestants = {MODEL: probe.read(rows), probe.blind_name: probe.blind()}
        known = [text for text, held in zip(texts, test, strict=True) if not held]
        for name, learn in self.baselines.items():
            contestants[name] = probe.read(learn(known, rows.shape[1])(texts, "input"))
        notes = [f"{(~test).sum()} rows were learnt from and {test.sum()} measured", *_gaps(texts, found, test)]
        return self.report(contestants, probe.headline, started, seed, notes)


def read_labels(labels: Sequence[Any]) -> Labels:
    """Labels of any one kind, or BadInput with the first row that has none, or when all rows have the same."""
    if any(isinstance(label, (list, tuple, set, np.ndarray)) or "|" in str(label) for label in labels):
        return _several(labels)
    missing = [row for row, label in enumerate(labels) if label is None or str(label).strip().lower() in ("", "nan")]
    if missing:
        raise BadInput(
            f"The label of row {missing[0]} is missing ({len(missing)} of {len(labels)} are): "
            "fill them in or leave those rows out."
        )
    numbers = _numbers(labels)
    if numbers is not None:
        whole = bool((numbers == numbers.round()).all())
        if not whole or len(np.unique(numbers)) > 20:
            return Labels("numbers", numbers, [])
        labels = [int(number) for number in numbers]
    names, values = np.unique(np.array([str(label).strip() for label in labels]), return_inverse=True)
    if len(names) < 2:
        raise BadInput(f"All {len(labels)} labels are '{names[0]}': a probe needs two classes or more.")
    return Labels("classes", values.ravel(), names.tolist())


def _several(labels: Sequence[Any]) -> Labels:
    sets = [
        {str(part).strip() for part in label}
        if isinstance(label, (list, tuple, set, np.ndarray))
        else {part.strip() for part in ("" if label is None or label != label else str(label)).split("|")} - {""}
        for label in labels
    ]
    names = sorted(set().union(*sets))
    values = np.array([[name in row for name in names] for row in sets], dtype=np.int64).reshape(len(sets), len(names))
    if not values.any(axis=0).any() or values.all():
        raise BadInput(f"All {len(sets)} rows have the same labels: a probe needs rows that differ.")
    return Labels("several", values, names)


def _numbers(labels: Sequence[Any]) -> np.ndarray | None:
    """The labels as floats if every one is a number, else None; an infinite one is BadInput."""
    try:
        numbers = np.array([float(label) for label in labels])
    except (TypeError, ValueError):
        return None
    infinite = np.flatnonzero(~np.isfinite(numbers))
    if len(infinite):
        raise BadInput(f"The label of row {infinite[0]} is {labels[infinite[0]]}, which nothing can be fitted to.")
    return numbers


def _fifth(texts: Sequence[str], labels: Labels, seed: int) -> np.ndarray:
    """True for the fifth of the rows to measure, (n,): of each class alike, and identical texts together."""
    _, first, which = np.unique(np.array(texts, dtype=object), return_index=True, return_inverse=True)
    strata = labels.values[first] if labels.kind == "classes" else np.zeros(len(first), dtype=np.int64)
    held: np.ndarray = (_dealt(strata, 5, seed, "held out") == 1)[which.ravel()]
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


def _gaps(texts: Sequence[str], labels: Labels, test: np.ndarray) -> list[str]:
    """What makes a figure easier or harder than it looks: texts that were also learnt from, classes that never were."""
    known = {text for text, held in zip(texts, test, strict=True) if not held}
    repeated = sum(text in known for text, held in zip(texts, test, strict=True) if held)
    notes = [f"{repeated} of {test.sum()} measured texts were also learnt from"] if repeated else []
    if labels.kind == "classes":
        unseen = ~np.isin(labels.values[test], labels.values[~test])
        if unseen.any():
            notes.append(f"{unseen.sum()} of {test.sum()} measured rows have a class never learnt, and count as wrong")
    return notes
