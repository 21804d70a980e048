"""What every decoder is: one vector an item in, states over the item's grid out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from raw2vec.ragged import Ragged


class Decoder(nn.Module, ABC):
    """Codes (B, latent) and the grids wanted, shapes (B, k), to Ragged states (N, width) over these grids, at once."""

    def __init__(self, latent: int, width: int):
        super().__init__()
        self.latent = latent
        self.width = width

    @abstractmethod
    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """States (N, width), row by row in the order of the grids."""


class Writer(nn.Module, ABC):
    """A decoder that tells a sequence row by row, each from the code (B, latent) and the rows before it.

    It need not know beforehand how long the sequence is. inputs: features of a row, embedded.
    """

    def __init__(self, latent: int, inputs: int, width: int):
        super().__init__()
        self.latent, self.inputs, self.width = latent, inputs, width

    @abstractmethod
    def forward(self, codes: Tensor, before: Ragged) -> Ragged:
        """States (N, width) from which each row is told, given what stands before it, (N, inputs): teacher forcing."""

    @abstractmethod
    def begin(self, codes: Tensor) -> list[Tensor]:
        """The memory before the first row: tensors (B, …), so that items can be left out or doubled on the way."""

    @abstractmethod
    def step(self, memory: list[Tensor], before: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The states (B, width) from which one more row of each item is told, given the last one, (B, inputs).

        And the memory to go on with.
        """
