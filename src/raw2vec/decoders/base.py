"""What every decoder is: one vector an item in, states over the item's grid out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from raw2vec.ragged import Ragged


class Decoder(nn.Module, ABC):
    """Codes (B, latent) and the grids wanted, shapes (B, k), to Ragged states (N, width) over these grids.

    `before` are the embedded rows that stand before each row wanted, (N, D), for decoders that are shown what they have
    written so far (teacher forcing); the others leave it alone.
    """

    autoregressive: bool = False

    def __init__(self, latent: int, width: int):
        super().__init__()
        self.latent = latent
        self.width = width

    @abstractmethod
    def forward(self, codes: Tensor, shapes: Tensor, before: Ragged | None = None) -> Ragged:
        """States (N, width), row by row in the order of the grids."""
