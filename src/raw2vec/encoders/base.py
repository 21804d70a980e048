"""What every encoder is: vectors in, states out, layer by layer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import final

from torch import Tensor, nn

from raw2vec.ragged import Ragged


class Encoder(nn.Module, ABC):
    """Ragged (N, inputs) to Ragged states (N', width).

    A concrete encoder tells its `layers_of` an item; `states` keeps them all (hierarchical features), a call keeps
    only the last, so that encoding holds two layers in memory and not all.
    """

    layers: nn.ModuleList
    class_tokens: int = 0
    """Rows that go before each item's own."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.inputs = inputs
        self.width = width

    @abstractmethod
    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        """The states one layer after another: first what the first layer takes, last the encoder's own answer."""

    def grids(self, shapes: Tensor) -> list[Tensor]:
        """The grids (B, k) of each of `layers_of`'s states for items of grids `shapes` (B, k): here all the same.

        With class tokens before them rows are on no grid any more, but in a sequence.
        """
        led = shapes.prod(dim=1, keepdim=True) + self.class_tokens if self.class_tokens else shapes
        return [led] * (len(self.layers) + 1)

    @final
    def states(self, x: Ragged) -> list[Ragged]:
        """Every layer's states, the first layer's input first."""
        return list(self.layers_of(x))

    @final  # type: ignore[misc]
    def forward(self, x: Ragged) -> Ragged:
        """The last layer's states."""
        last = x
        for states in self.layers_of(x):
            last = states
        return last
