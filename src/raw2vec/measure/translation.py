"""A translator as its protocol wants it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.evaluate import TRANSLATION, Report
from raw2vec.folder import Model
from raw2vec.objectives import Translation
from raw2vec.seeding import Draws
from raw2vec.use.base import is_empty
from raw2vec.use.encode import evaluation
from raw2vec.use.translate import translate, translator
from raw2vec.use.write import Manner

_FIRST, _MUCH = 32, 1.5  # pairs that tell whether they are exchanged, by costs that are so many times as high
USUAL = Manner(beam=5)  # where a report is asked for and not made in passing


def translation(
    parts: Model,
    held: Mapping[str, Sequence[Any]],
    seed: int = 0,
    train: Mapping[str, Sequence[Any]] | None = None,
    manner: Manner = USUAL,
    progress: Callable[[int], None] = lambda items: None,
    beside: Sequence[Model] = (),
) -> Report:
    """How near the model's translations of the inputs come to the targets.

    Where the pairs are told much better the other way round, a note says that the columns look exchanged.

    train: pairs that baselines learn from. beside: models that write together with it, an ensemble. A target that is
    not there counts as an empty one, and how many there are is noted. BadInput where all are empty.
    """
    translator(parts)
    columns = {role: [text or "" for text in held[role]] for role in ("input", "target")}
    empty = sum(is_empty(text) for text in columns["target"])
    if empty and empty == len(columns["target"]):
        raise BadInput("Every target is empty, so that there is nothing to set a translation beside.")
    found = TRANSLATION.run(
        lambda texts: [found.text for found in translate(parts, texts, manner, progress=progress, beside=beside)],
        columns,
        seed,
        train,
    )
    notes = []
    if _exchanged(parts, columns):
        notes.append(
            "the columns look exchanged: the model tells the inputs from the targets better than these from those"
        )
    if empty:
        told = f"{empty:,} of {len(columns['target']):,} targets are empty"
        notes.append(f"{told}, and any translation counts as wrong there")
    return replace(found, notes=[*notes, *found.notes]) if notes else found


def _exchanged(parts: Model, columns: Mapping[str, Sequence[str]]) -> bool:
    """Whether the first pairs cost many more nats as they are given than the other way round."""
    objective = next((part for part in parts.objectives.values() if isinstance(part, Translation)), None)
    pairs = [pair for pair in zip(columns["input"], columns["target"], strict=True) if not any(map(is_empty, pair))]
    if objective is None or not pairs:
        return False

    def loss(order: int) -> float:
        sides = {
            role: parts.raw.side(role).windows([pair[::order][place] for pair in pairs[:_FIRST]])
            for place, role in enumerate(("input", "target"))
        }
        if any(len(side.ragged) != len(pairs[:_FIRST]) for side in sides.values()):
            return math.nan  # of a pair that is cut into windows these are not each other's
        device = next(parts.model.parameters()).device
        ragged = {role: side.ragged.to(device) for role, side in sides.items()}
        batch = Batch(torch.arange(len(ragged["input"]), device=device), ragged, None)
        return float(objective(parts.model, batch, Draws(0))["translation"])

    with evaluation(parts.model), evaluation(objective):
        return loss(1) > _MUCH * loss(-1)
