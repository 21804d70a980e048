"""The convolutional encoder: each row sees a neighbourhood that grows from layer to layer."""

from collections.abc import Iterator

from torch import nn

from raw2vec.encoders.base import Encoder, begin, soften
from raw2vec.layers import ConvolutionBlock
from raw2vec.layers import activation as activation_called
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged


class Convolutional(Encoder):
    """Residual blocks (N, inputs) to (N, width), layer l with its `kernel` taps dilation**l rows apart.

    With kernel 5, dilation 2 and 4 layers a row sees 30 rows to either side. Where `inputs` is not `width`, a linear
    map stands at the entry.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 256,
        layers: int = 4,
        kernel: int = 5,
        dilation: int = 2,
        activation: str = "gelu",
        normalization: str = "layer",
        dropout: float = 0.0,
    ):
        super().__init__(inputs, width)
        self.project = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        blocks = [
            ConvolutionBlock(
                width,
                kernel,
                dilation**layer,
                activation_called(activation),
                normalization_called(normalization, width),
                dropout,
            )
            for layer in range(layers)
        ]
        self.layers = nn.ModuleList(blocks)
        self.normalization = normalization_called(normalization, width)
        begin(self)
        soften([block.leave for block in blocks])

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = x.replace(self.project(x.values).to(x.values.dtype))
        for layer in self.layers:
            yield x
            x = layer(x)
        yield x.replace(self.normalization(x.values))
