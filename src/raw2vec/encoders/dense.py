"""The dense encoder: a bag of the item's rows through a multilayer perceptron. The fastest, and hard to beat."""

from collections.abc import Iterator

from torch import nn

from raw2vec.encoders.base import Encoder, begin
from raw2vec.errors import BadInput
from raw2vec.layers import activation as activation_called
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged


class Dense(Encoder):
    """The mean of the rows through `layers` linear maps, the activation between them: one row an item, (B, width).

    A normalisation follows each activation. The order of rows is not seen. Without layers it is the bag itself, as
    sentence-transformers' StaticEmbedding; with layers, that followed by its Dense modules.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 256,
        layers: int = 1,
        activation: str = "gelu",
        normalization: str = "none",
        dropout: float = 0.0,
    ):
        super().__init__(inputs, width)
        if not layers and inputs != width:
            raise BadInput(
                f"Without layers a bag of {inputs} features stays {inputs} wide; give it a layer for {width}."
            )
        self.layers = nn.ModuleList()
        for layer in range(layers):
            linear = nn.Linear(width if layer else inputs, width)
            last = layer == layers - 1
            after = [activation_called(activation), normalization_called(normalization, width), nn.Dropout(dropout)]
            self.layers.append(nn.Sequential(linear, *([] if last else after)))
        begin(self)

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        yield x
        bag = Ragged(x.mean(), x.shapes.new_ones(len(x), 1))
        yield bag
        for layer in self.layers:
            bag = bag.replace(layer(bag.values))
            yield bag
