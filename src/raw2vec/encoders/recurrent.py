"""The recurrent encoder: items are read row by row, by LSTMs or GRUs, in one direction, the other or both."""

from collections.abc import Iterator
from typing import Literal

from torch import nn

from raw2vec import layers as parts
from raw2vec.encoders.base import Encoder
from raw2vec.ragged import Ragged


class Recurrent(Encoder):
    """`layers` recurrences, each over the states of the one before: (N, inputs) to (N, width).

    With two directions the features are shared half and half; a row then knows what stands on either side of it.
    Pooled as "last", the half that reads backwards has seen one row only: there "mean" or "max" are wiser. With -1
    items are read from their end; what has seen all of one is then its "first" state.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 256,
        layers: int = 1,
        cell: Literal["lstm", "gru"] = "lstm",
        directions: Literal[1, 2, -1] = 2,
        dropout: float = 0.0,
    ):
        super().__init__(inputs, width)
        self.layers = nn.ModuleList(
            parts.Recurrent(width if layer else inputs, width, cell, directions) for layer in range(layers)
        )
        self.dropout = parts.Dropout(dropout)

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        yield x
        for layer in self.layers:
            x = layer(x)
            x = x.replace(self.dropout(x.values))
            yield x
