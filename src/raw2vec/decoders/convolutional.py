"""The convolutional decoder: from the code to a coarse grid, and finer from layer to layer."""

import torch
from torch import Tensor, nn

from raw2vec.decoders.base import Decoder
from raw2vec.errors import BadInput
from raw2vec.layers import Double, Spread, begin, convolution_blocks, halving, soften, trace
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged


class Convolutional(Decoder):
    """Codes (B, latent) to (N, width) by the way that the convolutional encoder of the same settings came, backwards.

    It begins on the coarsest grid of the encoder's trace; where the encoder halves a grid, this doubles it, to exactly
    the size that it had, odd or even. shape: the grid that every item has, or None where they differ (see Spread).
    """

    def __init__(
        self,
        latent: int,
        width: int = 256,
        layers: int = 4,
        kernel: int = 0,
        dilation: int = 0,
        halvings: int = 0,
        activation: str = "gelu",
        normalization: str = "layer",
        dropout: float = 0.0,
        shape: tuple[int, ...] | None = None,
        dimensions: int = 1,
    ):
        super().__init__(latent, width)
        if shape is not None and len(shape) != dimensions:
            raise BadInput(f"Grids of shape {shape} have {len(shape)} axes, not {dimensions}.")
        self.shape = shape
        self.halves = halving(layers, halvings)
        places = 0 if shape is None else int(trace(torch.tensor([shape]), self.halves)[-1].prod())
        self.spread = Spread(latent, width, places, dimensions)
        blocks = convolution_blocks(
            width, self.halves, kernel, dilation, activation, normalization, dropout, dimensions
        )[::-1]
        self.layers = nn.ModuleList(blocks)
        self.doublings = nn.ModuleList(
            Double(width, dimensions) if halve else nn.Identity() for halve in self.halves[::-1]
        )
        self.normalization = normalization_called(normalization, width)
        begin(self)
        soften([block.leave for block in blocks])

    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """BadInput when a grid has not the one shape that was promised."""
        if self.shape is not None and not bool((shapes == torch.tensor(self.shape)).all()):
            raise BadInput(
                f"This decoder knows grids of shape {self.shape} only: ask for the size that it has learned."
            )
        *finer, coarsest = trace(shapes, self.halves)
        x = self.spread(codes, coarsest)
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = x.replace(x.values.to(codes.dtype))
        for layer, double, grid in zip(self.layers, self.doublings, finer[::-1], strict=True):
            x = layer(x)
            if isinstance(double, Double):
                x = double(x, grid)
        return x.replace(self.normalization(x.values))
