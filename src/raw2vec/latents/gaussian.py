"""The variational latent: an item is a Gaussian about its code (Kingma & Welling 2014)."""

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.latents.base import Latent, Posterior, begin
from raw2vec.layers.base import wide
from raw2vec.layers.pooling import Pooling, PoolingName
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

_STEEPEST = 10.0  # a deviation between e^-5 and e^5


class DiagonalGaussian(Posterior):
    """Units independent given the item, mean and log_variance (B, L) each; the prior is the standard normal."""

    def __init__(self, mean: Tensor, log_variance: Tensor):
        self.mean, self.log_variance = mean, log_variance

    def draw(self, noise: Tensor) -> Tensor:
        """The reparametrised draw: mean + deviation * noise."""
        return self.mean + (self.log_variance / 2).exp() * noise

    def log_ratio(self, codes: Tensor) -> Tensor:
        # The normalising constants, -log(2π)/2 a unit, are the same in both and cancel.
        surprise = (codes - self.mean).square() * (-self.log_variance).exp() + self.log_variance
        return (surprise - codes.square()).sum(dim=-1) / 2

    def kl(self) -> Tensor:
        return (self.mean.square() + self.log_variance.expm1() - self.log_variance) / 2


class Gaussian(Latent):
    """The states of an item, pooled, to a Gaussian of `width` units by one map: Ragged (N, inputs) to (B, width).

    The log-variance l is bounded softly, 10 tanh(l / 10): what the map says where it says little, and never so far that
    a variance or its inverse leaves float32. It starts at zero, the prior's own, whatever the item; the mean starts as
    a point's. A call gives the mean. pooling: see layers.Pooling; "all" needs items of `places` rows each.
    """

    def __init__(self, inputs: int, places: int = 0, width: int = 32, pooling: PoolingName = "mean"):
        super().__init__()
        if width < 1:
            raise BadInput(f"A Gaussian latent needs a width of at least 1, not {width}.")
        self.inputs, self.width = inputs, width
        self.pool = Pooling(inputs, pooling, places)
        self.project = nn.Linear(self.pool.width, 2 * width)
        begin(self.project)
        with torch.no_grad():
            self.project.weight[width:].zero_()

    def forward(self, states: Ragged) -> Tensor:
        return self.posterior(states).mean

    def posterior(self, states: Ragged) -> DiagonalGaussian:
        projected = self.project(self.pool(states))
        mean, log_variance = wide(projected).chunk(2, dim=-1)
        return DiagonalGaussian(mean, _STEEPEST * (log_variance / _STEEPEST).tanh())

    def prior(self, draws: Draws, items: Tensor) -> Tensor:
        """The standard normal."""
        return draws.normal("sample", items, self.width)
