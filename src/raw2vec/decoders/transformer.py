"""The transformer decoders: all rows at once, each looking at all others; or row by row, at those before it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from raw2vec.decoders.base import Decoder, Kept, Words, Writer
from raw2vec.layers import (
    Dropout,
    Layout,
    Memory,
    NormOrder,
    Past,
    Rotary,
    Rotation,
    Spread,
    WriterBlock,
    added_positions,
    begin,
    entry_norm,
    final_norm,
    soften,
    stack_norm,
    transformer_blocks,
    writer_blocks,
)
from raw2vec.ragged import Ragged


class Transformer(Decoder):
    """Codes (B, latent) spread over the grid, then `layers` blocks in pre-norm order: (N, width). Not autoregressive.

    Settings are those of the encoder of this name. Positions are rotary within the blocks; where each row stands in
    the whole it knows from its beginning. places: rows of every grid, 0 where they differ (see Spread).
    """

    def __init__(
        self,
        latent: int,
        width: int = 256,
        layers: int = 4,
        heads: int = 4,
        feed_forward: int = 0,
        activation: str = "geglu",
        normalization: str = "layer",
        dropout: float = 0.0,
        places: int = 0,
        dimensions: int = 1,
    ):
        super().__init__(latent, width)
        self.spread = Spread(latent, width, places, dimensions)
        self.normalization, self.dropout = stack_norm(normalization, width, "pre"), Dropout(dropout)
        blocks = transformer_blocks(width, heads, [0] * layers, feed_forward, activation, normalization, "pre", dropout)
        self.layers = nn.ModuleList(blocks)
        self.rotary = Rotary(width // heads)
        self.final = stack_norm(normalization, width, "pre")
        begin(self)
        soften([linear for block in blocks for linear in block.leaving])

    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """BadInput when a grid has not `places` rows."""
        x = self.spread(codes, shapes)
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = x.replace(self.dropout(self.normalization(x.values.to(codes.dtype))))
        layout, rotation = Layout(x), self.rotary(x)
        for layer in self.layers:
            x = x.replace(layer(x.values, layout, rotation))
        return x.replace(self.final(x.values))


class TransformerWriter(Writer):
    """Row by row, each from the rows before it and from a memory by cross-attention (Vaswani et al. 2017).

    The memory is the encoder's states; or, where the code is all that it is told, `unfold` rows that one linear map
    makes of the code, (B, latent) to (B, unfold, width): heads can look at parts of it. The other settings are those of
    the encoder of this name. words: "own", or "tied", the embedding's table tells them.
    """

    bridges = ("cross-attention", "fixed")

    def __init__(
        self,
        latent: int,
        inputs: int,
        width: int = 256,
        layers: int = 4,
        heads: int = 4,
        feed_forward: int = 0,
        activation: str = "geglu",
        normalization: str = "layer",
        norm_order: NormOrder = "pre",
        positions: Literal["rotary", "learned", "sinusoidal", "none"] = "rotary",
        limit: int = 512,
        unfold: int = 8,
        dropout: float = 0.0,
        words: Words = "own",
        memory: int = 0,
    ):
        super().__init__(latent, inputs, width, memory)
        self.project = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.unfold = nn.Linear(latent, unfold * width) if not memory else None
        self.positions = added_positions(positions, limit, width)
        self.rotary = Rotary(width // heads) if positions == "rotary" else None
        self.normalization, self.dropout = entry_norm(normalization, width, norm_order), Dropout(dropout)
        blocks = writer_blocks(
            width, memory or width, heads, layers, feed_forward, activation, normalization, norm_order, dropout
        )
        self.layers = nn.ModuleList(blocks)
        self.final = final_norm(normalization, width, norm_order)
        self.words = words
        begin(self)
        soften([linear for block in blocks for linear in block.leaving])

    def forward(self, codes: Tensor, before: Ragged, memory: Memory | None = None) -> Ragged:
        memory = self._memory(codes, memory)
        x, rotation = self._entered(before)
        layout = Layout(x)
        for layer in self.layers:
            x = layer(x, layout, rotation, memory)
        return x.replace(self.final(x.values))

    def looks(self, codes: Tensor, before: Ragged, memory: Memory) -> Tensor:
        """The mean over the layers and their heads."""
        assert self.unfold is None, "this decoder looks at no states"
        x, rotation = self._entered(before)
        layout, total = Layout(x), memory.rows.new_zeros(len(x.values), memory.rows.shape[1])
        for block in self._blocks():
            total = total + block.looks(x, layout, rotation, memory) / len(self.layers)
            x = block(x, layout, rotation, memory)
        return total

    def begin(self, codes: Tensor, memory: Memory | None = None) -> Kept:
        memory = self._memory(codes, memory)
        cross = [block.cross.keep(memory) for block in self._blocks()]
        return Kept([memory.inside.clone(), *cross], [], Past.none(cross[0], len(cross)))

    def step(self, kept: Kept, before: Tensor, place: int) -> tuple[Tensor, Kept]:
        assert kept.past is not None, "what `begin` gave"
        (inside, *cross), past = kept.items, kept.past.longer()
        # All stand at one place: what tells it is worked out once.
        here = Ragged.row(before.new_zeros(1, self.width), place)
        shown = self.project(before).to(before.dtype) + self.positions(here).values
        x, rotation = self.normalization(shown), None if self.rotary is None else self.rotary(here)
        for number, (block, seen) in enumerate(zip(self._blocks(), cross, strict=True)):
            x = block.step(x, rotation, past.layer(number), past.own, seen, inside)
        return self.final(x), Kept(kept.items, [], past)

    def _memory(self, codes: Tensor, memory: Memory | None) -> Memory:
        if self.unfold is None:
            assert memory is not None, "this decoder looks at the encoder's states"
            return memory
        rows = self.unfold(codes).unflatten(1, (-1, self.width))
        return Memory(rows, rows.new_ones(rows.shape[:2]).bool())

    def _entered(self, before: Ragged) -> tuple[Ragged, Rotation | None]:
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = self.positions(before.replace(self.project(before.values).to(before.values.dtype)))
        x = x.replace(self.dropout(self.normalization(x.values)))
        return x, None if self.rotary is None else self.rotary(x)

    def _blocks(self) -> list[WriterBlock]:
        return [block for block in self.layers if isinstance(block, WriterBlock)]
