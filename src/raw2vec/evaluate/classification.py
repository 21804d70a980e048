"""Classification and regression: what a model's own head says, or what probes can read off its frozen vectors."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple
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
    Split,
    readable,
    vectors,
)
from raw2vec.labels import Labels
from raw2vec.seeding import permutation

PARTS = 5
"""Rows without others to learn from are cut into so many: one is measured after learning from the others."""

MOST = 5000
"""Rows that everything beside a model's own head learns from: more would take minutes and say little more."""


class Probe(Shape):
    """What reads labels off features: fitted on the rows to learn from and asked of those to measure, split by split.

    Answers go by who gives them, "" for the one whose metrics bear no prefix, for all measured rows end to end.
    """

    headline: str
    blind_name: str

    def refusal(self) -> str | None:
        """Why nothing can be learnt, if so."""

    def blind(self) -> dict[str, np.ndarray]:
        """The best guess that never looks at the features."""

    def read(self, features: Callable[[Split], tuple[Any, Any]]) -> dict[str, np.ndarray]:
        """The answers from features (m, L) and (k, L), dense or sparse, of a split's rows."""

    def measured(self, said: dict[str, np.ndarray]) -> Measured:
        """What the answers are worth."""


Probes = Mapping[str, Callable[[np.ndarray, Sequence[Split]], Probe]]
"""By what labels are (classes, labels, numbers): labels of all rows and their splits, to a probe of them."""


class Head(NamedTuple):
    """A model's own answers: the labels it knows, and from vectors (n, L) to n of them as users have them."""

    labels: Labels
    answers: Callable[[np.ndarray], Sequence[Any]]


class Classification(Protocol):
    """A model's own head answers where it has one, else a linear probe on its vectors; baselines are probed as well.

    Probes learn from `train`. Without it they learn from four fifths of the rows: a probe that stands for the model is
    measured on the other fifth; beside a head, which is measured on all rows, every fifth has its turn (cross-fitting).
    Fifths are drawn with the seed, class by class, identical items on one side. What labels are (classes, several at
    once, numbers), `Labels` tells. Items are texts or arrays, and the baselines must be such as read them.

    name, version: of a protocol that reads labels off vectors by probes of its own, such as "knn".
    """

    roles = ("input", "label")

    def __init__(
        self,
        baselines: Mapping[str, Baseline],
        compare: Callable[[Mapping[str, Measured], int], Comparison],
        probes: Probes,
        name: str = "classification",
        version: int = 2,
    ):
        super().__init__(baselines, compare)
        self.probes, self.name, self.version = dict(probes), name, version

    def run(
        self, model: Encode, columns: Columns, seed: int = 0, train: Columns | None = None, head: Head | None = None
    ) -> Report:
        started = perf_counter()
        data = _data(self.read(columns), [[], []] if train is None else self.read(train), head, seed)
        rows = vectors(model, data.items, "input")
        probe = self.probes[data.labels.task](data.values, data.splits)
        reason = probe.refusal()
        if reason and head is None:
            raise BadInput(reason)
        said = {} if reason else probe.read(lambda split: (rows[split.learnt], rows[split.measured]))
        if head:
            own = _values(data.labels, head.answers(rows[data.measured]))
            said = {"": own} | {name or "probe_": answers for name, answers in said.items()}
        rivals, notes = ({}, [_alone(reason)]) if reason else self._rivals(probe, data, rows.shape[1])
        told = [*([] if reason else [data.told(head, train)]), *data.gaps(head), *notes]
        return self.report({MODEL: probe.measured(said), **rivals}, probe.headline, started, seed, told)

    def _rivals(self, probe: Probe, data: "_Data", width: int) -> tuple[dict[str, Measured], list[str]]:
        """The guess that never looks, and probes of each baseline; with a note where no baseline reads the items."""

        def features(split: Split, learn: Baseline) -> tuple[Any, Any]:
            known = data.of(split.learnt)
            encode = learn(known, width)
            return encode(known, "input"), encode(data.of(split.measured), "input")

        baselines, notes = readable(self.baselines, data.items)
        found = {probe.blind_name: probe.blind()}
        for name, learn in baselines.items():
            found[name] = probe.read(lambda split, learn=learn: features(split, learn))  # type: ignore[misc]
        return {name: probe.measured(said) for name, said in found.items()}, notes


@dataclass(frozen=True)
class _Data:
    """Items with their labels, also as `values` (n, …) and `strata` (n,), and which are learnt from and measured."""

    items: list[Any]
    same: list[Hashable]
    labels: Labels
    values: np.ndarray
    strata: np.ndarray
    splits: list[Split]

    @property
    def measured(self) -> np.ndarray:
        """The rows that are measured, split after split."""
        return np.concatenate([split.measured for split in self.splits])

    def of(self, rows: np.ndarray) -> list[Any]:
        return [self.items[row] for row in rows]

    def told(self, head: Head | None, train: Columns | None) -> str:
        """Who has learnt from what, in a sentence."""
        learnt, measured = max(len(split.learnt) for split in self.splits), len(self.measured)
        if head is None:
            return f"{learnt} rows were learnt from and {measured} measured"
        if train is not None:
            return (
                f"on {measured:,} rows the model's own head answers, and probes of its vectors (probe_, knn) and the "
                f"baselines, all of which learnt from {learnt:,} of the rows that the model was trained on"
            )
        return (
            f"the model's own head answers for all {measured:,} rows; probes of its vectors (probe_, knn) and the "
            f"baselines answer for each fifth of them after learning from {learnt:,} of the other rows: they know this "
            "file's labels, the model those that it was trained on"
        )

    def gaps(self, head: Head | None) -> list[str]:
        """What makes a figure easier or harder than it looks: items also learnt from, classes never learnt."""
        repeated = unseen = 0
        for learnt, measured, _ in self.splits:
            known = {self.same[row] for row in learnt}
            repeated += sum(self.same[row] in known for row in measured)
            unseen += int((~np.isin(self.strata[measured], self.strata[learnt])).sum()) if len(learnt) else 0
        rows = f"of {len(self.measured)} measured"
        notes = [f"{repeated} {rows} items were also learnt from"] if repeated else []
        if unseen:
            who = " by the probes and the baselines" if head else ""
            notes.append(f"{unseen} {rows} rows have a class never learnt{who}, and count as wrong")
        strange = self._strange(head) if head else 0
        return [*notes, f"{strange} {rows} rows have a label that the model never learnt"] if strange else notes

    def _strange(self, head: Head) -> int:
        """How many measured rows have a name that the head does not know."""
        if self.labels.task == "numbers":
            return 0
        values, known = self.values[self.measured], len(head.labels.names)
        return int((values >= known).sum() if values.ndim == 1 else values[:, known:].any(axis=1).sum())


def _alone(reason: str) -> str:
    return f"there are no baselines beside the model: {reason[0].lower()}{reason[1:].rstrip('.')}"


def _data(columns: list[list[Any]], train: list[list[Any]], head: Head | None, seed: int) -> _Data:
    """The rows to measure and, where there are any of their own, to learn from; BadInput where both are too few."""
    items, column = ([*known, *asked] for known, asked in zip(train, columns, strict=True))
    labels = Labels.learn(column) if head is None else head.labels.widened(column)
    values, same = _values(labels, column), [_identity(item) for item in items]
    strata = values if labels.task == "classes" else np.zeros(len(items), dtype=np.int64)
    if train[0]:
        parts, turns = (np.arange(len(items)) >= len(train[0])).astype(np.int64), [1]
    else:
        parts, turns = _parts(same, strata, seed), [1]
        if head:  # from class to class another part begins, so that classes of a few rows do not all lie in the first
            parts, turns = (parts + strata) % PARTS, list(range(PARTS))
    turns = [part for part in turns if (parts == part).any()]
    if not turns:
        raise BadInput(
            f"{len(items)} rows ({len(set(same))} different items) are too few to learn from some and measure the "
            "others."
        )
    return _Data(items, same, labels, values, strata, [_split(parts == part, strata, seed, head) for part in turns])


def _split(measured: np.ndarray, strata: np.ndarray, seed: int, head: Head | None) -> Split:
    """Rows to learn from in a drawn order, so that the first of them are a sample: beside a head at most `MOST`."""
    learnt = np.flatnonzero(~measured)
    learnt = learnt[permutation(len(learnt), seed, "learnt")[: len(learnt) if head is None else MOST]]
    return Split(learnt, np.flatnonzero(measured), _dealt(strata[learnt], 3, seed, "folds"))


def _identity(item: Any) -> Hashable:
    """Equal for equal items: a text itself, or what an array holds."""
    return item if isinstance(item, str) else repr((np.shape(item), np.asarray(item).tobytes()))


def _values(labels: Labels, column: Sequence[Any]) -> np.ndarray:
    """Class numbers (n,), zeros and ones (n, C), or numbers (n,) in the unit they were given in."""
    values = labels.numbers(column)
    return values[:, 0].astype(np.float64) * labels.scale + labels.mean if labels.task == "numbers" else values


def _parts(items: Sequence[Hashable], strata: np.ndarray, seed: int) -> np.ndarray:
    """Rows (n,) dealt to PARTS numbers, so that each has its share of each stratum (n,); identical items together."""
    _, first, which = np.unique(np.array(items, dtype=object), return_index=True, return_inverse=True)
    return np.asarray(_dealt(strata[first], PARTS, seed, "held out")[which.ravel()])


def _dealt(strata: np.ndarray, hands: int, seed: int, purpose: str) -> np.ndarray:
    """Rows (n,) dealt to `hands` numbers in a drawn order, class by class, so that each hand has its share of each."""
    order = permutation(len(strata), seed, purpose)
    order = order[np.argsort(strata[order], kind="stable")]
    dealt = np.empty(len(strata), dtype=np.int64)
    dealt[order] = (np.arange(len(strata)) - np.searchsorted(strata[order], strata[order])) % hands
    return dealt
