"""Two looks at a series agree moment by moment, from single steps up to the whole (TS2Vec; Yue et al. 2022)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from raw2vec.augmentation import span, span_of
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.layers.base import wide
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

_NEVER = -1e4  # a logit that no softmax hears, and whose gradient is still finite


class Looks(NamedTuple):
    """The states that two looks at B items share: (2, B, T, D), and where an item has one, (B, T) bool."""

    states: Tensor
    there: Tensor


class Timestamps(Objective):
    """Mean cross-entropy, in nats, of finding each moment of a series in another look at it, and nowhere else.

    A look is a span of the series, rows of its embedding left out with chance `hidden`; two looks overlap in a span of
    their own length. Among the moments of the same series, and among those of all series of the batch that are as far
    into the overlap, each is to find itself in the other look by the product of their states, over the root of their
    width. The same is asked after taking the larger of every two moments, again and again until one is left: what the
    latent's "max" pools. Needs an encoder with a state a row, and series: items on grids of one axis. sizes are the
    model's, a patch's length: none where every item is but one patch, which is BadInput.
    """

    needs = "sides"

    def __init__(self, sizes: Sequence[int] = (1,), hidden: float = 0.5):
        super().__init__()
        if not sizes:
            raise BadInput(
                "A series is one row to this model, so that there are no moments to tell apart: take --encoder "
                "convolutional with --set encoder.halvings=0."
            )
        if not 0 <= hidden < 1:
            raise BadInput(f"The share of steps that a look leaves out is at least 0 and below 1, not {hidden:g}.")
        self.hidden = hidden

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        looks = [self._looks(model, items, batch.items, draws, role) for role, items in batch.sides.items()]
        return {"contrastive": torch.stack([_loss(each) for each in looks]).mean()}

    def _looks(self, model: AnyModel, items: Ragged, numbers: Tensor, draws: Draws, role: str) -> Looks:
        """One look begins before the overlap and ends with it, the other begins with it and ends after it."""
        rows = model.embedding(items)
        lengths = rows.shapes[:, 0]
        size, start = span_of(lengths, numbers, draws, 0.0, 1.0, f"overlap of {role}", least=2)
        before, after = (draws.uniform(f"{side} of {role}", numbers).cpu() for side in ("before", "after"))
        begins = (start * before).long(), start
        ends = start + size, start + size + ((lengths - start - size + 1) * after).long()
        states = []
        for look, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            seen = span(rows, end - begin, begin)
            luck = draws.uniform(f"hidden from look {look} of {role}", numbers, seen.lengths)
            found = model.encoder(seen.replace(seen.values * (luck >= self.hidden)[:, None]))
            if not found.shapes.equal(seen.shapes):
                raise BadInput(
                    "The moments of a series are told apart by an encoder with a state for each, which a dense one and "
                    "one with halvings have not: take --encoder convolutional with --set encoder.halvings=0."
                )
            states.append(span(found, size, start - begin))
        return Looks(torch.stack([each.padded() for each in states]), states[0].inside())


def _loss(looks: Looks) -> Tensor:
    """The mean over the levels of half a moment's cost and half a series'; the last level has one moment only."""
    losses: list[Tensor] = []
    while True:
        across = _found(Looks(looks.states.transpose(1, 2), looks.there.T))
        if looks.there.shape[1] == 1:
            return torch.stack([*losses, across / 2]).mean()
        losses.append((_found(looks) + across) / 2)
        looks = _halved(looks)


def _found(looks: Looks) -> Tensor:
    """The mean cost of finding each of (2, G, K, D) in the other look, among all 2 K - 1 others of its group."""
    both = torch.cat([looks.states[0], looks.states[1]], dim=1)
    there = torch.cat([looks.there, looks.there], dim=1)
    count = both.shape[1] // 2
    scores = both @ both.transpose(1, 2) * both.shape[-1] ** -0.5
    itself = torch.eye(2 * count, dtype=torch.bool, device=both.device)
    scores = wide(scores)
    scores = scores.masked_fill(itself | ~there[:, None, :], _NEVER)
    own = scores.diagonal(count, 1, 2)
    costs = scores.logsumexp(dim=2) - torch.cat([own, scores.diagonal(-count, 1, 2)], dim=1)
    return costs[there].mean()


def _halved(looks: Looks) -> Looks:
    """The larger of every two moments; of an odd number the last stands for itself."""
    states = looks.states.masked_fill(~looks.there[None, :, :, None], float("-inf"))
    if states.shape[2] % 2:
        states = torch.cat([states, torch.full_like(states[:, :, :1], float("-inf"))], dim=2)
    larger = states.unflatten(2, (-1, 2)).amax(dim=3)
    there = ~larger[0, :, :, 0].isinf()
    return Looks(larger.masked_fill(~there[None, :, :, None], 0.0), there)
