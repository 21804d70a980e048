"""What every decoder is: one vector an item in, states over the item's grid out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from raw2vec.layers import Memory, Past, changes, settled
from raw2vec.ragged import Ragged

Words = Literal["own", "tied"]


class Decoder(nn.Module, ABC):
    """Codes (B, latent) and the grids wanted, shapes (B, k), to Ragged states (N, width) over these grids, at once."""

    def __init__(self, latent: int, width: int):
        super().__init__()
        self.latent = latent
        self.width = width

    @abstractmethod
    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """States (N, width), row by row in the order of the grids."""


@dataclass(frozen=True)
class Kept:
    """What a writer keeps from row to row of B items, of each of which there are K drafts side by side.

    items: tensors (B, …) that never change on the way; drafts: tensors (B · K, …) that do; past: the rows before, where
    they are kept. All are its own: what is kept is gone on from, or taken from, once, and used up by it.
    """

    items: list[Tensor]
    drafts: list[Tensor]
    past: Past | None = None

    def take(self, drafts: Tensor, items: Tensor | None = None) -> Kept:
        """These drafts (n,), in this order, of these items (None: of all, as many of each)."""
        changed = None if items is None or not self.items else changes(items, len(self.items[0]))
        among = self.items if items is None else [settled(part, items, changed) for part in self.items]
        past = self.past and self.past.take(drafts, items, changed)
        return Kept(among, [part.index_select(0, drafts) for part in self.drafts], past)


class Writer(nn.Module, ABC):
    """A decoder that tells a sequence row by row, each from the code (B, latent) and the rows before it.

    It need not know beforehand how long the sequence is. inputs: features of a row, embedded. memory: features of the
    encoder's states, which it looks at beside the code; 0: the code is all that it is told. `bridges` are those of
    decoders/bridges.py that it knows, its usual one first; `words` says which table tells the tokens.
    """

    bridges: ClassVar[tuple[str, ...]] = ("attention", "fixed")
    words: Words

    def __init__(self, latent: int, inputs: int, width: int, memory: int = 0):
        super().__init__()
        self.latent, self.inputs, self.width, self.memory = latent, inputs, width, memory

    @abstractmethod
    def forward(self, codes: Tensor, before: Ragged, memory: Memory | None = None) -> Ragged:
        """States (N, width) from which each row is told, given what stands before it, (N, inputs): teacher forcing."""

    @abstractmethod
    def begin(self, codes: Tensor, memory: Memory | None = None) -> Kept:
        """What is kept before the first row."""

    @abstractmethod
    def step(self, kept: Kept, before: Tensor, place: int) -> tuple[Tensor, Kept]:
        """The states (B · K, width) from which one more row of each draft is told, given the last, (B · K, inputs).

        And what is kept to go on with. place: how many rows there are before it.
        """

    @abstractmethod
    def looks(self, codes: Tensor, before: Ragged, memory: Memory) -> Tensor:
        """How much each row looks at each of its item's states, (N, S), summing to one: for people to see."""
