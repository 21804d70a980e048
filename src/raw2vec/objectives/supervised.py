"""Supervised learning: the vector tells a class, several labels or a number."""

from typing import Literal

from torch import Tensor

from raw2vec.augmentation import AS_THEY_ARE, PictureViews, drop
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective
from raw2vec.ragged import Ragged
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
    standardised targets). outcomes: how many classes, labels or numbers there are. drop: chance that a token of a text
    is left out, in training; ordinary: the ids that may be. smoothing: share of a class's likelihood, in training, that
    is that of all classes alike.
    """

    needs = "labels"

    def __init__(
        self,
        latent: int,
        outcomes: int,
        task: Literal["classes", "labels", "numbers", "vectors"] = "classes",
        ordinary: range = range(0),
        drop: float = 0.0,
        smoothing: float = 0.0,
    ):
        super().__init__()
        if task not in HEADS:
            raise BadInput("The labels are vectors, as a teacher gives them: learn them with --objective distillation.")
        for name, share in {"drop": drop, "smoothing": smoothing}.items():
            if not 0 <= share < 1:
                raise BadInput(f"The objective's {name} is at least 0 and below 1, not {share:g}.")
        self.readout: Classes | Labels | Numbers = HEADS[task](latent, outcomes)
        self.ordinary, self.drop, self.smoothing = ordinary, drop, smoothing

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        if batch.labels is None:
            raise ValueError("The supervised objective needs labels in its batch.")
        items = batch.sides["input"]
        vectors = model(self._seen(items, batch.items, draws) if self.training else items)
        if self.training and self.smoothing and isinstance(self.readout, Classes):
            return {"supervised": -self.readout.smoothed(vectors, batch.labels, self.smoothing).mean()}
        return {"supervised": -self.readout.log_prob(vectors, batch.labels).mean()}

    def _seen(self, inputs: Ragged, items: Tensor, draws: Draws) -> Ragged:
        """The inputs as they are learned from this time; `items` are their numbers (B,)."""
        if not self.drop or inputs.values.dim() > 1:
            return inputs
        return drop(inputs, items, draws, rate=self.drop, ordinary=self.ordinary, purpose="drop labelled")


class SupervisedPictures(Supervised):
    """The same of pictures, which are seen anew each time: views, see PictureViews. The others are Supervised's."""

    def __init__(
        self,
        latent: int,
        outcomes: int,
        task: Literal["classes", "labels", "numbers", "vectors"] = "classes",
        views: PictureViews = AS_THEY_ARE,
        smoothing: float = 0.0,
    ):
        super().__init__(latent, outcomes, task, smoothing=smoothing)
        self.views = views

    def _seen(self, inputs: Ragged, items: Tensor, draws: Draws) -> Ragged:
        return inputs if self.views == AS_THEY_ARE else self.views(inputs, items, draws, "labelled")
