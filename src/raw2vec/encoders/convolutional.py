"""The convolutional encoder: each row sees a neighbourhood that grows from layer to layer."""

from collections.abc import Iterator

from torch import Tensor, nn

from raw2vec.encoders.base import Encoder
from raw2vec.layers import Halve, PlaneBlockName, begin, convolution_blocks, halving, soften, trace, widths
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged


class Convolutional(Encoder):
    """Residual blocks (N, inputs) to (N', width), each with its `kernel` taps `dilation` times as far apart as before.

    dimensions: 1 for sequences (depthwise blocks), 2 for pictures and spectrograms (full ones, kernel by kernel taps).
    kernel 0 and dilation 0: 5 and 2 along sequences, where with 4 layers a row sees 30 rows to either side; 3 and 1 on
    planes. halvings: how many times the grid is halved on the way, rounded up, at layers spread evenly; there
    dilation begins anew, and rows become `growth` times as wide (ResNet's 2: every block takes about as long). block:
    on planes "residual" (PlaneBlock) or "convnext" (ConvNeXtBlock, of 7 by 7 taps unless kernel says otherwise).
    Where `inputs` is not `width`, a linear map stands at the entry. outputs: where above 0, one more at the exit, to
    states of so many numbers: a maximum over many tells more, while the blocks stay narrow.
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
        growth: int = 1,
        block: PlaneBlockName = "residual",
    ):
        halves = halving(layers, halvings)
        each = widths(width, halves, growth)
        last = each[-1] if each else width
        super().__init__(inputs, outputs or last)
        self.halves = halves
        self.project = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        blocks = convolution_blocks(
            width, self.halves, kernel, dilation, activation, normalization, dropout, dimensions, growth, block
        )
        self.layers = nn.ModuleList(blocks)
        self.halvings = nn.ModuleList(
            Halve(wide // growth, dimensions, wide) if halve else nn.Identity()
            for halve, wide in zip(self.halves, each, strict=True)
        )
        self.normalization = normalization_called(normalization, last)
        self.leave = nn.Linear(last, outputs) if outputs else nn.Identity()
        begin(self)
        soften([layer.leave for layer in blocks])

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
