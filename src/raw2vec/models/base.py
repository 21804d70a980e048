"""What models are: items to one vector each, through embedding, encoder and latent; and perhaps the way back."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from raw2vec.decoders import Decoder, Writer
from raw2vec.embedding import Embedding, TokenEmbedding
from raw2vec.encoders import Dense, Encoder
from raw2vec.errors import BadInput
from raw2vec.latents import Latent
from raw2vec.ragged import Ragged
from raw2vec.readout import Readout


class Embedder(nn.Module):
    """Ragged ids, pixels, frames or columns of B items to their vectors (B, L)."""

    def __init__(self, embedding: Embedding, encoder: Encoder, latent: Latent):
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.latent = latent

    def side(self, role: str) -> Embedder:
        """What gives the vectors of this role's items: the same for all."""
        return self

    def forward(self, ids: Ragged) -> Tensor:
        """The items' vectors, (B, L)."""
        return self.latent(self.contextual(ids))

    def contextual(self, ids: Ragged) -> Ragged:
        """The encoder's last states, Ragged (N', D')."""
        encoder, embedding = self.encoder, self.embedding
        if not isinstance(encoder, Dense) or not isinstance(embedding, TokenEmbedding):
            return encoder(embedding(ids))
        if embedding.filled or (self.training and embedding.dropout.p):
            return encoder(embedding(ids))
        *_, last = encoder.layers_of_bag(embedding.bag(ids, encoder.weights(ids)))
        return last

    @property
    def table(self) -> Tensor:
        """The vectors of all tokens (V, D), which a vocabulary head shares; BadInput for data that has no tokens."""
        if not isinstance(self.embedding, TokenEmbedding):
            raise BadInput("This kind of data has no tokens that a head could tell: its 'masked' hides patches.")
        return self.embedding.weight

    def states(self, ids: Ragged) -> list[Ragged]:
        """Every layer's states, the encoder's input first: hierarchical features."""
        return self.encoder.states(self.embedding(ids))


class Autoencoder(nn.Module, ABC):
    """Everything an Embedder does, and codes (B, L) back to Ragged values through decoder and readout."""

    embedder: Embedder
    decoder: Decoder | Writer
    readout: Readout

    @property
    def embedding(self) -> Embedding:
        return self.embedder.embedding

    @property
    def encoder(self) -> Encoder:
        return self.embedder.encoder

    @property
    def latent(self) -> Latent:
        return self.embedder.latent

    @property
    def table(self) -> Tensor:
        return self.embedder.table

    def side(self, role: str) -> Autoencoder:
        """What gives the vectors of this role's items: the same for all."""
        return self

    def forward(self, items: Ragged) -> Tensor:
        """The items' vectors, (B, L)."""
        vectors: Tensor = self.embedder(items)
        return vectors

    def contextual(self, items: Ragged) -> Ragged:
        """The encoder's last states, Ragged (N', D')."""
        return self.embedder.contextual(items)

    def states(self, items: Ragged) -> list[Ragged]:
        """Every layer's states, the encoder's input first."""
        return self.embedder.states(items)

    @abstractmethod
    def log_prob(self, codes: Tensor, items: Ragged) -> Tensor:
        """How likely the codes (B, L) find the items: nats an item, (B,)."""

    @abstractmethod
    def mode(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """What the codes (B, L) stand for on grids (B, k), in the units of the kind's Ragged.

        Where items tell themselves where they end, `shapes` are the most rows of each.
        """

    @abstractmethod
    def sample(self, codes: Tensor, shapes: Tensor, luck: Tensor) -> Ragged:
        """The same drawn from the readout's likelihood by numbers `luck` (N, C) in [0, 1)."""
