"""How likely a number is, in nats: the distributions that readouts speak in, never the name of a loss."""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from raw2vec.errors import BadInput
from raw2vec.layers.base import wide

_LEAST_LUCK = 2.0**-25  # half a step of a 24-bit draw: a luck of 0 is a value far out, not an infinite one


class Likelihood(nn.Module, ABC):
    """Parameters (…, P) of each element to the distribution of its value (…), P being `parameters_each`.

    Values are in the units of the kind's Ragged; pixels that are uint8 there count as 255ths, in [0, 1]. A value that
    is NaN is missing and says nothing: its log-probability is zero, and so is its gradient.
    """

    parameters_each: int

    @abstractmethod
    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        """(…, P) and (…) to (…), float32 or wider: nats. A density where the class says so, else a probability."""

    @abstractmethod
    def mode(self, parameters: Tensor) -> Tensor:
        """The value that stands for the distribution, (…): its mean where it is a density, else the likeliest."""

    @abstractmethod
    def sample(self, parameters: Tensor, luck: Tensor) -> Tensor:
        """A value drawn, (…), by inversion from numbers `luck` (…) in [0, 1): the same luck, the same value."""


class Bernoulli(Likelihood):
    """A value of 0 or 1, by the logit of 1 (P = 1): a probability.

    A value between (a grey pixel) is taken as the chance of a 1: its log_prob is the expected one, the cross-entropy
    with its sign turned, and no longer the logarithm of a probability. So the mode is the chance of a 1 itself.
    """

    parameters_each = 1

    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        logits = wide(parameters).squeeze(-1)
        values, missing = _known(values, logits)
        return _without(values * logits - softplus(logits), missing)

    def mode(self, parameters: Tensor) -> Tensor:
        return wide(parameters).squeeze(-1).sigmoid()

    def sample(self, parameters: Tensor, luck: Tensor) -> Tensor:
        chance = self.mode(parameters)
        return (luck < chance).to(chance.dtype)


class Gaussian(Likelihood):
    """A real number about its mean (P = 1), with one deviation for all: a density.

    scale: the deviation is "fixed", or starts as given and is "learned", one number for every element (the sigma-VAE;
    Rybkin et al. 2021), above a floor of a thousandth, which keeps the density of data that repeat themselves bounded.
    """

    parameters_each = 1
    floor = 1e-3

    def __init__(self, deviation: float = 1.0, scale: Literal["fixed", "learned"] = "fixed"):
        super().__init__()
        if scale not in ("fixed", "learned"):
            raise BadInput(f"A Gaussian's scale is 'fixed' or 'learned', not '{scale}'.")
        least = self.floor if scale == "learned" else 0.0
        if not least < deviation < math.inf:
            raise BadInput(f"A Gaussian's deviation is {deviation}: give a finite number above {least:g}.")
        # The logarithm in both cases, so that density and sample ask nothing of the scale.
        start = torch.tensor(math.log(deviation - least))
        if scale == "learned":
            self.log_excess = nn.Parameter(start)
        else:
            self.register_buffer("log_excess", start, persistent=False)
        self._least = least

    @property
    def deviation(self) -> Tensor:
        """The deviation as it stands, a scalar in float32 or wider."""
        return self._least + wide(self.log_excess).exp()

    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        means = self.mode(parameters)
        values, missing = _known(values, means)
        deviation = self.deviation
        density = -0.5 * ((values - means) / deviation).square() - deviation.log() - 0.5 * math.log(2 * math.pi)
        return _without(density, missing)

    def mode(self, parameters: Tensor) -> Tensor:
        return wide(parameters).squeeze(-1)

    def sample(self, parameters: Tensor, luck: Tensor) -> Tensor:
        return self.mode(parameters) + self.deviation * torch.special.ndtri(_inner_luck(luck))


class DiscretisedLogistic(Likelihood):
    """One of `levels` values, the grid i / (levels - 1) in [0, 1], by a logistic whose mass each takes: a probability.

    The two levels at the edges take the tails (Salimans et al. 2017, PixelCNN++). Parameters (P = 2) are the logistic's
    mean less 1/2 and the logarithm of its scale plus 2, so that zeros are a broad guess around the middle; the scale is
    held between a 32nd of a step and e^5. The mode is the level nearest the logistic's mean, whatever the tails weigh.
    A value off the grid counts as the nearest on it.
    """

    parameters_each = 2

    def __init__(self, levels: int = 256):
        super().__init__()
        _check(levels)
        self.levels = levels

    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        means, log_scales = self._logistic(parameters)
        values, missing = _known(values, means)
        places = _places(values, self.levels)
        scales, half = log_scales.exp(), 0.5 / (self.levels - 1)
        centred = places / (self.levels - 1) - means
        # s(b) - s(a) = s(b) s(-a) (1 - exp(a - b)), s the sigmoid: no difference of near equals is ever taken.
        below_upper = logsigmoid((centred + half) / scales).masked_fill(places == self.levels - 1, 0.0)
        above_lower = logsigmoid((half - centred) / scales).masked_fill(places == 0, 0.0)
        edge = (places == 0) | (places == self.levels - 1)
        narrowness = (-torch.expm1(-2 * half / scales)).log().masked_fill(edge, 0.0)
        return _without(below_upper + above_lower + narrowness, missing)

    def mode(self, parameters: Tensor) -> Tensor:
        return _places(self._logistic(parameters)[0], self.levels) / (self.levels - 1)

    def sample(self, parameters: Tensor, luck: Tensor) -> Tensor:
        means, log_scales = self._logistic(parameters)
        drawn = means + log_scales.exp() * torch.logit(_inner_luck(luck))
        return _places(drawn, self.levels) / (self.levels - 1)

    def _logistic(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        means, log_scales = wide(parameters).unbind(-1)
        return means + 0.5, (log_scales - 2.0).clamp(-math.log(32 * (self.levels - 1)), 5.0)


class Categorical(Likelihood):
    """One of `levels` values, the grid i / (levels - 1) in [0, 1], each with a logit of its own (P = levels).

    A probability. A value off the grid counts as the nearest on it.
    """

    def __init__(self, levels: int = 256):
        super().__init__()
        _check(levels)
        self.levels = self.parameters_each = levels

    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        every = wide(parameters).log_softmax(dim=-1)
        values, missing = _known(values, every)
        places = _places(values, self.levels).long()
        return _without(every.gather(-1, places.unsqueeze(-1)).squeeze(-1), missing)

    def mode(self, parameters: Tensor) -> Tensor:
        logits = wide(parameters)
        return logits.argmax(dim=-1).to(logits.dtype) / (self.levels - 1)

    def sample(self, parameters: Tensor, luck: Tensor) -> Tensor:
        logits = wide(parameters)
        return drawn(logits, luck).to(logits.dtype) / (self.levels - 1)


def drawn(logits: Tensor, luck: Tensor) -> Tensor:
    """Which of P outcomes each luck (…) in [0, 1) falls on, by inversion of the softmax of logits (…, P): int64 (…)."""
    cumulative = wide(logits).softmax(dim=-1).cumsum(dim=-1)
    # The sum of all may be a hair below one, and luck between the two: the last outcome then.
    return (cumulative <= luck.unsqueeze(-1)).sum(dim=-1).clamp(max=logits.shape[-1] - 1)


def _known(values: Tensor, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """Values with zeros for what is missing, and where that is, if anywhere.

    NaN must not reach a gradient, not even times zero.
    """
    values = values.to(like.dtype)
    # Mostly there is nothing to mask, which saves a third of the passes; a GPU would have to be waited for to know.
    if values.device.type == "cpu" and not bool(values.sum().isnan()):
        return values, None
    missing = values.isnan()
    return values.masked_fill(missing, 0.0), missing


def _without(log_prob: Tensor, missing: Tensor | None) -> Tensor:
    return log_prob if missing is None else log_prob.masked_fill(missing, 0.0)


def _places(values: Tensor, levels: int) -> Tensor:
    """The nearest place on the grid, from 0 to levels - 1, as floats."""
    return (values * (levels - 1)).round().clamp(0, levels - 1)


def _inner_luck(luck: Tensor) -> Tensor:
    return luck.clamp(min=_LEAST_LUCK)


def _check(levels: int) -> None:
    if levels < 2:
        raise BadInput(f"levels is {levels}, and a value needs two levels at least to say anything.")
