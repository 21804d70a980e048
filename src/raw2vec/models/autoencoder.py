"""Autoencoders: an embedder, and the way back from its vector to the item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from raw2vec.decoders import Decoder, Writer
from raw2vec.embedding import Embedding
from raw2vec.encoders import Encoder
from raw2vec.latents import Latent
from raw2vec.models.base import Embedder
from raw2vec.ragged import Ragged
from raw2vec.readout import Readout, TokenReadout


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


class SequenceAutoencoder(Autoencoder):
    """Tokens one after the other, each told from the code and the tokens before it, up to the one that ends an item."""

    decoder: Writer

    def __init__(self, embedder: Embedder, decoder: Writer, readout: TokenReadout):
        super().__init__()
        self.embedder, self.decoder, self.readout = embedder, decoder, readout
        self.ending = readout.ending

    def log_prob(self, codes: Tensor, items: Ragged) -> Tensor:
        states = self.decoder(codes, _before(self.embedding(items)))
        return items.replace(self.readout.log_prob(states, items)).sum()

    def mode(self, codes: Tensor, shapes: Tensor) -> Ragged:
        return self._written(codes, shapes, lambda states, _: self.readout.mode(states, states.shapes))

    def sample(self, codes: Tensor, shapes: Tensor, luck: Tensor) -> Ragged:
        return self._written(
            codes, shapes, lambda states, rows: self.readout.sample(states, states.shapes, luck[rows.to(luck.device)])
        )

    def _written(self, codes: Tensor, limits: Tensor, tell: Callable[[Ragged, Tensor], Ragged]) -> Ragged:
        """Row after row until each item ends itself or has as many as `limits` (B, 1); items that end step aside.

        tell: states of the items that go on, one row each, and which rows of the whole these are, to their values.
        """
        found = Ragged.bare(limits, codes.device)
        values = torch.full((len(found.values),), self.ending, device=codes.device)
        going, lengths = torch.arange(len(codes)), limits.clone()
        memory, before = self.decoder.begin(codes), codes.new_zeros(len(codes), self.decoder.inputs)
        for step in range(int(limits.max())):
            states, memory = self.decoder.step(memory, before)
            rows, ones = found.offsets[going] + step, torch.ones(len(going), 1, dtype=torch.long)
            told = tell(Ragged(states, ones), rows).values
            values[rows.to(values.device)] = told
            left = (told.cpu() != self.ending) & (step + 1 < limits[going, 0])
            lengths[going[~left]] = step + 1
            if not bool(left.any()):
                break
            kept = left.to(codes.device)
            going, memory = going[left], [part[kept] for part in memory]
            before = self.embedding(Ragged(told[kept], ones[left])).values
        return Ragged(values[found.places < found.spread(lengths.to(values.device))[:, 0]], lengths)


def _before(rows: Ragged) -> Ragged:
    """What stands before each row: the row before it, and before an item's first one nothing, which is zeros."""
    shifted = rows.values.roll(1, dims=0)
    return rows.replace(shifted.masked_fill((rows.places == 0)[:, None], 0.0))
