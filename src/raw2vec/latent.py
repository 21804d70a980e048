"""States become one vector an item."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize as to_unit

from raw2vec.errors import BadInput, nearest
from raw2vec.ragged import Ragged

POOLINGS = ("mean", "first", "last", "max", "attention")


class Posterior(ABC):
    """What a latent knows of an item's code: a distribution over the latent space, whose prior is the standard one."""

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


class Latent(nn.Module, ABC):
    """The states of an item to its code (B, width), and to what is known of it."""

    inputs: int
    width: int

    @abstractmethod
    def forward(self, states: Ragged) -> Tensor:
        """The code: a posterior's mean, never a draw; (B, width) float32 or wider."""

    @abstractmethod
    def posterior(self, states: Ragged) -> Posterior:
        """The distribution of the code."""

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


class Point(Latent):
    """The states of an item, pooled to a point of the latent space: Ragged (N, inputs) to (B, width) float32.

    width: numbers in a vector; 0 keeps the states' width and has no map of its own. pooling: the mean, first, last or
    largest (feature by feature) of the rows, or their mean weighted by a learned query's attention. normalize: "unit"
    brings vectors to length one. An item of no rows gives what zeros give, never NaN.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 0,
        pooling: Literal["mean", "first", "last", "max", "attention"] = "mean",
        normalize: Literal["none", "unit"] = "none",
    ):
        super().__init__()
        if pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise BadInput(f"There is no pooling '{pooling}'; known are {known}.{nearest(pooling, POOLINGS)}")
        if normalize not in ("none", "unit"):
            raise BadInput(
                f"Vectors are brought to length one by normalize 'unit' or left by 'none', not '{normalize}'."
            )
        self.inputs, self.width = inputs, width or inputs
        self.pooling, self.normalize = pooling, normalize
        if pooling == "attention":
            self.query = nn.Parameter(torch.zeros(inputs))
        self.project = nn.Linear(inputs, width) if width else nn.Identity()
        if isinstance(self.project, nn.Linear):
            nn.init.trunc_normal_(self.project.weight, std=inputs**-0.5)
            nn.init.zeros_(self.project.bias)

    def forward(self, states: Ragged) -> Tensor:
        return self.normalized(self.project(self.pool(states)))

    def posterior(self, states: Ragged) -> Certain:
        return Certain(self(states))

    def normalized(self, vectors: Tensor) -> Tensor:
        """Vectors (B, L) as this space has them: of length one, or as they are; float32 or wider. Zeros stay zeros."""
        vectors = _wide(vectors)
        return to_unit(vectors, dim=-1) if self.normalize == "unit" else vectors

    def pool(self, states: Ragged) -> Tensor:
        """The rows of each item made one, (B, inputs), float32 or wider."""
        states = states.replace(_wide(states.values))
        if not len(states.values):
            return states.values.new_zeros(len(states), self.inputs)
        if self.pooling == "mean":
            return states.mean()
        if self.pooling == "max":
            return states.max()
        if self.pooling == "attention":
            return self._attend(states)
        return _at(states, states.offsets[:-1] if self.pooling == "first" else states.offsets[1:] - 1)

    def _attend(self, states: Ragged) -> Tensor:
        """Softmax within each item of query · row / √D. The query starts at zero: as the mean."""
        scores = states.values @ _wide(self.query) * self.inputs**-0.5
        largest = scores.detach().new_full((len(states),), float("-inf"))
        largest = largest.scatter_reduce(0, states.owners, scores.detach(), "amax")
        weights = states.replace((scores - states.spread(largest)).exp()[:, None])
        total = weights.sum().clamp(min=torch.finfo(scores.dtype).tiny)
        return states.replace(states.values * weights.values).sum() / total


def _at(states: Ragged, rows: Tensor) -> Tensor:
    """The row of each item that `rows` (B,) names, (B, D); zeros for items that have none."""
    empty = (states.lengths == 0).to(states.values.device)[:, None]
    rows = rows.clamp(0, len(states.values) - 1).to(states.values.device)
    return states.values.index_select(0, rows).masked_fill(empty, 0.0)


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
