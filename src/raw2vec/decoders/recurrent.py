"""The recurrent decoders: rows in raster order, each from the memory of those before."""

from typing import Literal

import torch
from torch import Tensor, nn

from raw2vec import layers as parts
from raw2vec.decoders.base import Decoder, Writer
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
        self.dropout = nn.Dropout(dropout)
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

    This is the decoder of Cho et al. (2014). forget: share of the rows before that it is not shown while it learns, so
    that it has to listen to the code (word dropout, Bowman et al. 2016).
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
    ):
        super().__init__(latent, inputs, width)
        if not 0 <= forget <= 1:
            raise BadInput(f"forget is a share of the rows before, from 0 to 1, not {forget:g}.")
        self.code = nn.Linear(latent, width)
        self.shown = nn.Linear(inputs, width, bias=False)
        recurrences = [parts.Recurrent(width, width, cell, directions=1) for _ in range(layers)]
        self.layers = nn.ModuleList(recurrences)
        self.memories = nn.ModuleList(nn.Linear(latent, layer.memory) for layer in recurrences)
        self.dropout, self.forget = nn.Dropout(dropout), forget
        parts.begin(self)

    def forward(self, codes: Tensor, before: Ragged) -> Ragged:
        shown = before.values
        if self.training and self.forget:
            shown = shown * (torch.rand(len(shown), 1, device=shown.device) >= self.forget)
        code, *memories = self.begin(codes)
        x = before.replace((before.spread(code) + self.shown(shown)).to(codes.dtype))
        for layer, memory in zip(self.layers, memories, strict=True):
            x = layer(x, memory)
            x = x.replace(self.dropout(x.values))
        return x

    def begin(self, codes: Tensor) -> list[Tensor]:
        return [self.code(codes), *(memory(codes).tanh() for memory in self.memories)]

    def step(self, memory: list[Tensor], before: Tensor) -> tuple[Tensor, list[Tensor]]:
        code, *memories = memory
        states, left = code + self.shown(before), []
        for layer, own in zip(self.layers, memories, strict=True):
            assert isinstance(layer, parts.Recurrent)
            states, after = layer.step(states, own)
            states = self.dropout(states)
            left.append(after)
        return states, [code, *left]
