"""Cross-retrieval: do the two sides of a pair, of any two kinds, find each other among all the others?"""

from time import perf_counter

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Encode, Measured, Protocol, Report, identities, unit, vectors

SCORES = 1 << 24
"""Scores held at once, 64 MB of float32."""
TIE = 1e-6
"""Scores nearer than this are equal: closer than that is float32 rounding."""
DEPTHS = (1, 5, 10)


class CrossRetrieval(Protocol):
    """Every target looks for its row's input among all inputs, and every input for its target (CLIP's R@k).

    The metrics without a prefix are the targets', from words to pictures; those of `reverse_` the inputs'. Identical
    items are one answer, and another answer to an identical question is neither right nor wrong; a tie with a wrong
    answer counts half. recall@k and mrr@10 are means over rows. Chance is set beside them.
    """

    name = "cross-retrieval"
    roles = ("input", "target")

    def run(self, model: Encode, columns: Columns, seed: int = 0) -> Report:
        started = perf_counter()
        inputs, targets = self.read(columns)
        left, right = unit(vectors(model, inputs, "input")), unit(vectors(model, targets, "target"))
        if left.shape[1] != right.shape[1]:
            raise BadInput(f"The encoder gave inputs {left.shape[1]} dimensions and targets {right.shape[1]}.")
        own, other = identities(inputs), identities(targets)
        there, back = ranks(right, left, other, own), ranks(left, right, own, other)
        answers = (len(set(own.tolist())), len(set(other.tolist())))
        chance = (_chance(len(inputs), count) for count in answers)
        contestants = {MODEL: _measured(_values(there), _values(back)), "chance": _measured(*chance)}
        few = [f"there are only {min(answers)} answers to choose from"] if min(answers) <= DEPTHS[-1] else []
        return self.report(contestants, "recall@10", started, seed, few)


def ranks(questions: np.ndarray, answers: np.ndarray, asked: np.ndarray, told: np.ndarray) -> np.ndarray:
    """The place of each row's own answer, (n,) from 1, among all distinct ones that are not right as well.

    questions and answers (n, L): unit rows. asked and told (n,): which questions, and which answers, are the same.
    """
    _, first, which = np.unique(told, return_index=True, return_inverse=True)
    distinct = answers[first]
    right: dict[int, list[int]] = {}
    for question, answer in zip(asked.tolist(), which.tolist(), strict=True):
        right.setdefault(question, []).append(answer)
    found, block = np.empty(len(asked)), max(1, SCORES // len(distinct))
    for start in range(0, len(asked), block):
        scores = questions[start : start + block] @ distinct.T
        for row, line in enumerate(scores, start):
            own = line[which[row]]
            line[right[int(asked[row])]] = -np.inf
            found[row] = 1 + (np.count_nonzero(line > own + TIE) + np.count_nonzero(line >= own - TIE)) / 2
    return found


def _values(rank: np.ndarray) -> dict[str, np.ndarray]:
    found = {f"recall@{depth}": (rank <= depth).astype(float) for depth in DEPTHS}
    return {**found, "mrr@10": np.where(rank <= 10, 1 / rank, 0.0)}


def _chance(rows: int, answers: int) -> dict[str, np.ndarray]:
    found = {f"recall@{depth}": min(depth / answers, 1.0) for depth in DEPTHS}
    found["mrr@10"] = sum(1 / place for place in range(1, min(answers, 10) + 1)) / answers
    return {name: np.full(rows, value) for name, value in found.items()}


def _measured(there: dict[str, np.ndarray], back: dict[str, np.ndarray]) -> Measured:
    return Measured.means({**there, **{f"reverse_{name}": values for name, values in back.items()}})
