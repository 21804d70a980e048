"""Two views of a picture agree, and no number of their vectors collapses: VICReg (Bardes, Ponce & LeCun 2022)."""

import torch
from torch import Tensor

from raw2vec.augmentation import PHOTOGRAPHS, PictureViews
from raw2vec.batch import Batch
from raw2vec.layers.base import wide
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective, projection
from raw2vec.seeding import Draws

_EPSILON = 1e-4


class VICReg(Objective):
    """Variance, invariance and covariance of two views of each picture, or of the two pictures of a pair; no unit.

    Invariance is the mean squared difference between the two; variance how far each number's deviation over the batch
    falls short of one, on the mean; covariance the squared covariances of all pairs of numbers, per number. No item is
    another's negative, so that batches may be small. They are taken after a head of two layers of `head` features (the
    expander; 0: on the vectors themselves), which `encode` does not use. views: see PictureViews.
    """

    needs = "pair"

    def __init__(
        self,
        latent: int,
        views: PictureViews = PHOTOGRAPHS,
        head: int = 512,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ):
        super().__init__()
        self.views, self.head = views, projection(latent, head, head)
        self.weights = {"invariance": invariance, "variance": variance, "covariance": covariance}

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        left = batch.sides["input"]
        right = batch.sides.get("target", left)
        views = [self.views(side, batch.items, draws, name) for side, name in ((left, "first"), (right, "second"))]
        first, second = (wide(self.head(model(view))) for view in views)
        parts = terms(first, second)
        total = torch.stack([self.weights[name] * value for name, value in parts.items()]).sum()
        return {"vicreg": total, **parts} if self.training else {"vicreg": total}


def terms(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Invariance, variance and covariance of two views' vectors, each (B, D), before any weight."""
    centred = [vectors - vectors.mean(dim=0) for vectors in (first, second)]
    return {
        "invariance": (first - second).square().mean(),
        "variance": torch.stack([_short(vectors) for vectors in centred]).mean(),
        "covariance": torch.stack([_entangled(vectors) for vectors in centred]).sum(),
    }


def _short(centred: Tensor) -> Tensor:
    """How far the deviations of the columns of (B, D) fall short of one, on the mean."""
    variances = centred.square().sum(dim=0) / max(len(centred) - 1, 1)
    return (1 - (variances + _EPSILON).sqrt()).relu().mean()


def _entangled(centred: Tensor) -> Tensor:
    """The squared covariances of each two different columns of (B, D), summed up, per column."""
    covariances = centred.T @ centred / max(len(centred) - 1, 1)
    return (covariances.square().sum() - covariances.diagonal().square().sum()) / len(covariances)
