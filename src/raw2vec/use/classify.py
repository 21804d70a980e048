"""Vectors to labels, through the head that supervised training left."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.labels import Labels
from raw2vec.objectives import Supervised
from raw2vec.readout import Classes
from raw2vec.readout import Labels as Several


def supervised(parts: Model) -> tuple[Supervised, Labels]:
    """The model's last supervised objective and its labels; BadInput when it was trained without any."""
    heads = [objective for objective in parts.objectives.values() if isinstance(objective, Supervised)]
    if not heads or parts.labels is None:
        raise BadInput("This model was not trained on labels, so it cannot predict: fit it with --label COLUMN.")
    return heads[-1], parts.labels


def predicted(parts: Model, vectors: NDArray[np.float32]) -> NDArray[Any]:
    """What the head says of vectors (n, L): n classes or numbers, or an array of n lists of labels."""
    objective, labels = supervised(parts)
    device = next(objective.parameters()).device
    with torch.inference_mode():
        words = labels.words(objective.readout.mode(torch.from_numpy(vectors).to(device)).cpu().numpy())
    return np.fromiter(words, dtype=object, count=len(words)) if labels.task == "labels" else np.array(words)


def probabilities(parts: Model, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, C): of each class, or of each label by itself."""
    readout = supervised(parts)[0].readout
    if not isinstance(readout, Classes | Several):
        raise BadInput("This model predicts numbers, which have no probabilities.")
    with torch.inference_mode():
        return np.asarray(readout.probabilities(torch.from_numpy(vectors).to(next(readout.parameters()).device)).cpu())
