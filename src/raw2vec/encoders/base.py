"""What every encoder is: vectors in, states out, layer by layer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import final

import torch
from torch import nn

from raw2vec.ragged import Ragged


class Encoder(nn.Module, ABC):
    """Ragged (N, inputs) to Ragged states (N', width).

    A concrete encoder tells its `layers_of` an item; `states` keeps them all (hierarchical features), a call keeps
    only the last, so that encoding holds two layers in memory and not all.
    """

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.inputs = inputs
        self.width = width

    @abstractmethod
    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        """The states one layer after another: first what the first layer takes, last the encoder's own answer."""

    @final
    def states(self, x: Ragged) -> list[Ragged]:
        """Every layer's states, the first layer's input first."""
        return list(self.layers_of(x))

    @final  # type: ignore[misc]
    def forward(self, x: Ragged) -> Ragged:
        """The last layer's states."""
        last = x
        for states in self.layers_of(x):
            last = states
        return last


def begin(module: nn.Module) -> None:
    """Linear maps start by LeCun's rule (1998), which keeps the scale of what they are given, and without biases."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            nn.init.trunc_normal_(inner.weight, std=inner.in_features**-0.5, a=-1.0, b=1.0)
            if inner.bias is not None:
                nn.init.zeros_(inner.bias)


def soften(leaving: list[nn.Linear]) -> None:
    """What many residual layers add up shall have the scale of one: each is scaled by 1/√count (GPT-2)."""
    with torch.no_grad():
        for linear in leaving:
            linear.weight.mul_(len(leaving) ** -0.5)
