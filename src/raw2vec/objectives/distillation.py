"""Distillation: an item's vector lies where a teacher's lies (Reimers & Gurevych 2020), for any kind of data."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div, normalize

from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.layers.base import wide
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective
from raw2vec.seeding import Draws

SHARE, TEMPERATURE = 0.2, 0.05
"""Of the divergences in the loss, and of the cosines that they are of: what was best at all widths (docs/log.md)."""


class Distillation(Objective):
    """One less the cosine between an item's vector and its teacher's, which is the item's label.

    `lift` (latent, outcomes) leads from the model's space into a teacher's of as many or more numbers. Its rows are of
    length one and at right angles, so that cosines between the model's vectors are what they are once lifted; it is
    never trained. It begins as the first axes, and `follow` takes those along which the teacher's vectors are long.

    dimensions: these first numbers of the vector are to tell the items of a batch apart as the teacher does, whatever
    its width (Matryoshka; Kusupati et al. 2022): added is a fifth of the mean divergence, in nats, of how near all
    others are to an item, as shares (Fang et al. 2021), by so few numbers and by all of the teacher's.
    """

    needs = "labels"
    lift: Tensor

    def __init__(
        self,
        latent: int,
        outcomes: int,
        task: Literal["classes", "labels", "numbers", "vectors"] = "vectors",
        dimensions: Sequence[int] = (),
    ):
        super().__init__()
        self.dimensions = tuple(dimensions)
        if task != "vectors":
            raise BadInput(
                f"The objective 'distillation' learns a teacher's vectors, lists of as many fractions a row, and these "
                f"labels are {task}: learn them with --objective supervised."
            )
        if latent > outcomes:
            raise BadInput(
                f"The teacher's vectors have {outcomes} numbers, and a model's that is to follow it no more: give a "
                f"latent of 1 to {outcomes}, not {latent}."
            )
        self.register_buffer("lift", torch.eye(latent, outcomes))

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        if batch.labels is None:
            raise ValueError("The distillation objective needs a teacher's vectors as labels.")
        vectors = model(batch.sides["input"])
        teacher = batch.labels.to(vectors.dtype)
        loss = (1 - cosine_similarity(vectors @ self.lift.to(vectors.dtype), teacher)).mean()
        if self.dimensions:
            nearness = _nearness(teacher).exp()
            shorter = [_nearness(vectors[:, :width]) for width in self.dimensions]
            loss = (
                loss + SHARE * torch.stack([kl_div(near, nearness, reduction="batchmean") for near in shorter]).mean()
            )
        return {"distillation": loss}

    @torch.no_grad()
    def follow(self, teacher: Tensor) -> None:
        """Takes the directions along which these vectors (n, outcomes) are longest: what a shorter vector can keep.

        About zero and not their mean, so that cosines are kept.
        """
        directions = torch.linalg.eigh(teacher.double().T @ teacher.double()).eigenvectors.flip(1).T
        # A direction and its opposite are as good: the sign is fixed, so that one seed gives one model everywhere.
        largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
        self.lift.copy_((directions * largest.sign())[: len(self.lift)])


def _nearness(vectors: Tensor) -> Tensor:
    """The logarithm of the share that each other item has in what is near to an item, (B, B); its own share is none."""
    units = normalize(wide(vectors), dim=1)
    scores = units @ units.T / TEMPERATURE
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores.masked_fill(own, torch.finfo(scores.dtype).min).log_softmax(dim=1)
