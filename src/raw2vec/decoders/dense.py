"""The dense decoder: a multilayer perceptron on the code, parted among the rows."""

from torch import Tensor, nn

from raw2vec.decoders.base import Decoder
from raw2vec.layers import Dropout, Spread, begin
from raw2vec.layers import activation as activation_called
from raw2vec.layers import normalization as normalization_called
from raw2vec.layers.spread import one_row
from raw2vec.ragged import Ragged

_NARROW = 16  # the fewest features of a row at which it still has much to say


class Dense(Decoder):
    """Codes (B, latent) through `layers` linear maps, an activation and a normalisation after each, to (N, width).

    That is the state of items of one row (without layers a linear map of the code). With more rows each has its part of
    one more layer, a quarter as wide, and one linear map for all rows widens it. places: rows of every grid, 0 where
    they differ (see Spread).
    """

    def __init__(
        self,
        latent: int,
        width: int = 256,
        layers: int = 1,
        activation: str = "gelu",
        normalization: str = "none",
        dropout: float = 0.0,
        places: int = 0,
        dimensions: int = 1,
    ):
        super().__init__(latent, width)
        self.layers = nn.ModuleList()
        for layer in range(layers):
            after = [activation_called(activation), normalization_called(normalization, width), Dropout(dropout)]
            self.layers.append(nn.Sequential(nn.Linear(width if layer else latent, width), *after))
        self.single = places == 1 and layers > 0
        if not self.single:
            # Every row's own weights at the full width would make a decoder of pictures all but unaffordable.
            narrow = width if places == 1 else min(width, max(_NARROW, width // 4))
            self.spread = Spread(width if layers else latent, narrow, places, dimensions)
            widen = nn.Sequential(activation_called(activation), nn.Linear(narrow, width))
            self.widen = nn.Identity() if places == 1 else widen
        begin(self)

    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """BadInput when a grid has not `places` rows."""
        thought = codes
        for layer in self.layers:
            thought = layer(thought)
        if self.single:
            return one_row(thought, shapes)
        rows = self.spread(thought, shapes)
        return rows.replace(self.widen(rows.values))
