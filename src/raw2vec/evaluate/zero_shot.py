"""Zero-shot: do the words of a class name lie nearest to its items, though nobody trained on the classes?"""

from collections import Counter
from time import perf_counter

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Encode, Measured, Protocol, Report, unit, vectors


class ZeroShot(Protocol):
    """Each item is told by the name of a class, its label, whose vector is nearest (CLIP; Radford et al. 2021).

    The classes are the labels that the rows have. Beside the share of items told right stands the commonest class.
    """

    name = "zero-shot"
    roles = ("input", "label")

    def run(self, model: Encode, columns: Columns, seed: int = 0) -> Report:
        started = perf_counter()
        inputs, labels = self.read(columns)
        words = ["" if label is None else str(label).strip() for label in labels]
        if "" in words:
            raise BadInput(f"Item {words.index('')} has no label, and its class' name is what tells it.")
        names = sorted(set(words))
        if len(names) < 2:
            raise BadInput("Zero-shot classification needs two classes at least, and the rows have one.")
        scores = unit(vectors(model, inputs, "input")) @ unit(vectors(model, names, "label")).T
        order = np.argsort(-scores, axis=1, kind="stable")
        own = np.searchsorted(names, words)
        within = {f"accuracy@{k}": (order[:, :k] == own[:, None]).any(axis=1) for k in (1, 5) if k < len(names)}
        common = Counter(words).most_common(5)
        ranked = np.array([names.index(name) for name, _ in common])
        guess = {name: np.isin(own, ranked[: int(name.split("@")[1])]) for name in within}
        contestants = {MODEL: Measured.means(_plain(within)), "commonest class": Measured.means(_plain(guess))}
        return self.report(contestants, "accuracy", started, seed)


def _plain(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The first of them by the name that all classification has."""
    return {name.removesuffix("@1"): value.astype(float) for name, value in values.items()}
