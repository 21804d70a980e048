"""A model beside the teacher whose vectors it learned, and beside the model that it began from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raw2vec.evaluate import AGREEMENT, ARRAY_AGREEMENT, Encode, Report
from raw2vec.folder import Model
from raw2vec.objectives import Distillation
from raw2vec.use.encode import encode as encoded

BEFORE = "before training"


def agreement(
    parts: Model,
    encode: Encode,
    held: Mapping[str, Sequence[Any]],
    seed: int = 0,
    learnt: Mapping[str, Sequence[Any]] | None = None,
    start: Model | None = None,
) -> Report:
    """How near the vectors of these items are to the teacher's, which are their labels.

    learnt: texts that the model was trained on, from which baselines learn. start: the model that it began from, if its
    vectors are as wide.
    """
    learned = next((each for each in parts.objectives.values() if isinstance(each, Distillation)), None)
    lift = None if learned is None else learned.lift.float().cpu().numpy()
    if lift is not None and len(held["label"]) and lift.shape[1] != np.size(held["label"][0]):
        lift = None  # another teacher's vectors: neighbours can be compared, and nothing else
    others: dict[str, Encode] = {}
    if start is not None and start.model.latent.width == parts.model.latent.width:
        others[BEFORE] = lambda items, role: encoded(start.model, start.raw, items).vectors
    protocol = ARRAY_AGREEMENT if parts.raw.form.channels else AGREEMENT
    return protocol.run(encode, held, seed, lift=lift, learnt=learnt or None, others=others)
