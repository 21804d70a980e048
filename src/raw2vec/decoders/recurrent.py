"""The recurrent decoders: rows in raster order, each from the memory of those before."""

from typing import Literal

import torch
from torch import Tensor, nn

from raw2vec import layers as parts
from raw2vec.decoders.base import Decoder, Kept, Words, Writer
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged


class Recurrent(Decoder):
    """Codes (B, latent) to (N, width) by `layers` LSTMs or GRUs whose memory begins as a map of the code.

    At each step a row takes its part of the code spread over the grid; it is shown no row before it. places: rows of
    every grid, 0 where they differ (see Spread).
    """

    def __init__(
        self,
        latent: int,
        width: int = 256,
        layers: int = 1,
        cell: Literal["lstm", "gru"] = "lstm",
        dropout: float = 0.0,
        places: int = 0,
        dimensions: int = 1,
    ):
        super().__init__(latent, width)
        self.spread = parts.Spread(latent, width, places, dimensions)
        recurrences = [parts.Recurrent(width, width, cell, directions=1) for _ in range(layers)]
        self.layers = nn.ModuleList(recurrences)
        self.memories = nn.ModuleList(nn.Linear(latent, layer.memory) for layer in recurrences)
        self.dropout = parts.Dropout(dropout)
        parts.begin(self)

    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """BadInput when a grid has not `places` rows."""
        x = self.spread(codes, shapes)
        x = x.replace(x.values.to(codes.dtype))
        for layer, memory in zip(self.layers, self.memories, strict=True):
            x = layer(x, memory(codes).tanh())
            x = x.replace(self.dropout(x.values))
        return x


class RecurrentWriter(Writer):
    """Row by row through `layers` LSTMs or GRUs: the code is where their memory begins, and comes in at each step.

    This is the decoder of Cho et al. (2014). With a memory every row then looks at the encoder's states by the last
    layer's (Luong et al. 2015, without input feeding: all rows are learned from at once); see layers.Attention for
    score and coverage. forget: share of the rows before that it is not shown while it learns, so that it has to listen
    to the code (word dropout, Bowman et al. 2016). words: "own", or "tied", the embedding's table tells them.
    """

    def __init__(
        self,
        latent: int,
        inputs: int,
        width: int = 256,
        layers: int = 1,
        cell: Literal["lstm", "gru"] = "lstm",
        dropout: float = 0.0,
        forget: float = 0.0,
        words: Words = "own",
        memory: int = 0,
        score: parts.ScoreName = "additive",
        coverage: bool = False,
    ):
        super().__init__(latent, inputs, width, memory)
        if not 0 <= forget <= 1:
            raise BadInput(f"forget is a share of the rows before, from 0 to 1, not {forget:g}.")
        self.code = nn.Linear(latent, width)
        self.shown = nn.Linear(inputs, width, bias=False)
        recurrences = [parts.Recurrent(width, width, cell, directions=1) for _ in range(layers)]
        self.layers = nn.ModuleList(recurrences)
        self.memories = nn.ModuleList(nn.Linear(latent, layer.memory) for layer in recurrences)
        self.attention = parts.Attention(width, memory, score, coverage) if memory else None
        self.dropout, self.forget, self.words = parts.Dropout(dropout), forget, words
        parts.begin(self)

    def forward(self, codes: Tensor, before: Ragged, memory: parts.Memory | None = None) -> Ragged:
        x = self._read(codes, before)
        if self.attention is None or memory is None:
            return x
        return x.replace(self.dropout(self.attention(x, memory)))

    def looks(self, codes: Tensor, before: Ragged, memory: parts.Memory) -> Tensor:
        assert self.attention is not None, "this decoder has no attention"
        x = self._read(codes, before)
        looks, _ = self.attention.weights(parts.rectangle(x), memory, self.attention.remember(memory.rows))
        return parts.rows_of(looks, x)

    def _read(self, codes: Tensor, before: Ragged) -> Ragged:
        shown = before.values
        if self.training and self.forget:
            shown = shown * (torch.rand(len(shown), 1, device=shown.device) >= self.forget)
        code, memories = self._told(codes)
        x = before.replace((before.spread(code) + self.shown(shown)).to(codes.dtype))
        for layer, first in zip(self.layers, memories, strict=True):
            x = layer(x, first)
            x = x.replace(self.dropout(x.values))
        return x

    def _told(self, codes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What of the code comes in at each step, (B, width), and what each layer's memory begins as."""
        return self.code(codes), [memory(codes).tanh() for memory in self.memories]

    def begin(self, codes: Tensor, memory: parts.Memory | None = None) -> Kept:
        code, memories = self._told(codes)
        if self.attention is None or memory is None:
            return Kept([code], memories)
        keys = self.attention.remember(memory.rows)
        covered = memory.rows.new_zeros(memory.inside.shape)
        return Kept([code, *(part.clone() for part in memory), keys], [*memories, covered])

    def step(self, kept: Kept, before: Tensor, place: int) -> tuple[Tensor, Kept]:
        code, *seen = kept.items
        states = (code[:, None] + self.shown(before).unflatten(0, (len(code), -1))).flatten(0, 1)
        left = []
        for layer, own in zip(self.layers, kept.drafts[: len(self.layers)], strict=True):
            assert isinstance(layer, parts.Recurrent)
            states, after = layer.step(states, own)
            left.append(after)
        if self.attention is None:
            return states, Kept(kept.items, left)
        rows, inside, keys = seen
        states, covered = self.attention.step(states, parts.Memory(rows, inside), keys, kept.drafts[-1])
        return states, Kept(kept.items, [*left, covered])
