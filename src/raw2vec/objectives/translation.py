"""Translation: the target is written token by token from what was read of the input (Sutskever et al. 2014)."""

from torch import Tensor

from raw2vec.augmentation import unmerge
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.models import AnyModel, SequenceToSequence
from raw2vec.models.sequence_to_sequence import twice
from raw2vec.objectives.base import Objective
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Translation(Objective):
    """Cross-entropy of the target's tokens, each after those before it, in nats a token.

    "smoothed" is what is minimised, "translation" the plain cost. smoothing: share of each token's weight that is
    spread over all tokens (label smoothing). split: share of the tokens of both sides that are taken apart into the two
    they were merged of, and those again, while it learns: one text is then read in many ways (as BPE-dropout, Provilkov
    et al. 2020). merges (V, 2): of which two tokens each was made, -1 for those that cannot be taken apart.
    consistency: how much it counts that the same is told twice, with other numbers dropped (alpha of R-Drop, Liang et
    al. 2021, who take 5 for small corpora): less is learnt by heart, by steps that take up to twice as long.
    autoencode: how much it counts that the input itself is written as well, beginning with `mask_id`; "autoencoding" is
    what that costs, nats a token.
    """

    needs = "pair"
    merges: Tensor

    def __init__(
        self,
        merges: Tensor,
        mask_id: int = 0,
        smoothing: float = 0.1,
        split: float = 0.0,
        autoencode: float = 0.0,
        consistency: float = 0.0,
    ):
        super().__init__()
        if not 0 <= smoothing < 1 or not 0 <= split < 1:
            raise BadInput(f"smoothing and split are shares from 0 to below 1, not {smoothing:g} and {split:g}.")
        if autoencode < 0:
            raise BadInput(f"autoencode is how much writing the input itself counts: 0 or more, not {autoencode:g}.")
        if consistency < 0:
            raise BadInput(f"consistency is how much two tellings' divergence counts: 0 or more, not {consistency:g}.")
        self.smoothing, self.split, self.autoencode, self.mask_id = smoothing, split, autoencode, mask_id
        self.consistency = consistency
        self.register_buffer("merges", merges, persistent=False)

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        model = translator(model)
        source, target = (self._varied(batch, role, draws) for role in ("input", "target"))
        again = self.consistency / 2 if self.training else 0.0
        if again:
            source, target = twice(source), twice(target)
        read = model.read(source)
        total, costs = model.costs(read, target, self.smoothing, again)
        smoothed, plain = total / max(len(costs), 1), costs.sum() / max(len(costs), 1)
        if not self.autoencode:
            return {"smoothed": smoothed, "translation": plain}
        total, costs = model.costs(read, begun_by(source, self.mask_id), self.smoothing, again)
        smoothed = smoothed + self.autoencode * total / max(len(costs), 1)
        return {"smoothed": smoothed, "autoencoding": costs.sum() / max(len(costs), 1), "translation": plain}

    def _varied(self, batch: Batch, role: str, draws: Draws) -> Ragged:
        items = batch.sides[role]
        if not self.training or not self.split:
            return items
        return unmerge(items, batch.items, draws, rate=self.split, merges=self.merges, purpose=f"split of {role}")


def begun_by(items: Ragged, beginning: int) -> Ragged:
    """The items with another first token, which tells a writer in which language to go on."""
    return items.replace(items.values.masked_fill(items.places == 0, beginning))


def translator(model: AnyModel) -> SequenceToSequence:
    """The model, if it writes texts; BadInput for another."""
    if not isinstance(model, SequenceToSequence):
        raise BadInput("A translation is written by a decoder of texts: name one with --decoder.")
    return model
