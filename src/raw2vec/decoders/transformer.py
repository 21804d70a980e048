"""The transformer decoder: all rows at once begin from the code, and look at each other."""

from torch import Tensor, nn

from raw2vec.decoders.base import Decoder
from raw2vec.layers import Layout, Rotary, Spread, begin, soften, stack_norm, transformer_blocks
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
        self.normalization, self.dropout = stack_norm(normalization, width, "pre"), nn.Dropout(dropout)
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
