"""Autoencoders of items on grids that are known beforehand."""

from torch import Tensor

from raw2vec.decoders import Decoder
from raw2vec.models.base import Autoencoder, Embedder
from raw2vec.ragged import Ragged
from raw2vec.readout import Readout


class GridAutoencoder(Autoencoder):
    """Items on grids that are known beforehand, all rows of which are told at once: numbers of any kind."""

    decoder: Decoder

    def __init__(self, embedder: Embedder, decoder: Decoder, readout: Readout):
        super().__init__()
        self.embedder, self.decoder, self.readout = embedder, decoder, readout

    def log_prob(self, codes: Tensor, items: Ragged) -> Tensor:
        return items.replace(self.readout.log_prob(self._decoded(codes, items.shapes), items)).sum()

    def mode(self, codes: Tensor, shapes: Tensor) -> Ragged:
        return self.readout.mode(self._decoded(codes, shapes), shapes)

    def sample(self, codes: Tensor, shapes: Tensor, luck: Tensor) -> Ragged:
        return self.readout.sample(self._decoded(codes, shapes), shapes, luck)

    def _decoded(self, codes: Tensor, shapes: Tensor) -> Ragged:
        states: Ragged = self.decoder(codes, self.embedding.grids(shapes))
        return states
