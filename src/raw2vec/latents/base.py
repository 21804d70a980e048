"""What every latent is: states become one code an item, and a posterior that tells how sure it is and what it costs."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Posterior(ABC):
    """What a latent knows of an item's code: a distribution over the latent space, and its cost against a prior."""

    mean: Tensor
    """(B, L): the code that `encode` gives."""

    @abstractmethod
    def draw(self, noise: Tensor) -> Tensor:
        """Codes (k, B, L) from standard normal noise (k, B, L), differentiable in the latent's weights."""

    @abstractmethod
    def log_ratio(self, codes: Tensor) -> Tensor:
        """log p(z) - log q(z | x) of codes (k, B, L): nats, (k, B). Zero for a point, which costs nothing."""

    @abstractmethod
    def kl(self) -> Tensor:
        """KL(q || p) of each unit, (B, L) nats."""

    def penalty(self) -> Tensor:
        """What else the latent asks of an objective that trains it, (B,): added to what is minimised, never to a bound.

        Nothing, unless the latent says so.
        """
        return self.mean.new_zeros(len(self.mean))


class Latent(nn.Module, ABC):
    """The states of an item to its code (B, width), and to what is known of it.

    A call never draws and leaves the latent as it was; so does `posterior` in eval mode. In training mode a latent that
    learns from what passes by, not by gradient, does so in `posterior`.
    """

    inputs: int
    width: int

    @abstractmethod
    def forward(self, states: Ragged) -> Tensor:
        """The code: a posterior's mean, never a draw; (B, width) float32 or wider."""

    @abstractmethod
    def posterior(self, states: Ragged) -> Posterior:
        """The distribution of the code."""

    @abstractmethod
    def prior(self, draws: Draws, items: Tensor) -> Tensor:
        """Codes (n, width) for items of these numbers (n,), drawn as they are before any item is seen.

        BadInput for a latent that expects nothing beforehand.
        """

    def watched(self) -> dict[str, Tensor]:
        """What is worth following while it learns, by name, scalars: noted down beside the losses, never minimised."""
        return {}

    def normalized(self, vectors: Tensor) -> Tensor:
        """Vectors (B, L) as this space has them, for means over windows: as they are, unless the latent says so."""
        return vectors


class Certain(Posterior):
    """No doubt at all: every draw is the point itself, and nothing is paid for it."""

    def __init__(self, mean: Tensor):
        self.mean = mean

    def draw(self, noise: Tensor) -> Tensor:
        return self.mean.expand(noise.shape)

    def log_ratio(self, codes: Tensor) -> Tensor:
        return codes.new_zeros(codes.shape[:-1])

    def kl(self) -> Tensor:
        return torch.zeros_like(self.mean)


def begin(linear: nn.Linear) -> None:
    """A latent's map starts by LeCun's rule (1998), which keeps the scale of what it is given, and without biases."""
    nn.init.trunc_normal_(linear.weight, std=linear.in_features**-0.5)
    nn.init.zeros_(linear.bias)
