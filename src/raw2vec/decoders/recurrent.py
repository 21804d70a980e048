"""The recurrent decoder: rows are told one after another, in raster order, each from the memory of those before."""

from typing import Literal

from torch import Tensor, nn

from raw2vec import layers as parts
from raw2vec.decoders.base import Decoder
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged


class Recurrent(Decoder):
    """Codes (B, latent) to (N, width) by `layers` LSTMs or GRUs whose memory begins as a map of the code.

    At each step a row takes its part of the code spread over the grid. before: the width of the row before, embedded,
    that it is shown as well (teacher forcing, Williams & Zipser 1989); 0: none, all rows are told from the code alone.
    places: rows of every grid, 0 where they differ (see Spread).
    """

    def __init__(
        self,
        latent: int,
        width: int = 256,
        layers: int = 1,
        cell: Literal["lstm", "gru"] = "lstm",
        dropout: float = 0.0,
        before: int = 0,
        places: int = 0,
        dimensions: int = 1,
    ):
        super().__init__(latent, width)
        self.autoregressive = before > 0
        self.spread = parts.Spread(latent, width, places, dimensions)
        self.shown: nn.Linear | None = nn.Linear(before, width, bias=False) if before else None
        recurrences = [parts.Recurrent(width, width, cell, directions=1) for _ in range(layers)]
        self.layers = nn.ModuleList(recurrences)
        self.memories = nn.ModuleList(nn.Linear(latent, layer.memory) for layer in recurrences)
        self.dropout = nn.Dropout(dropout)
        parts.begin(self)

    def forward(self, codes: Tensor, shapes: Tensor, before: Ragged | None = None) -> Ragged:
        """BadInput when a grid has not `places` rows, or when the rows before are missing that it was made to see."""
        x = self.spread(codes, shapes)
        x = x.replace(self._entering(x.values, None if before is None else before.values).to(codes.dtype))
        for layer, memory in zip(self.layers, self.memory(codes), strict=True):
            x = layer(x, memory)
            x = x.replace(self.dropout(x.values))
        return x

    def memory(self, codes: Tensor) -> list[Tensor]:
        """What each layer begins with, (B, memory)."""
        return [memory(codes).tanh() for memory in self.memories]

    def step(self, rows: Tensor, memory: list[Tensor], before: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """One row an item, for generating: the states (B, width), and the memory to go on with.

        rows (B, width): the next row of each item as `spread` gives it; before (B, D): the row that was told last.
        """
        states, left = self._entering(rows, before), []
        for layer, own in zip(self.layers, memory, strict=True):
            assert isinstance(layer, parts.Recurrent)
            states, after = layer.step(states, own)
            states = self.dropout(states)
            left.append(after)
        return states, left

    def _entering(self, rows: Tensor, before: Tensor | None) -> Tensor:
        if self.shown is None:
            return rows
        if before is None:
            raise BadInput("This decoder tells each row from the row before it: give it those, or go step by step.")
        entering: Tensor = rows + self.shown(before)
        return entering
