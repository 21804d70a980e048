"""States become words, classes, labels or numbers, each with its likelihood in nats."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear

from raw2vec.errors import BadInput
from raw2vec.layers import activation as activation_called
from raw2vec.layers import cross_entropy as token_costs
from raw2vec.layers.base import wide
from raw2vec.likelihood import Gaussian, Likelihood, drawn
from raw2vec.patches import join, patch_sizes
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


class PatchReadout(Readout):
    """One state a patch to the likelihood of every number in it: the way back from a PatchEmbedding's grids.

    Each state goes through one linear map to the likelihood's parameters for every element and channel of its patch;
    what lies beyond an item's edge is left. dimensions, shape and patch are the embedding's. values: "pixels" are uint8
    where they come from and go to, and 255ths for the likelihood; "numbers" are what they are. Raises BadInput for
    states on other grids than the items' patches, and for items of other channels.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        dimensions: int,
        likelihood: Likelihood,
        shape: Sequence[int] | None = None,
        patch: int | tuple[int, ...] = 0,
        values: Literal["pixels", "numbers"] = "numbers",
    ):
        super().__init__()
        if values not in ("pixels", "numbers"):
            raise BadInput(f"Values are 'pixels' or 'numbers', not '{values}'.")
        self.channels, self.values = channels, values
        self.sizes = patch_sizes(patch, dimensions, shape)
        self.likelihood = likelihood
        self.linear = nn.Linear(inputs, math.prod(self.sizes) * channels * likelihood.parameters_each)
        _begin(self)

    def log_prob(self, states: Ragged, items: Ragged) -> Tensor:
        if items.values.shape[1:] != (self.channels,):
            found = tuple(items.values.shape[1:])
            raise BadInput(f"Elements have the shape {found}, where the readout gives {self.channels} channels.")
        numbers = items.values / 255 if items.values.dtype == torch.uint8 else items.values
        return self.likelihood.log_prob(self._each(states, items.shapes), numbers).sum(dim=-1)

    def mode(self, states: Ragged, shapes: Tensor) -> Ragged:
        return Ragged(self._units(self.likelihood.mode(self._each(states, shapes))), shapes)

    def sample(self, states: Ragged, shapes: Tensor, luck: Tensor) -> Ragged:
        return Ragged(self._units(self.likelihood.sample(self._each(states, shapes), luck)), shapes)

    def _each(self, states: Ragged, shapes: Tensor) -> Tensor:
        """States (N', inputs) to each element's parameters, (N, C, P)."""
        patches = self.linear(states.values).unflatten(1, (math.prod(self.sizes), -1))
        return join(states.replace(patches), shapes, self.sizes).values.unflatten(1, (self.channels, -1))

    def _units(self, numbers: Tensor) -> Tensor:
        if self.values == "pixels":
            return (numbers * 255).round().clamp(0, 255).to(torch.uint8)
        return numbers.float()


class ColumnReadout(Readout):
    """One state a column to the likelihood of what stands there: the way back from a ColumnEmbedding's rows.

    Each column has a map of its own: a number is Gaussian (a density), with the deviation, fixed or learned, that all
    columns of numbers share, which are standardised; a category is one of its codes (a probability). Code 0, a value
    that is not known, has its likelihood, which tells a strange row from a common one, and is never generated.
    categories is the embedding's. Raises BadInput for rows of another number of columns.
    """

    numeric: Tensor
    order: Tensor

    def __init__(
        self,
        inputs: int,
        categories: Sequence[int],
        deviation: float = 1.0,
        scale: Literal["fixed", "learned"] = "fixed",
    ):
        super().__init__()
        self.categories = tuple(categories)
        self.coded = [place for place, known in enumerate(self.categories) if known]
        numeric = [place for place, known in enumerate(self.categories) if not known]
        self.gaussian = Gaussian(deviation, scale)
        self.weight = nn.Parameter(torch.randn(len(numeric), inputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(numeric)))
        self.linears = nn.ModuleList(nn.Linear(inputs, self.categories[place] + 1) for place in self.coded)
        _begin(self)
        self.register_buffer("numeric", torch.tensor(numeric, dtype=torch.long), persistent=False)
        order = torch.tensor([*numeric, *self.coded], dtype=torch.long).argsort()
        self.register_buffer("order", order, persistent=False)

    def log_prob(self, states: Ragged, items: Ragged) -> Tensor:
        columns, values = self._rows(states.values, items.shapes), self._rows(items.values, items.shapes).squeeze(-1)
        numbers = self.gaussian.log_prob(self._means(columns), values[:, self.numeric])
        codes = [
            _log_prob_known(logits, values[:, place])
            for place, logits in zip(self.coded, self._logits(columns), strict=True)
        ]
        return self._table(numbers, codes).flatten()

    def mode(self, states: Ragged, shapes: Tensor) -> Ragged:
        columns = self._rows(states.values, shapes)
        codes = [logits[:, 1:].argmax(dim=1) + 1 for logits in self._logits(columns)]
        return Ragged(self._table(self.gaussian.mode(self._means(columns)), codes).float().view(-1, 1), shapes)

    def sample(self, states: Ragged, shapes: Tensor, luck: Tensor) -> Ragged:
        columns, luck = self._rows(states.values, shapes), self._rows(luck, shapes).squeeze(-1)
        numbers = self.gaussian.sample(self._means(columns), luck[:, self.numeric])
        codes = [
            drawn(logits[:, 1:], luck[:, place]) + 1
            for place, logits in zip(self.coded, self._logits(columns), strict=True)
        ]
        return Ragged(self._table(numbers, codes).float().view(-1, 1), shapes)

    def _rows(self, values: Tensor, shapes: Tensor) -> Tensor:
        """Values (N, D) of rows with these shapes as (B, columns, D)."""
        columns = len(self.categories)
        if bool((shapes != columns).any()) or len(values) != len(shapes) * columns:
            raise BadInput(f"These are no rows of a table of {columns} columns: make them with the table's own kind.")
        return values.unflatten(0, (len(shapes), columns))

    def _means(self, states: Tensor) -> Tensor:
        """(B, columns, inputs) to the numbers' parameters, (B, numbers, 1)."""
        return ((states[:, self.numeric] * self.weight).sum(dim=-1) + self.bias)[..., None]

    def _logits(self, states: Tensor) -> list[Tensor]:
        """(B, columns, inputs) to each coded column's logits, (B, codes)."""
        return [way(states[:, place]) for place, way in zip(self.coded, self.linears, strict=True)]

    def _table(self, numbers: Tensor, codes: Sequence[Tensor]) -> Tensor:
        """Numbers (B, numbers) and (B,) of each coded column, in the table's order: (B, columns)."""
        together = torch.cat([numbers, *(column[:, None].to(numbers.dtype) for column in codes)], dim=1)
        return together[:, self.order]


def _log_prob_known(logits: Tensor, codes: Tensor) -> Tensor:
    """How likely codes (B,) are, nats; zero for NaN, which is missing."""
    missing = codes.isnan()
    return _log_prob(logits, codes.masked_fill(missing, 0.0).long()).masked_fill(missing, 0.0)


class TokenReadout(Readout):
    """One state a token to a distribution over the vocabulary: the way back from a TokenEmbedding's rows.

    Its table is its own; or, tied (Press & Wolf 2017), the one handed in, the embedding's, after a map to its width
    where that is another: of a longer table the first rows. ending: the id that ends an item; beginning: the one that
    stands before its first.
    """

    def __init__(
        self, inputs: int, vocabulary: int, ending: int, beginning: int = 0, table: nn.Embedding | None = None
    ):
        super().__init__()
        self.ending, self.beginning = ending, beginning
        width = inputs if table is None else table.embedding_dim
        self.narrow = nn.Linear(inputs, width) if width != inputs else nn.Identity()
        self.linear = nn.Linear(width, vocabulary)
        _begin(self)
        if table is not None:
            self.linear.weight = table.weight
            self.linear.register_state_dict_post_hook(_leave_out)
            self.linear.register_load_state_dict_pre_hook(_put_back)

    @property
    def weight(self) -> Tensor:
        """What each token is told by, (V, width)."""
        table, vocabulary = self.linear.weight, self.linear.out_features
        return table if len(table) == vocabulary else table[:vocabulary]

    def logits(self, states: Tensor) -> Tensor:
        """(N, inputs) to (N, V)."""
        narrow, whole = self.narrow(states), len(self.linear.weight) == self.linear.out_features
        found: Tensor = self.linear(narrow) if whole else linear(narrow, self.weight, self.linear.bias)
        return found

    def costs(
        self, states: Tensor, ids: Tensor, smoothing: float = 0.0, consistency: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """What ids (N,) cost after states (N, inputs), nats: the sum to be minimised, and each one's (N,).

        smoothing, consistency: as `layers.cross_entropy` has them.
        """
        return token_costs(self.narrow(states), self.weight, self.linear.bias, ids, smoothing, consistency)

    def log_prob(self, states: Ragged, items: Ragged) -> Tensor:
        return _log_prob(self.logits(states.values), items.values)

    def mode(self, states: Ragged, shapes: Tensor) -> Ragged:
        return Ragged(self.logits(states.values).argmax(dim=-1), shapes)

    def sample(self, states: Ragged, shapes: Tensor, luck: Tensor) -> Ragged:
        return Ragged(drawn(wide(self.logits(states.values)), luck.squeeze(-1)), shapes)


# A tied table is kept once, by the embedding.
def _leave_out(linear: nn.Module, weights: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    del weights[f"{prefix}weight"]


def _put_back(linear: nn.Module, weights: dict[str, Any], prefix: str, *others: Any) -> None:
    weights[f"{prefix}weight"] = linear.weight


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

    def smoothed(self, states: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """The same, a share `smoothing` of every row's being that of all classes alike (Szegedy et al. 2016)."""
        logits = wide(self.linear(states))
        return -cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)

    def mode(self, states: Tensor) -> Tensor:
        """The likeliest class of each row, (N,) int64."""
        return self.probabilities(states).argmax(dim=-1)

    def probabilities(self, states: Tensor) -> Tensor:
        """(N, classes) float32 or wider, summing to one."""
        return wide(self.linear(states)).softmax(dim=-1)


class Labels(nn.Module):
    """States (N, inputs) to any of several `labels` at once, each by itself (Bernoulli)."""

    def __init__(self, inputs: int, labels: int):
        super().__init__()
        self.linear = nn.Linear(inputs, labels)
        _begin(self)

    def log_prob(self, states: Tensor, target: Tensor) -> Tensor:
        """The log-likelihood of each row's labels (N, labels), 0 or 1, all together: (N,) in nats."""
        logits = wide(self.linear(states))
        return -binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none").sum(dim=-1)

    def mode(self, states: Tensor) -> Tensor:
        """The labels likelier than not, (N, labels) bool."""
        return self.probabilities(states) > 0.5

    def probabilities(self, states: Tensor) -> Tensor:
        """Each label's own, (N, labels) float32 or wider."""
        return wide(self.linear(states)).sigmoid()


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
        return wide(self.linear(states))


def _log_prob(logits: Tensor, target: Tensor) -> Tensor:
    return -cross_entropy(wide(logits), target, reduction="none")


def _begin(module: nn.Module) -> None:
    """LeCun's rule (1998), and no biases: logits start of the order of one."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            nn.init.trunc_normal_(inner.weight, std=inner.in_features**-0.5)
            nn.init.zeros_(inner.bias)
