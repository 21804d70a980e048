"""Several translators that write one text together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from raw2vec.decoders import Kept
from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.models import SequenceToSequence, Source
from raw2vec.ragged import Ragged
from raw2vec.raw import Text


@dataclass(frozen=True)
class Sources:
    """What each model has read of the same B items."""

    each: list[Source]

    def take(self, items: Tensor) -> Sources:
        """These items (b,), in this order."""
        return Sources([source.take(items) for source in self.each])


@dataclass(frozen=True)
class _Together(Kept):
    """What each model keeps of the same drafts."""

    each: list[Kept] = field(default_factory=list)

    def take(self, drafts: Tensor, items: Tensor | None = None) -> _Together:
        return _Together([], [], each=[kept.take(drafts, items) for kept in self.each])


class Ensemble:
    """Models of one vocabulary: each token by the mean of the probabilities that they give it.

    It is an Author, as use/write.py has it. Models may be of any build and any bridge.
    """

    def __init__(self, models: Sequence[SequenceToSequence]):
        self.models = list(models)
        self.beginning, self.ending = self.models[0].beginning, self.models[0].ending

    @property
    def device(self) -> torch.device:
        """Where the weights of the first are, and of all."""
        return self.models[0].device

    def read(self, items: Ragged) -> Sources:
        """What each is told of these items."""
        return Sources([model.read(items) for model in self.models])

    def begin(self, source: Sources) -> Kept:
        """What each keeps before the first token of each item."""
        every = zip(self.models, source.each, strict=True)
        return _Together([], [], each=[model.begin(own) for model, own in every])

    def likely(self, kept: Kept, last: Tensor, place: int) -> tuple[Tensor, Kept]:
        """The logarithm of the mean probability of each id after n drafts: (n, V) nats."""
        assert isinstance(kept, _Together), "what `begin` gave"
        every = zip(self.models, kept.each, strict=True)
        told, left = zip(*(model.likely(own, last, place) for model, own in every), strict=True)
        mean = torch.stack(told).logsumexp(0) - math.log(len(told))
        return mean, _Together([], [], each=list(left))

    def looks(self, source: Sources, items: Ragged) -> Tensor:
        """The mean of what the models looked at."""
        every = zip(self.models, source.each, strict=True)
        return torch.stack([model.looks(own, items) for model, own in every]).mean(0)


def refuse_strangers(parts: Model, others: Sequence[Model]) -> None:
    """BadInput for models that do not read and write as the first one does: other tokens, other placeholders."""
    assert isinstance(parts.raw, Text), "translators read text"
    for number, other in enumerate(others, 2):
        if not isinstance(other.raw, Text) or not isinstance(other.model, SequenceToSequence):
            raise BadInput(f"Model {number} of the ensemble does not translate: name translators alone.")
        if other.raw.identity() != parts.raw.identity() or other.recipe.placeholders != parts.recipe.placeholders:
            raise BadInput(
                f"Model {number} of the ensemble has another vocabulary than the first: fit all on the same pairs, "
                "with one --set training.hold_out_seed=N and seeds of their own."
            )
