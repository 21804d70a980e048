"""Vectors spoken: what a translator whose bridge is fixed writes from a vector alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from numpy.typing import ArrayLike

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.use.encode import evaluation
from raw2vec.use.generate import checked_codes
from raw2vec.use.write import Manner, write

Side = Literal["input", "target"]
BATCH = 64  # vectors at a time


def spoken(parts: Model, codes: ArrayLike, side: Side, manner: Manner) -> list[str]:
    """The sentences that vectors (n, L) stand for: the target's, or, where that was learned too, the input's own.

    BadInput for a decoder that looks at every state, for codes that do not fit, and for an input that it cannot write.
    """
    model, raw = parts.model, parts.raw
    assert isinstance(model, SequenceToSequence), "translators are such"
    assert isinstance(raw, Text), "and of texts"
    points = checked_codes(codes, model.latent.width)
    if side == "input" and not any(part.settings.get("autoencode") for part in parts.recipe.objectives):
        joint = "" if not raw.separate else " and --set raw.vocabularies=joint"
        raise BadInput(
            "This model writes the target alone: to bring back the input as well, fit it with "
            f"--set stages.0.objectives.0.autoencode=1{joint}."
        )
    manner = replace(manner, forbidden=raw.unwritten, beginning=raw.mask if side == "input" else None)
    device, drafts = next(model.parameters()).device, []
    with evaluation(model):
        for part in points.to(device).split(BATCH):
            limits = torch.full((len(part),), raw.max_tokens)
            drafts += [found[0].ids for found in write(model, model.told(part), limits, manner)]
    lengths = torch.tensor([[len(ids)] for ids in drafts], dtype=torch.long).view(-1, 1)
    return raw.restore(Ragged(torch.tensor([i for ids in drafts for i in ids], dtype=torch.long), lengths))
