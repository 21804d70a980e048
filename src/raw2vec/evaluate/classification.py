"""Classification and regression on frozen vectors: what a linear probe and the nearest neighbours can read off them."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from time import perf_counter
from typing import Any
from typing import Protocol as Shape

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import (
    MODEL,
    Baseline,
    Columns,
    Comparison,
    Encode,
    Measured,
    Protocol,
    Report,
    learnt,
    vectors,
)
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
    class by class, identical items on one side. What labels are (classes, several at once, numbers), `Labels` tells.
    Items are texts or arrays, and the baselines must be such as read them.
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
        items, labels = self.read(columns)
        known_items, known_labels = ([], []) if train is None else self.read(train)
        items, column = [*known_items, *items], [*known_labels, *labels]
        same = [_identity(item) for item in items]
        found = Labels.learn(column)
        values = _values(found, column)
        strata = values if found.task == "classes" else np.zeros(len(items), dtype=np.int64)
        test = np.arange(len(items)) >= len(known_items) if train is not None else _fifth(same, strata, seed)
        probe = self.probes[found.task](values, test, _dealt(strata[~test], 3, seed, "folds"))
        rows = vectors(model, items, "input")
        contestants = {MODEL: probe.read(rows), probe.blind_name: probe.blind()}
        known = [item for item, held in zip(items, test, strict=True) if not held]
        baselines, notes = learnt(self.baselines, known, items, rows.shape[1])
        for name, encode in baselines.items():
            contestants[name] = probe.read(encode(items, "input"))
        split = f"{(~test).sum()} rows were learnt from and {test.sum()} measured"
        return self.report(contestants, probe.headline, started, seed, [split, *_gaps(same, strata, test), *notes])


def _identity(item: Any) -> Hashable:
    """Equal for equal items: a text itself, or what an array holds."""
    return item if isinstance(item, str) else repr((np.shape(item), np.asarray(item).tobytes()))


def _values(labels: Labels, column: list[Any]) -> np.ndarray:
    """Class numbers (n,), zeros and ones (n, C), or numbers (n,) in the unit they were given in."""
    values = labels.numbers(column)
    return values[:, 0].astype(np.float64) * labels.scale + labels.mean if labels.task == "numbers" else values


def _fifth(items: Sequence[Hashable], strata: np.ndarray, seed: int) -> np.ndarray:
    """True for the fifth of the rows to measure, (n,): of each stratum (n,) alike, and identical items together."""
    _, first, which = np.unique(np.array(items, dtype=object), return_index=True, return_inverse=True)
    held: np.ndarray = (_dealt(strata[first], 5, seed, "held out") == 1)[which.ravel()]
    if not held.any():
        raise BadInput(
            f"{len(items)} rows ({len(first)} different items) are too few to learn from some and measure the others."
        )
    return held


def _dealt(strata: np.ndarray, hands: int, seed: int, purpose: str) -> np.ndarray:
    """Rows (n,) dealt to `hands` numbers in a drawn order, class by class, so that each hand has its share of each."""
    order = permutation(len(strata), seed, purpose)
    order = order[np.argsort(strata[order], kind="stable")]
    dealt = np.empty(len(strata), dtype=np.int64)
    dealt[order] = (np.arange(len(strata)) - np.searchsorted(strata[order], strata[order])) % hands
    return dealt


def _gaps(items: Sequence[Hashable], strata: np.ndarray, test: np.ndarray) -> list[str]:
    """What makes a figure easier or harder than it looks: items that were also learnt from, classes that never were."""
    known = {item for item, held in zip(items, test, strict=True) if not held}
    repeated = sum(item in known for item, held in zip(items, test, strict=True) if held)
    unseen = (~np.isin(strata[test], strata[~test])).sum()
    notes = [f"{repeated} of {test.sum()} measured items were also learnt from"] if repeated else []
    if unseen:
        notes.append(f"{unseen} of {test.sum()} measured rows have a class never learnt, and count as wrong")
    return notes
