"""An autoencoder: an embedder, and the way back from its vector to the item."""

from __future__ import annotations

from torch import Tensor, nn

from raw2vec.decoders import Decoder
from raw2vec.embedding import Embedding
from raw2vec.encoders import Encoder
from raw2vec.latents import Latent
from raw2vec.models.base import Embedder
from raw2vec.ragged import Ragged
from raw2vec.readout import Readout


class Autoencoder(nn.Module):
    """Everything an Embedder does, and codes (B, L) back to Ragged values through decoder and readout."""

    def __init__(self, embedder: Embedder, decoder: Decoder, readout: Readout):
        super().__init__()
        self.embedder = embedder
        self.decoder = decoder
        self.readout = readout

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

    def log_prob(self, codes: Tensor, items: Ragged) -> Tensor:
        """How likely the codes (B, L) find the items: nats an item, (B,)."""
        return items.replace(self.readout.log_prob(self._decoded(codes, items.shapes), items)).sum()

    def mode(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """What the codes (B, L) stand for on grids (B, k), in the units of the kind's Ragged."""
        return self.readout.mode(self._decoded(codes, shapes), shapes)

    def sample(self, codes: Tensor, shapes: Tensor, luck: Tensor) -> Ragged:
        """The same drawn from the readout's likelihood by numbers `luck` (N, C) in [0, 1)."""
        return self.readout.sample(self._decoded(codes, shapes), shapes, luck)

    def _decoded(self, codes: Tensor, shapes: Tensor) -> Ragged:
        states: Ragged = self.decoder(codes, self.embedding.grids(shapes))
        return states
