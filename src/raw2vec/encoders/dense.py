"""The dense encoder: a bag of the item's rows through a multilayer perceptron. The fastest, and hard to beat."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from raw2vec.encoders.base import Encoder
from raw2vec.errors import BadInput
from raw2vec.layers import Dropout, begin
from raw2vec.layers import activation as activation_called
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged

_PLACES = 64
_HASTE = 10.0  # how much faster the few weights of places learn than the many numbers of the table


class Dense(Encoder):
    """The mean of the rows through `layers` linear maps, the activation between them: one row an item, (B, width).

    A normalisation follows each activation. end: after the last map there is neither ("linear"), or both
    ("activation"). Without layers it is the bag itself, as sentence-transformers' StaticEmbedding; with layers, that
    followed by its Dense modules. positions: "none" sees no order of rows, "learned" weighs each by its place in the
    item: the head of a function says more of it than its end.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 256,
        layers: int = 1,
        activation: str = "gelu",
        normalization: str = "none",
        positions: Literal["none", "learned"] = "none",
        end: Literal["linear", "activation"] = "linear",
        dropout: float = 0.0,
    ):
        super().__init__(inputs, width)
        if not layers and inputs != width:
            raise BadInput(
                f"Without layers a bag of {inputs} features stays {inputs} wide; give it a layer for {width}."
            )
        self.places = nn.Parameter(torch.zeros(_PLACES)) if positions == "learned" else None
        self.layers = nn.ModuleList()
        for layer in range(layers):
            linear = nn.Linear(width if layer else inputs, width)
            last = layer == layers - 1 and end == "linear"
            after = [activation_called(activation), normalization_called(normalization, width), Dropout(dropout)]
            self.layers.append(nn.Sequential(linear, *([] if last else after)))
        begin(self)

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        yield x
        weights = self.weights(x)
        bag = (x if weights is None else x.replace(x.values * weights[:, None])).mean()
        yield from self.layers_of_bag(bag)

    def layers_of_bag(self, bag: Tensor) -> Iterator[Ragged]:
        """The same from the means (B, inputs) on, for whoever can take them without a row a token."""
        states = Ragged(bag, torch.ones(len(bag), 1, dtype=torch.long))
        yield states
        for layer in self.layers:
            states = states.replace(layer(states.values))
            yield states

    def grids(self, shapes: Tensor) -> list[Tensor]:
        """The items' own, and from the bag on one row an item."""
        return [shapes] + [torch.ones(len(shapes), 1, dtype=torch.long)] * (len(self.layers) + 1)

    def weights(self, x: Ragged) -> Tensor | None:
        """The weight of each row's place (N,); None: all count alike."""
        return None if self.places is None else self.weights_at(x.places)

    def weights_at(self, places: Tensor) -> Tensor:
        """The weights of places (N,): 32 have one of their own, from there on every 16 share one."""
        assert self.places is not None, "learned positions"
        place = torch.where(places < 32, places, 30 + places // 16).clamp(max=_PLACES - 1)
        return (_HASTE * self.places)[place].exp()
