"""Masked prediction: hidden tokens are told from the rest of their item (Devlin et al. 2019)."""

from typing import NamedTuple

import torch
from torch import Tensor

from raw2vec.augmentation import mask
from raw2vec.batch import Batch
from raw2vec.models import Embedder
from raw2vec.objectives.base import Objective
from raw2vec.ragged import Ragged
from raw2vec.readout import Words
from raw2vec.seeding import Draws


class Predicted(NamedTuple):
    """The logits (M, V) of the masked rows, the ids (M,) that stood there, and the items (M,) they belong to."""

    logits: Tensor
    ids: Tensor
    owners: Tensor


class Masked(Objective):
    """Cross-entropy of the masked tokens in nats per token; the vocabulary head sees their rows only.

    An encoder that gives one state an item (a bag) predicts every masked token of the item from that state, as CBOW
    does (Mikolov et al. 2013). A rate of 0.3 learns more per step than BERT's 0.15 (Wettig et al. 2023).
    """

    needs = "sides"

    def __init__(self, width: int, vocabulary: int, mask_id: int, ordinary: range, rate: float = 0.3):
        super().__init__()
        self.readout = Words(width, vocabulary)
        self.mask_id, self.ordinary, self.rate = mask_id, ordinary, rate

    def forward(self, model: Embedder, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        parts = [self.predict(model, ids, batch.items, draws, side) for side, ids in batch.sides.items()]
        logits, ids = torch.cat([part.logits for part in parts]), torch.cat([part.ids for part in parts])
        return {"masked": torch.nn.functional.cross_entropy(logits.float(), ids)}

    def predict(self, model: Embedder, ids: Ragged, items: Tensor, draws: Draws, side: str = "input") -> Predicted:
        """What the model says of the tokens that the draws hide from it."""
        masked = mask(
            ids, items, draws, rate=self.rate, mask_id=self.mask_id, ordinary=self.ordinary, purpose=f"mask {side}"
        )
        states = model.contextual(masked.ids)
        owners = ids.owners[masked.rows]
        rows = masked.rows if len(states.values) == len(ids.values) else owners
        logits = self.readout.logits(states.values[rows], model.embedding.weight)
        return Predicted(logits, ids.values[masked.rows], owners)
