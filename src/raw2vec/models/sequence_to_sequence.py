"""Sequence to sequence: tokens are read into one vector, and others written from it: the same, or a translation."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from raw2vec.decoders import Kept, Writer
from raw2vec.errors import BadInput
from raw2vec.layers import Memory
from raw2vec.layers.base import wide
from raw2vec.models.base import Autoencoder, Embedder
from raw2vec.ragged import Ragged
from raw2vec.readout import TokenReadout


class Source(NamedTuple):
    """What a writer is told of B items: their codes (B, L), and, where it looks at them, the encoder's states."""

    codes: Tensor
    memory: Memory | None

    def take(self, items: Tensor) -> Source:
        """These items (b,), in this order."""
        memory = self.memory and Memory(*(part.index_select(0, items) for part in self.memory))
        return Source(self.codes.index_select(0, items), memory)


class SequenceToSequence(Autoencoder):
    """Tokens one after the other, each told from what was read and those before it, up to the one that ends an item.

    Every item begins with one token of its own, which is given and not told. Where the decoder is told of the code
    alone (a fixed bridge), a code is enough to write from; where it looks at the encoder's states, it is not.
    """

    decoder: Writer
    readout: TokenReadout

    def __init__(self, embedder: Embedder, decoder: Writer, readout: TokenReadout):
        super().__init__()
        self.embedder, self.decoder, self.readout = embedder, decoder, readout
        self.words = readout
        self.beginning, self.ending = readout.beginning, readout.ending

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @property
    def fixed(self) -> bool:
        """Whether the code is all that the decoder is told."""
        return not self.decoder.memory

    def read(self, items: Ragged) -> Source:
        """What the decoder is told of these items."""
        states = self.contextual(items)
        return Source(self.latent(states), None if self.fixed else Memory.of(states))

    def written(self, source: Source, items: Ragged) -> tuple[Ragged, Ragged]:
        """The decoder's states (N, width) at each token of the items but their first, and these tokens (N,)."""
        before, told = parted(items)
        return self.decoder(source.codes, self.embedding(before), source.memory), told

    def costs(
        self, source: Source, items: Ragged, smoothing: float = 0.0, consistency: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """What the items cost their teller, nats: the sum to be minimised, and each token's own (N,); see Readout.

        consistency: how much two tellings of the same count for their divergence; the items are `twice` the same then.
        """
        states, told = (part.values for part in self.written(source, items))
        if consistency:
            states, told = (part.unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1) for part in (states, told))
        return self.readout.costs(states, told, smoothing, consistency)

    def log_prob(self, codes: Tensor, items: Ragged) -> Tensor:
        states, told = self.written(self.told(codes), items)
        return told.replace(self.readout.log_prob(states, told)).sum()

    def mode(self, codes: Tensor, shapes: Tensor) -> Ragged:
        return self.write(self.told(codes), shapes, lambda states, _: self.readout.mode(states, states.shapes))

    def sample(self, codes: Tensor, shapes: Tensor, luck: Tensor) -> Ragged:
        def tell(states: Ragged, rows: Tensor) -> Ragged:
            return self.readout.sample(states, states.shapes, luck[rows.to(luck.device)])

        return self.write(self.told(codes), shapes, tell)

    def write(self, source: Source, limits: Tensor, tell: Callable[[Ragged, Tensor], Ragged]) -> Ragged:
        """Token after token until each item ends itself or has as many as `limits` (B, 1); items that end step aside.

        tell: states of the items that go on, one row each, and which rows of the whole these are, to their tokens.
        """
        device = source.codes.device
        found = Ragged.bare(limits, device)
        values = torch.full((len(found.values),), self.ending, device=device)
        going, lengths = torch.arange(len(limits)), limits.clone()
        kept, last = self.decoder.begin(*source), torch.full((len(limits),), self.beginning, device=device)
        for place in range(int(limits.max())):
            states, kept = self.step(kept, last, place)
            rows = found.offsets[going] + place
            last = tell(Ragged(states, torch.ones(len(going), 1, dtype=torch.long)), rows).values
            values[rows.to(device)] = last
            left = (last.cpu() != self.ending) & (place + 1 < limits[going, 0])
            lengths[going[~left]] = place + 1
            if not bool(left.any()):
                break
            if not bool(left.all()):
                stay = left.nonzero().squeeze(1)
                going, stay = going[stay], stay.to(device)
                kept, last = kept.take(stay, stay), last[stay]
        return Ragged(values[found.places < found.spread(lengths.to(device))[:, 0]], lengths)

    def step(self, kept: Kept, last: Tensor, place: int) -> tuple[Tensor, Kept]:
        """The states (n, width) from which each of n drafts' next token is told, after its last ones (n,)."""
        before = self.embedding(Ragged(last, torch.ones(len(last), 1, dtype=torch.long)))
        return self.decoder.step(kept, before.values, place)

    def begin(self, source: Source) -> Kept:
        """What is kept before the first token of each item."""
        return self.decoder.begin(*source)

    def likely(self, kept: Kept, last: Tensor, place: int) -> tuple[Tensor, Kept]:
        """The log-likelihood of each id after n drafts whose last ones are (n,): (n, V) nats, in float32 at least."""
        states, kept = self.step(kept, last, place)
        return wide(self.readout.logits(states)).log_softmax(-1), kept

    def looks(self, source: Source, items: Ragged) -> Tensor:
        """How much each token of the items but their first looked at each of the source's, (N, S), summing to one."""
        before, _ = parted(items)
        if source.memory is None:
            raise BadInput("This model's decoder is told of a vector alone, and looks at no words that it could cover.")
        return self.decoder.looks(source.codes, self.embedding(before), source.memory)

    def told(self, codes: Tensor) -> Source:
        """What the decoder is told by codes (B, L) alone; BadInput for one that looks at more than that."""
        if not self.fixed:
            raise BadInput(
                "This model's decoder looks at every word of the source, so that a vector alone tells it too little: "
                "translate the text itself, or fit with --set bridge=fixed."
            )
        return Source(codes, None)


def twice(items: Ragged) -> Ragged:
    """The items, and after them the same again."""
    return items.take(torch.arange(len(items)).repeat(2))


def parted(items: Ragged) -> tuple[Ragged, Ragged]:
    """What stands before each token but an item's first, and these tokens: items without their last, their first."""
    lengths = items.lengths.to(items.values.device)[items.owners]
    shapes = (items.shapes - 1).clamp(min=0)
    before, told = items.places < lengths - 1, items.places > 0
    after = Ragged(items.values[told], shapes)
    return after.replace(items.values[before]), after
