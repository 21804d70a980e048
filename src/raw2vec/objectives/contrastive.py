"""Contrastive learning: the two sides of a pair find each other among the batch (InfoNCE; van den Oord et al. 2018)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from raw2vec.augmentation import (
    PHOTOGRAPHS,
    PictureViews,
    add_noise,
    bend,
    blank_spans,
    change_speed,
    crop,
    crop_span,
    drop,
    rescale,
)
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective, projection
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class InfoNCE(Objective, ABC):
    """Mean cross-entropy, in nats, of finding one's own partner among the batch; and how far down the list it is.

    A concrete one tells what the two sides of an item are. temperature: where it starts; `learned` in log space and
    held at or above 0.01 (Radford et al. 2021, section 2.5), or `fixed`. direction: `both` sides look for each other,
    or only the input for its target (`forward`). dimensions: the loss is also taken on these first numbers of the
    vector (Matryoshka; Kusupati et al. 2022). loss: `softmax`, or `sigmoid`, in which every pair of the batch is judged
    by itself as a match or none, nats an item (SigLIP; Zhai et al. 2023); it always judges both ways. chunk: items
    encoded at a time, their activations recomputed in the backward pass. Exact at any batch size in the memory of one
    chunk (gradient caching; Gao et al. 2021). 0: all at once.
    """

    needs = "pair"

    def __init__(
        self,
        temperature: float,
        scale: Literal["learned", "fixed"],
        direction: Literal["both", "forward"],
        dimensions: Sequence[int],
        chunk: int,
        loss: Literal["softmax", "sigmoid"] = "softmax",
    ):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(1 / temperature).log(), requires_grad=scale == "learned")
        # Nearly all pairs of a batch are no match: a bias that says so keeps the first steps small.
        self.bias = nn.Parameter(torch.tensor(-10.0)) if loss == "sigmoid" else None
        self.direction, self.dimensions, self.chunk = direction, tuple(dimensions), chunk
        self.head: nn.Module = nn.Identity()  # from vectors to what is compared, where a concrete one has such

    @abstractmethod
    def sides(self, batch: Batch, draws: Draws) -> tuple[Ragged, Ragged]:
        """What is to find each other: B items, and B items."""

    @final  # type: ignore[misc]
    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        left, right = self.sides(batch, draws)
        negatives = batch.sides.get("negative")
        asked = {"input": left, "target": right, "negative": negatives}
        vectors = [self.head(self._vectors(model.side(role), ids)) for role, ids in asked.items() if ids is not None]
        answers = batch.sides.get("target", batch.sides["input"])  # whole, whatever was dropped of them
        # Views of one and the same item, or of two that are the same, are no wrong answers to each other.
        held = {id(side): side for side in (left, right, batch.sides["input"], answers)}.values()
        other = torch.stack([_twins(side) for side in held]).any(dim=0)
        barred = other if negatives is None else torch.cat([other, _same(answers, negatives)], dim=1)
        widths = [*self.dimensions, vectors[0].shape[1]]
        told = self._told if self.bias is not None else self._found
        losses = [told(self._scores([v[:, :width] for v in vectors]), barred) for width in widths]
        named = {"contrastive": torch.stack(losses).mean()}
        if self.training:
            return named
        # Cross-entropy goes on punishing confidence long after the ranking has stopped getting worse.
        return {**named, "missed": _missed(vectors[0], vectors[1], other)}

    def _vectors(self, model: AnyModel, ids: Ragged) -> Tensor:
        if not self.chunk or len(ids) <= self.chunk:
            return model(ids)
        parts = [checkpoint(model, part, use_reentrant=False) for part in ids.split(self.chunk)]
        return torch.cat(parts)

    def _scores(self, vectors: list[Tensor]) -> Tensor:
        """How near each input is to each target and, after them, to each hard negative: (B, B') cosines, scaled."""
        left, *others = (F.normalize(v, dim=-1) for v in vectors)
        return left @ torch.cat(others).T * self.log_scale.exp().clamp(max=100)

    def _found(self, scores: Tensor, barred: Tensor) -> Tensor:
        """`barred` is true where a target, or a hard negative, is no wrong answer to a row's input."""
        scores = scores.masked_fill(barred, float("-inf"))
        own = torch.arange(len(scores), device=scores.device)
        loss = F.cross_entropy(scores, own)
        back = scores[:, : len(scores)].T
        return (loss + F.cross_entropy(back, own)) / 2 if self.direction == "both" else loss

    def _told(self, scores: Tensor, barred: Tensor) -> Tensor:
        """The same pair by pair: a match where it is one's own, else none."""
        assert self.bias is not None, "it tells matches"
        logits = scores + self.bias
        own = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
        return F.softplus(torch.where(own, -logits, logits)).masked_fill(barred, 0.0).sum() / len(scores)


class Contrastive(InfoNCE):
    """InfoNCE between the two sides of a pair of texts, or between two views of a text without a target.

    views: two random `crops` of it, or the same ids under different `dropout` (SimCSE; Gao et al. 2021).
    drop: chance that a token is left out of either side. The others are InfoNCE's.
    """

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
        super().__init__(temperature, scale, direction, dimensions, chunk)
        self.ordinary, self.views, self.crops, self.drop = ordinary, views, crops, drop

    def sides(self, batch: Batch, draws: Draws) -> tuple[Ragged, Ragged]:
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


class ContrastiveSides(InfoNCE):
    """InfoNCE between the two sides of a pair of any two kinds, each by its own encoder (CLIP; Radford et al. 2021).

    drop: chance that a token is left out, of sides that are texts. bend: rows by which pictures and spectrograms, items
    on grids of two axes, are distorted, so that few of them are not learned by heart (see `augmentation.bend`).
    ordinary and target_ordinary: the ids that may be dropped, of either side. The others are InfoNCE's.
    """

    def __init__(
        self,
        ordinary: range,
        target_ordinary: range,
        temperature: float = 0.05,
        scale: Literal["learned", "fixed"] = "learned",
        direction: Literal["both", "forward"] = "both",
        loss: Literal["softmax", "sigmoid"] = "softmax",
        drop: float = 0.0,
        bend: float = 0.0,
        dimensions: Sequence[int] = (),
        chunk: int = 0,
    ):
        super().__init__(temperature, scale, direction, dimensions, chunk, loss)
        if not 0 <= drop < 1 or bend < 0:
            raise BadInput(f"The chance to drop is at least 0 and below 1, and bend is 0 or more, not {drop}, {bend}.")
        self.ordinary, self.target_ordinary, self.drop, self.bend = ordinary, target_ordinary, drop, bend

    def sides(self, batch: Batch, draws: Draws) -> tuple[Ragged, Ragged]:
        left, right = batch.sides["input"], batch.sides["target"]
        if not self.training:
            return left, right
        return (
            self._seen(left, self.ordinary, batch.items, draws, "left"),
            self._seen(right, self.target_ordinary, batch.items, draws, "right"),
        )

    def _seen(self, side: Ragged, ordinary: range, items: Tensor, draws: Draws, name: str) -> Ragged:
        if side.values.dim() == 1:
            purpose = f"drop {name}"
            return drop(side, items, draws, rate=self.drop, ordinary=ordinary, purpose=purpose) if self.drop else side
        plane = side.shapes.shape[1] == 2  # between the columns of a table there is nothing
        return bend(side, items, draws, by=self.bend, purpose=f"bend {name}") if self.bend and plane else side


class ContrastiveViews(InfoNCE):
    """InfoNCE between two views of a sound (SimCLR; Chen et al. 2020), of which each loses something.

    A view is, in this order: a span of its item in time, a share between `crops` of it; up to `speed` times as fast or
    slow; its channels scaled and shifted by normal draws of deviation `scaling` (of the factor's logarithm) and
    `shift`; with normal noise of deviation `noise`; and with a span of up to a share `blank` of each axis at zero
    (SpecAugment; Park et al. 2019). Numbers are as the kind standardises them. 0, or a speed of 1, leaves a change out.
    The other settings are InfoNCE's.

    Series agree moment by moment instead (Timestamps), pictures are seen anew (ContrastivePictures).
    """

    def __init__(
        self,
        temperature: float = 0.1,
        scale: Literal["learned", "fixed"] = "fixed",
        direction: Literal["both", "forward"] = "both",
        crops: tuple[float, float] = (0.5, 1.0),
        speed: float = 1.0,
        scaling: float = 0.0,
        shift: float = 0.0,
        noise: float = 0.0,
        blank: float = 0.0,
        dimensions: Sequence[int] = (),
        chunk: int = 0,
    ):
        super().__init__(temperature, scale, direction, dimensions, chunk)
        _check(crops, speed, scaling, shift, noise, blank)
        self.crops, self.speed, self.scaling, self.shift = crops, speed, scaling, shift
        self.noise, self.blank = noise, blank

    def sides(self, batch: Batch, draws: Draws) -> tuple[Ragged, Ragged]:
        left = batch.sides["input"]
        right = batch.sides.get("target", left)
        return self._view(left, batch.items, draws, "first"), self._view(right, batch.items, draws, "second")

    def _view(self, values: Ragged, items: Tensor, draws: Draws, name: str) -> Ragged:
        view = crop_span(values, items, draws, shares=self.crops, purpose=f"{name} crop")
        if self.speed > 1:
            view = change_speed(view, items, draws, factor=self.speed, purpose=f"{name} speed")
        if self.scaling or self.shift:
            view = rescale(view, items, draws, scaling=self.scaling, shift=self.shift, purpose=f"{name} scale")
        if self.noise:
            view = add_noise(view, items, draws, deviation=self.noise, purpose=f"{name} noise")
        return blank_spans(view, items, draws, rate=self.blank, purpose=f"{name} blank") if self.blank else view


class ContrastivePictures(InfoNCE):
    """InfoNCE between two views of a picture (SimCLR; Chen et al. 2020), or a view of either picture of a pair.

    views: what a view changes, see PictureViews. head: hidden features of a perceptron between the vector and what is
    compared, in training only; 0: the vector itself is compared, as in CLIP. The others are InfoNCE's, dimensions being
    those of what is compared.
    """

    def __init__(
        self,
        latent: int,
        temperature: float = 0.2,
        scale: Literal["learned", "fixed"] = "fixed",
        direction: Literal["both", "forward"] = "both",
        views: PictureViews = PHOTOGRAPHS,
        head: int = 0,
        dimensions: Sequence[int] = (),
        chunk: int = 0,
    ):
        super().__init__(temperature, scale, direction, dimensions, chunk)
        self.views, self.head = views, projection(latent, head, latent)

    def sides(self, batch: Batch, draws: Draws) -> tuple[Ragged, Ragged]:
        left = batch.sides["input"]
        right = batch.sides.get("target", left)
        return self.views(left, batch.items, draws, "first"), self.views(right, batch.items, draws, "second")


def _check(crops: tuple[float, float], speed: float, *amounts: float) -> None:
    if not 0 < crops[0] <= crops[1] <= 1:
        raise BadInput(f"crops are two shares of an item, the smaller first, above 0 and at most 1, not {crops}.")
    if speed < 1 or min(amounts) < 0 or amounts[-1] > 1:
        raise BadInput(
            f"A view's speed is 1 or more, its blank a share, and scaling, shift and noise are 0 or more, not "
            f"{speed:g}, {amounts[-1]:g} and {', '.join(f'{amount:g}' for amount in amounts[:-1])}."
        )


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


def _hashes(items: Ragged) -> Tensor:
    """(B,) int64: a polynomial hash with wrap-around. Equal sequences share one; unequal ones one time in 2^64."""
    values, places = items.values, items.places
    if values.dim() == 2:  # numbers, not ids
        places = (places[:, None] * values.shape[1] + torch.arange(values.shape[1], device=values.device)).flatten()
        values = values.float().contiguous().view(torch.int32).flatten().long()
    terms = (values + 0x1F3D) * (2 * places + 1) * -0x61C8864680B583EB
    terms = (terms ^ (terms >> 29)) * -0x40A7B892E31B1A47
    owners = items.owners.repeat_interleave(len(values) // max(len(items.owners), 1))
    return torch.zeros(len(items), dtype=torch.long, device=terms.device).index_add(0, owners, terms)
