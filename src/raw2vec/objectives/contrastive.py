"""Contrastive learning: the two sides of a pair find each other among the batch (InfoNCE; van den Oord et al. 2018)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from raw2vec.augmentation import crop, drop
from raw2vec.batch import Batch
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Contrastive(Objective):
    """Mean cross-entropy, in nats, of finding one's own partner among the batch; and how far down the list it is.

    temperature: where it starts; `learned` in log space and held at or above 0.01 (Radford et al. 2021, section 2.5),
        or `fixed`.
    direction: `both` sides look for each other, or only the input for its target (`forward`).
    views: the two sides of an item that has no target: two random `crops` of it, or the same ids under different
        `dropout` (SimCSE; Gao et al. 2021).
    drop: chance that a token is left out of either side.
    dimensions: the loss is also taken on these first numbers of the vector (Matryoshka; Kusupati et al. 2022).
    chunk: items encoded at a time, their activations recomputed in the backward pass. Exact at any batch size in the
        memory of one chunk (gradient caching; Gao et al. 2021). 0: all at once.
    """

    needs = "pair"

    def __init__(
        self,
        ordinary: range,
        temperature: float = 0.05,
        scale: Literal["learned", "fixed"] = "learned",
        direction: Literal["both", "forward"] = "both",
        views: Literal["crops", "dropout"] = "crops",
        crops: tuple[float, float] = (0.3, 0.7),
        drop: float = 0.0,
        dimensions: Sequence[int] = (),
        chunk: int = 0,
    ):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(1 / temperature).log(), requires_grad=scale == "learned")
        self.ordinary, self.direction, self.views, self.crops = ordinary, direction, views, crops
        self.drop, self.dimensions, self.chunk = drop, tuple(dimensions), chunk

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        left, right = self._sides(batch, draws)
        negatives = batch.sides.get("negative")
        vectors = [self._vectors(model, ids) for ids in (left, right, negatives) if ids is not None]
        other = _twins(left) | _twins(right)
        answers = batch.sides.get("target", batch.sides["input"])  # whole, whatever was dropped of them
        barred = other if negatives is None else torch.cat([other, _same(answers, negatives)], dim=1)
        widths = [*self.dimensions, vectors[0].shape[1]]
        losses = [self._loss([v[:, :width] for v in vectors], barred) for width in widths]
        named = {"contrastive": torch.stack(losses).mean()}
        if self.training:
            return named
        # Cross-entropy goes on punishing confidence long after the ranking has stopped getting worse.
        return {**named, "missed": _missed(vectors[0], vectors[1], other)}

    def _sides(self, batch: Batch, draws: Draws) -> tuple[Ragged, Ragged]:
        left = batch.sides["input"]
        right = batch.sides.get("target")
        if right is None:
            left, right = (self._view(left, batch.items, draws, name) for name in ("first view", "second view"))
        if self.drop:
            left, right = (
                drop(ids, batch.items, draws, rate=self.drop, ordinary=self.ordinary, purpose=f"drop {side}")
                for side, ids in (("left", left), ("right", right))
            )
        return left, right

    def _view(self, ids: Ragged, items: Tensor, draws: Draws, name: str) -> Ragged:
        if self.views == "dropout":
            return ids
        return crop(ids, items, draws, shares=self.crops, ordinary=self.ordinary, purpose=name)

    def _vectors(self, model: AnyModel, ids: Ragged) -> Tensor:
        if not self.chunk or len(ids) <= self.chunk:
            return model(ids)
        parts = [checkpoint(model, part, use_reentrant=False) for part in ids.split(self.chunk)]
        return torch.cat(parts)

    def _loss(self, vectors: list[Tensor], barred: Tensor) -> Tensor:
        """`barred` is true where a target, or after them a hard negative, is no wrong answer to a row's input."""
        left, *others = (F.normalize(v, dim=-1) for v in vectors)
        scale = self.log_scale.exp().clamp(max=100)
        scores = (left @ torch.cat(others).T * scale).masked_fill(barred, float("-inf"))
        own = torch.arange(len(left), device=left.device)
        loss = F.cross_entropy(scores, own)
        back = scores[:, : len(left)].T
        return (loss + F.cross_entropy(back, own)) / 2 if self.direction == "both" else loss


@torch.no_grad()
def _missed(left: Tensor, right: Tensor, twins: Tensor) -> Tensor:
    """One less the mean reciprocal rank of each input's own target among the batch's: 0 is perfect."""
    scores = (F.normalize(left, dim=-1) @ F.normalize(right, dim=-1).T).masked_fill(twins, float("-inf"))
    ranks = (scores > scores.diagonal()[:, None]).sum(dim=1) + 1
    return 1 - (1 / ranks).mean()


def _twins(ids: Ragged) -> Tensor:
    """(B, B), true where another item is the very same sequence: no negative, whatever its place in the batch."""
    return _same(ids, ids) & ~torch.eye(len(ids), dtype=torch.bool, device=ids.values.device)


def _same(left: Ragged, right: Ragged) -> Tensor:
    """(B, B'), true where two items are the very same sequence."""
    return _hashes(left)[:, None] == _hashes(right)


def _hashes(ids: Ragged) -> Tensor:
    """(B,) int64: a polynomial hash with wrap-around. Equal sequences share one; unequal ones one time in 2^64."""
    terms = (ids.values + 0x1F3D) * (2 * ids.places + 1) * -0x61C8864680B583EB
    terms = (terms ^ (terms >> 29)) * -0x40A7B892E31B1A47
    return torch.zeros(len(ids), dtype=torch.long, device=terms.device).index_add(0, ids.owners, terms)
