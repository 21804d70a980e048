"""Two encoders into one space: an input and its target, of any two kinds, lie where they find each other."""

from torch import Tensor, nn

from raw2vec.embedding import Embedding
from raw2vec.encoders import Encoder
from raw2vec.latents import Latent
from raw2vec.models.base import Embedder
from raw2vec.ragged import Ragged


class DualEncoder(nn.Module):
    """An embedder for each side of a pair, with vectors of one width (CLIP; Radford et al. 2021).

    By itself it is its input's embedder; `side` gives either.
    """

    def __init__(self, input: Embedder, target: Embedder):
        super().__init__()
        self.input, self.target = input, target

    def side(self, role: str) -> Embedder:
        """What gives the vectors of this role's items: those of targets are the target's."""
        return self.target if role in ("target", "negative") else self.input

    @property
    def embedding(self) -> Embedding:
        return self.input.embedding

    @property
    def encoder(self) -> Encoder:
        return self.input.encoder

    @property
    def latent(self) -> Latent:
        return self.input.latent

    @property
    def table(self) -> Tensor:
        return self.input.table

    def forward(self, items: Ragged) -> Tensor:
        """The vectors (B, L) of inputs."""
        vectors: Tensor = self.input(items)
        return vectors

    def contextual(self, items: Ragged) -> Ragged:
        """The last states of the inputs' encoder, Ragged (N', D')."""
        return self.input.contextual(items)

    def states(self, items: Ragged) -> list[Ragged]:
        """Every layer's states of inputs, the encoder's input first."""
        return self.input.states(items)
