"""Vectors to labels, through the head that supervised training left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.labels import Labels
from raw2vec.objectives import Supervised
from raw2vec.readout import Classes
from raw2vec.readout import Labels as Several


def supervised(parts: Model) -> tuple[Supervised, Labels]:
    """The model's last supervised objective and its labels; BadInput when it was trained without any."""
    found = heads(parts)
    if not found or parts.labels is None:
        named = " Or name the classes, for it knows words: --labels 'a heart, a house'." if parts.recipe.target else ""
        raise BadInput(
            f"This model was not trained on labels, so it cannot predict: fit it with --label COLUMN.{named}"
        )
    return found[-1], parts.labels


def heads(parts: Model) -> list[Supervised]:
    """The model's supervised objectives."""
    return [objective for objective in parts.objectives.values() if isinstance(objective, Supervised)]


@dataclass(frozen=True)
class Predicted:
    """What the head says of n vectors.

    labels: (n,) classes, numbers, or lists of labels. shares: (n, C), the probability of each class, or of each label
    by itself; none for numbers.
    """

    labels: NDArray[Any]
    shares: NDArray[np.float32] | None

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The shares (n, C); BadInput where there are none."""
        if self.shares is None:
            raise BadInput("This model predicts numbers, which have no probabilities.")
        return self.shares


def score(parts: Model, vectors: NDArray[np.float32], answers: Sequence[Any]) -> float:
    """scikit-learn's score: the share of items whose labels are told, all of an item's, or R² of numbers."""
    task, told = supervised(parts)[1].task, predicted(parts, vectors).labels
    if task == "numbers":
        return float(r2_score(np.asarray(answers, np.float64), told))
    if task == "labels":
        return float(np.mean([set(one) == set(other) for one, other in zip(told, answers, strict=True)]))
    return float(np.mean([str(one) == str(other) for one, other in zip(told, answers, strict=True)]))


def predicted(parts: Model, vectors: NDArray[np.float32]) -> Predicted:
    """What the model's head says of vectors (n, L)."""
    objective, labels = supervised(parts)
    readout = objective.readout
    with torch.inference_mode():
        states = torch.from_numpy(vectors).to(next(objective.parameters()).device)
        shares = readout.probabilities(states).cpu().numpy() if isinstance(readout, Classes | Several) else None
        words = labels.words(readout.mode(states).cpu().numpy())
    several = labels.task == "labels"
    return Predicted(np.fromiter(words, dtype=object, count=len(words)) if several else np.array(words), shares)
