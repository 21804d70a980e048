"""A model on labelled items: what its own head says of them, or a probe of its vectors where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.engines.base import batches
from raw2vec.evaluate import (
    ARRAY_CLASSIFICATION,
    ARRAY_KNN,
    ARRAY_LINEAR_PROBE,
    CLASSIFICATION,
    KNN,
    LINEAR_PROBE,
    Encode,
    Head,
    Report,
)
from raw2vec.folder import Model
from raw2vec.measure.base import numbers
from raw2vec.ragged import Ragged
from raw2vec.use.classify import heads, predicted
from raw2vec.use.encode import evaluation

BATCH = 4096  # rows of states at a time
PROBED = {"knn": (KNN, ARRAY_KNN), "linear-probe": (LINEAR_PROBE, ARRAY_LINEAR_PROBE)}
"""Protocols that read labels off vectors, whether the model has a head or not: of texts, and of arrays."""


def classification(
    parts: Model,
    encode: Encode,
    held: Mapping[str, list[Any]],
    seed: int = 0,
    learnt: Mapping[str, list[Any]] | None = None,
    seen: Ragged | None = None,
) -> Report:
    """Whether the labels of these items are told, beside baselines.

    learnt: rows that the model was trained on, from which baselines and probes learn; of arrays their labels alone,
    whose items are `seen`. Array baselines learn from the numbers that the model reads, and from their components.
    """
    head = _head(parts)
    if not parts.raw.form.channels:
        return CLASSIFICATION.run(encode, held, seed, learnt or None, head)
    codes = encode(held["input"], "input")
    items = {**held, "input": numbers(parts, parts.raw.windows(held["input"]).ragged)}
    train = None
    if learnt and seen is not None:
        train = {**learnt, "input": numbers(parts, seen)}
        codes = np.concatenate([_codes(parts, seen), codes])
    return ARRAY_CLASSIFICATION.run(lambda items, role: codes, items, seed, train, head)


def probed(
    name: str,
    parts: Model,
    encode: Encode,
    held: Mapping[str, list[Any]],
    learnt: Mapping[str, list[Any]] | None,
    seed: int = 0,
) -> Report:
    """How well labels are read off the vectors by one of `PROBED`, beside the same of baselines.

    learnt: rows to learn from; none: a part of those held, as `Classification` deals them.
    """
    of_texts, of_arrays = PROBED[name]
    if not parts.raw.form.channels:
        return of_texts.run(encode, held, seed, learnt)
    rows = [each for each in (learnt, held) if each is not None]
    codes = np.concatenate([encode(each["input"], "input") for each in rows])
    plain = [{**each, "input": numbers(parts, parts.raw.windows(each["input"]).ragged)} for each in rows]
    return of_arrays.run(lambda items, role: codes, plain[-1], seed, plain[0] if learnt is not None else None)


def _head(parts: Model) -> Head | None:
    if not heads(parts) or parts.labels is None:
        return None
    return Head(parts.labels, lambda vectors: list(predicted(parts, vectors).labels))


def _codes(parts: Model, windows: Ragged) -> NDArray[np.float32]:
    """The vectors (n, L) of windows as the kind's Ragged has them."""
    model = parts.model
    device = next(model.parameters()).device
    order = list(batches(model.embedding.grids(windows.shapes).prod(dim=1), BATCH))
    with evaluation(model):
        codes = [model(windows.take(part).to(device)).float().cpu() for part in order]
    return np.asarray(torch.cat(codes)[torch.cat(order).argsort()])
