"""Agreement with a teacher: do vectors lie where a teacher's do, and are an item's neighbours the teacher's own?"""

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate.base import MODEL, Columns, Encode, Measured, Protocol, Report, unit, vectors
from raw2vec.neighbours import nearest

NEIGHBOURS = 10
FEWEST = 3  # items below which there are no neighbours to agree on


class Agreement(Protocol):
    """The label of each item is its teacher's vector (D,).

    neighbours@10: the share of an item's ten nearest others, by the teacher's cosines, that are among its ten nearest
    here. cosine: between the two vectors, where one space leads into the other: by `lift` (L, D), or being as wide.
    """

    name = "agreement"
    roles = ("input", "label")

    def run(
        self,
        model: Encode,
        columns: Columns,
        seed: int = 0,
        lift: np.ndarray | None = None,
        learnt: Columns | None = None,
        others: Mapping[str, Encode] | None = None,
    ) -> Report:
        """learnt: items that baselines learn from; none: those measured. others: models to set beside, by name.

        With a lift the teacher itself in as many numbers stands beside them: the most that any model of its width
        could reach, and no baseline to beat.
        """
        started = perf_counter()
        items, labels = self.read(columns)
        teacher = _teacher(labels)
        if len(items) < FEWEST:
            raise BadInput(f"Agreement is about neighbours: {FEWEST} items are the fewest, and here are {len(items)}.")
        own = vectors(model, items, "input")
        near = nearest(teacher, NEIGHBOURS)[0]
        if lift is None and own.shape[1] == teacher.shape[1]:
            lift = np.eye(own.shape[1], dtype=np.float32)
        contestants = {MODEL: _measured(own, teacher, near, lift)}
        for name, encode in (others or {}).items():
            contestants[name] = _measured(vectors(encode, items, "input"), teacher, near, lift)
        for name, learn in self.baselines.items():
            baseline = learn((learnt or columns)["input"], own.shape[1])
            contestants[name] = _measured(np.asarray(baseline(items, "input")), teacher, near, None)
        found = self.report(contestants, f"neighbours@{NEIGHBOURS}", started, seed)
        if lift is None or lift.shape[0] == lift.shape[1]:
            return found
        most = _measured(teacher @ lift.T, teacher, near, lift).metrics()
        return replace(found, baselines={f"the teacher in {len(lift)} numbers": most, **found.baselines})


def _measured(own: np.ndarray, teacher: np.ndarray, near: np.ndarray, lift: np.ndarray | None) -> Measured:
    found = nearest(own.astype(np.float32), NEIGHBOURS)[0]
    shared = (found[:, :, None] == near[:, None, :]).any(axis=2).mean(axis=1)
    values = {f"neighbours@{NEIGHBOURS}": shared}
    if lift is not None:
        values["cosine"] = (unit(own @ lift) * unit(teacher)).sum(axis=1)
    return Measured.means(values)


def _teacher(labels: list[Any]) -> np.ndarray:
    """The teacher's vectors (n, D) float32; BadInput for labels that are none."""
    try:
        found = np.array(labels, np.float32)
    except (TypeError, ValueError):
        found = np.empty(0, np.float32)
    if found.ndim != 2:
        raise BadInput("Agreement is with a teacher's vectors: the label of each row is a list of as many numbers.")
    if not np.isfinite(found).all():
        raise NonFinite("A vector of the teacher's holds a number that is not finite.")
    return found
