"""The convolutional encoder: each row sees a neighbourhood that grows from layer to layer."""

from collections.abc import Iterator

from torch import Tensor, nn

from raw2vec.encoders.base import Encoder
from raw2vec.layers import Halve, begin, convolution_blocks, halving, soften, trace
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged


class Convolutional(Encoder):
    """Residual blocks (N, inputs) to (N', width), each with its `kernel` taps `dilation` times as far apart as before.

    dimensions: 1 for sequences (depthwise blocks), 2 for pictures and spectrograms (full ones, kernel by kernel taps).
    kernel 0 and dilation 0: 5 and 2 along sequences, where with 4 layers a row sees 30 rows to either side; 3 and 1 on
    planes. halvings: how many times the grid is halved on the way, rounded up, at layers spread evenly; there
    dilation begins anew. Where `inputs` is not `width`, a linear map stands at the entry. outputs: where above 0, one
    more at the exit, to states of so many numbers: a maximum over many tells more, while the blocks stay narrow.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 256,
        layers: int = 4,
        kernel: int = 0,
        dilation: int = 0,
        halvings: int = 0,
        activation: str = "gelu",
        normalization: str = "layer",
        dropout: float = 0.0,
        dimensions: int = 1,
        outputs: int = 0,
    ):
        super().__init__(inputs, outputs or width)
        self.halves = halving(layers, halvings)
        self.project = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        blocks = convolution_blocks(
            width, self.halves, kernel, dilation, activation, normalization, dropout, dimensions
        )
        self.layers = nn.ModuleList(blocks)
        self.halvings = nn.ModuleList(Halve(width, dimensions) if halve else nn.Identity() for halve in self.halves)
        self.normalization = normalization_called(normalization, width)
        self.leave = nn.Linear(width, outputs) if outputs else nn.Identity()
        begin(self)
        soften([block.leave for block in blocks])

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = x.replace(self.project(x.values).to(x.values.dtype))
        for halve, layer in zip(self.halvings, self.layers, strict=True):
            yield x
            x = layer(halve(x))
        yield x.replace(self.leave(self.normalization(x.values)).to(x.values.dtype))

    def grids(self, shapes: Tensor) -> list[Tensor]:
        """The items' own, and from each halving on one half as fine."""
        return trace(shapes, self.halves)
