"""The convolutional decoders: from a coarse grid to finer ones; or row by row, each from the few before it."""

import torch
from torch import Tensor, nn

from raw2vec.decoders.base import Decoder, Kept, Words, Writer
from raw2vec.errors import BadInput
from raw2vec.layers import (
    Attention,
    ConvolutionBlock,
    Double,
    Memory,
    ScoreName,
    Spread,
    begin,
    convolution_blocks,
    halving,
    rectangle,
    rows_of,
    soften,
    trace,
)
from raw2vec.layers import activation as activation_called
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


class ConvolutionalWriter(Writer):
    """Row by row through residual blocks, each of which sees `kernel` rows, its own the last (ConvS2S, Gehring 2017).

    Their taps stand `dilation` times as far apart from block to block. The code comes in at each row. With a memory
    every block is followed by a look at the encoder's states (multi-step attention); see layers.Attention for score and
    coverage. words: "own", or "tied", the embedding's table tells them.
    """

    def __init__(
        self,
        latent: int,
        inputs: int,
        width: int = 256,
        layers: int = 4,
        kernel: int = 3,
        dilation: int = 2,
        activation: str = "gelu",
        normalization: str = "layer",
        dropout: float = 0.0,
        words: Words = "own",
        memory: int = 0,
        score: ScoreName = "multiplicative",
        coverage: bool = False,
    ):
        super().__init__(latent, inputs, width, memory)
        self.code, self.shown = nn.Linear(latent, width), nn.Linear(inputs, width, bias=False)
        blocks = [
            ConvolutionBlock(
                width,
                kernel,
                dilation**layer,
                activation_called(activation),
                normalization_called(normalization, width),
                dropout,
                causal=True,
            )
            for layer in range(layers)
        ]
        self.layers = nn.ModuleList(blocks)
        looks = [Attention(width, memory, score, coverage) for _ in range(layers if memory else 0)]
        self.attentions = nn.ModuleList(looks)
        self.normalization = normalization_called(normalization, width)
        self.words = words
        begin(self)
        soften([*(block.leave for block in blocks), *(look.leave for look in looks)])

    def forward(self, codes: Tensor, before: Ragged, memory: Memory | None = None) -> Ragged:
        x = self._entered(codes, before)
        for layer, look in zip(self.layers, self._looks(), strict=True):
            x = layer(x)
            if look is not None and memory is not None:
                x = x.replace(x.values + look(x, memory))
        return x.replace(self.normalization(x.values))

    def looks(self, codes: Tensor, before: Ragged, memory: Memory) -> Tensor:
        """The mean over the layers."""
        x = self._entered(codes, before)
        total = codes.new_zeros(len(x.values), memory.rows.shape[1])
        for layer, look in zip(self.layers, self._looks(), strict=True):
            assert look is not None, "this decoder has no attention"
            x = layer(x)
            weights, _ = look.weights(rectangle(x), memory, look.remember(memory.rows))
            total = total + rows_of(weights, x) / len(self.layers)
            x = x.replace(x.values + look(x, memory))
        return total

    def begin(self, codes: Tensor, memory: Memory | None = None) -> Kept:
        code = self.code(codes)
        rows = [code.new_zeros(len(code), block.filter.span, self.width) for block in self._blocks()]
        if memory is None:
            return Kept([code], rows)
        keys = [look.remember(memory.rows) for look in self._looks() if look is not None]
        covered = [memory.rows.new_zeros(memory.inside.shape) for _ in keys]
        return Kept([code, *(part.clone() for part in memory), *keys], [*rows, *covered])

    def step(self, kept: Kept, before: Tensor, place: int) -> tuple[Tensor, Kept]:
        code, *seen = kept.items
        x = (code[:, None] + self.shown(before).unflatten(0, (len(code), -1))).flatten(0, 1)
        count, left, covered = len(self.layers), [], []
        for number, (block, look) in enumerate(zip(self._blocks(), self._looks(), strict=True)):
            x, after = block.step(x, kept.drafts[number])
            left.append(after)
            if look is not None:
                memory = Memory(seen[0], seen[1])
                found, after = look.step(x, memory, seen[2 + number], kept.drafts[count + number])
                x = x + found
                covered.append(after)
        return self.normalization(x), Kept(kept.items, [*left, *covered])

    def _entered(self, codes: Tensor, before: Ragged) -> Ragged:
        return before.replace((before.spread(self.code(codes)) + self.shown(before.values)).to(codes.dtype))

    def _blocks(self) -> list[ConvolutionBlock]:
        return [block for block in self.layers if isinstance(block, ConvolutionBlock)]

    def _looks(self) -> list[Attention | None]:
        found = [look for look in self.attentions if isinstance(look, Attention)]
        return [*found] or [None] * len(self.layers)
