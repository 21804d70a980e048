"""A translator as its protocol wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.evaluate import TRANSLATION, Report
from raw2vec.folder import Model
from raw2vec.use.base import is_empty
from raw2vec.use.translate import translate, translator
from raw2vec.use.write import Manner

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
    told = f"{empty:,} of {len(columns['target']):,} targets are empty, and any translation counts as wrong there"
    return replace(found, notes=[told, *found.notes]) if empty else found
