"""Supervised learning: the vector tells a class, several labels or a number."""

from typing import Literal

from torch import Tensor

from raw2vec.batch import Batch
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective
from raw2vec.readout import Classes, Labels, Numbers
from raw2vec.seeding import Draws

HEADS: dict[str, type[Classes] | type[Labels] | type[Numbers]] = {
    "classes": Classes,
    "labels": Labels,
    "numbers": Numbers,
}


class Supervised(Objective):
    """Negative log-likelihood of the labels in nats per item.

    task: one of many `classes`, any of several `labels` at once (Bernoulli), or `numbers` (Gaussian of unit variance on
    standardised targets). outcomes: how many classes, labels or numbers there are.
    """

    needs = "labels"

    def __init__(self, latent: int, outcomes: int, task: Literal["classes", "labels", "numbers"] = "classes"):
        super().__init__()
        self.readout: Classes | Labels | Numbers = HEADS[task](latent, outcomes)

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        if batch.labels is None:
            raise ValueError("The supervised objective needs labels in its batch.")
        vectors = model(batch.sides["input"])
        return {"supervised": -self.readout.log_prob(vectors, batch.labels).mean()}
