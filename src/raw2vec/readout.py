"""States become words, classes, labels or numbers, each with its likelihood in nats."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear

from raw2vec.errors import BadInput
from raw2vec.layers import activation as activation_called
from raw2vec.ragged import Ragged


class Readout(nn.Module, ABC):
    """Decoded states, Ragged (N', D) on an embedding's grids, to items' values with their likelihood in nats."""

    @abstractmethod
    def log_prob(self, states: Ragged, items: Ragged) -> Tensor:
        """How likely each element of the items is, its channels together: (N,) nats. What is missing counts zero."""

    @abstractmethod
    def mode(self, states: Ragged, shapes: Tensor) -> Ragged:
        """What the states stand for, on the items' own grids `shapes` (B, k), in the units of the kind's Ragged."""

    @abstractmethod
    def sample(self, states: Ragged, shapes: Tensor, luck: Tensor) -> Ragged:
        """The same drawn from the likelihood by numbers `luck` (N, C) in [0, 1)."""


class Words(nn.Module):
    """States (N, inputs) to a distribution over the vocabulary: BERT's transform, then the embedding's table.

    The decoder is tied to the table (V, inputs) (Press & Wolf 2017), which is handed in at each call and so belongs to
    the embedding alone; only the bias (V,) is its own.
    """

    def __init__(self, inputs: int, vocabulary: int, activation: str = "gelu"):
        super().__init__()
        self.inputs = inputs
        self.transform = nn.Sequential(nn.Linear(inputs, inputs), activation_called(activation), nn.LayerNorm(inputs))
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        _begin(self)

    def logits(self, states: Tensor, weight: Tensor) -> Tensor:
        """(N, inputs) and the table (V, inputs) to (N, V). BadInput when the table has another width."""
        if weight.shape[1] != self.inputs:
            raise BadInput(
                f"The vocabulary head is tied to embeddings {weight.shape[1]} wide, but the states are {self.inputs} "
                f"wide: give the embedding and the encoder one width."
            )
        return linear(self.transform(states), weight, self.bias)

    def log_prob(self, states: Tensor, ids: Tensor, weight: Tensor) -> Tensor:
        """The log-likelihood of each row's id, (N,) in nats."""
        return _log_prob(self.logits(states, weight), ids)

    def mode(self, states: Tensor, weight: Tensor) -> Tensor:
        """The likeliest id of each row, (N,)."""
        return self.logits(states, weight).argmax(dim=-1)


class Classes(nn.Module):
    """States (N, inputs) to one of `classes`."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.linear = nn.Linear(inputs, classes)
        _begin(self)

    def log_prob(self, states: Tensor, target: Tensor) -> Tensor:
        """The log-likelihood of each row's class (N,) int64, (N,) in nats."""
        return _log_prob(self.linear(states), target)

    def mode(self, states: Tensor) -> Tensor:
        """The likeliest class of each row, (N,) int64."""
        return self.probabilities(states).argmax(dim=-1)

    def probabilities(self, states: Tensor) -> Tensor:
        """(N, classes) float32 or wider, summing to one."""
        return _wide(self.linear(states)).softmax(dim=-1)


class Labels(nn.Module):
    """States (N, inputs) to any of several `labels` at once, each by itself (Bernoulli)."""

    def __init__(self, inputs: int, labels: int):
        super().__init__()
        self.linear = nn.Linear(inputs, labels)
        _begin(self)

    def log_prob(self, states: Tensor, target: Tensor) -> Tensor:
        """The log-likelihood of each row's labels (N, labels), 0 or 1, all together: (N,) in nats."""
        logits = _wide(self.linear(states))
        return -binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none").sum(dim=-1)

    def mode(self, states: Tensor) -> Tensor:
        """The labels likelier than not, (N, labels) bool."""
        return self.probabilities(states) > 0.5

    def probabilities(self, states: Tensor) -> Tensor:
        """Each label's own, (N, labels) float32 or wider."""
        return _wide(self.linear(states)).sigmoid()


class Numbers(nn.Module):
    """States (N, inputs) to `numbers`, each Gaussian of unit variance about its prediction: squared error in nats."""

    def __init__(self, inputs: int, numbers: int):
        super().__init__()
        self.numbers = numbers
        self.linear = nn.Linear(inputs, numbers)
        _begin(self)

    def log_prob(self, states: Tensor, target: Tensor) -> Tensor:
        """The log-density of each row's target, (N, numbers), or (N,) where there is one: (N,) in nats."""
        mean = self.mode(states)
        squares = (target.view(len(mean), -1).to(mean.dtype) - mean).square()
        return -0.5 * (squares + math.log(2 * math.pi)).sum(dim=-1)

    def mode(self, states: Tensor) -> Tensor:
        """The mean, which is also the likeliest: (N, numbers) float32 or wider."""
        return _wide(self.linear(states))


def _log_prob(logits: Tensor, target: Tensor) -> Tensor:
    return -cross_entropy(_wide(logits), target, reduction="none")


def _wide(values: Tensor) -> Tensor:
    """Likelihoods are worked out in float32 at least: eight bits would lose them."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _begin(module: nn.Module) -> None:
    """LeCun's rule (1998), and no biases: logits start of the order of one."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            nn.init.trunc_normal_(inner.weight, std=inner.in_features**-0.5)
            nn.init.zeros_(inner.bias)
