"""How likely a number is, in nats: the distributions that readouts speak in, never the name of a loss."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


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
