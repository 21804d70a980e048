"""Pairs of two kinds, measured: what a protocol calls its inputs is read by the side whose kind they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raw2vec.evaluate import ZERO_SHOT, Encode, Report
from raw2vec.folder import Model
from raw2vec.use.zero_shot import classes


def zero_shot(parts: Model, encode: Encode, side: str, held: Mapping[str, Sequence[Any]], seed: int) -> Report:
    """How many items, of this side, the names of their classes tell."""

    def by_role(items: Sequence[Any], role: str) -> np.ndarray:
        if role == "label":
            return classes(parts, list(items), encode).vectors
        return np.asarray(encode(items, side))

    return ZERO_SHOT.run(by_role, held, seed)
