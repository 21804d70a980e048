"""Where every decoder begins: one vector an item becomes rows over a grid."""

import math

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged

_WAVES = 20  # an axis; half an octave apart from half a wave over the whole grid on, they tell 500 rows apart


class Spread(nn.Module):
    """Codes (B, latent) to Ragged rows (N, width) over grids (B, k).

    places: the rows of every grid where their number is always the same: then each is a linear map of its own of the
    code. 0: grids of any shape with `dimensions` axes; a row is one linear map of the code plus one of sines and
    cosines of its place, measured in shares of the grid, so whatever follows must let the two meet.
    """

    def __init__(self, latent: int, width: int, places: int, dimensions: int = 1):
        super().__init__()
        self.width, self.places = width, places
        self.code = nn.Linear(latent, max(places, 1) * width)
        self.place = None if places else nn.Linear(2 * _WAVES * dimensions, width, bias=False)

    def forward(self, codes: Tensor, shapes: Tensor) -> Ragged:
        """BadInput when a grid has not `places` rows."""
        grids = Ragged.bare(shapes, codes.device)
        entered = self.code(codes)
        if self.place is not None:
            waves = self.place(_waves(grids).to(entered.dtype))
            return grids.replace(grids.spread(entered) + waves)
        _refuse_others(grids, self.places)
        return grids.replace(entered.view(-1, self.width))


def one_row(codes: Tensor, shapes: Tensor) -> Ragged:
    """Codes (B, D) as the one row of every grid; BadInput where a grid has more."""
    grids = Ragged.bare(shapes, codes.device)
    _refuse_others(grids, 1)
    return grids.replace(codes)


def _refuse_others(grids: Ragged, places: int) -> None:
    strange = (grids.lengths != places).nonzero().flatten().tolist()
    if strange:
        raise BadInput(
            f"This decoder knows grids of {places} rows, but that of item {strange[0]} of the batch has "
            f"{int(grids.lengths[strange[0]])}: ask for the size that it has learned."
        )


def _waves(grids: Ragged) -> Tensor:
    """Sines and cosines of each row's place along each axis, (N, 2 · _WAVES · k)."""
    sizes = grids.spread(grids.shapes.to(grids.values.device))
    shares = (grids.coordinates + 0.5) / sizes
    frequencies = math.pi * 2 ** (torch.arange(_WAVES, device=shares.device) / 2)
    angles = (shares[:, :, None] * frequencies).flatten(1)
    return torch.cat((angles.sin(), angles.cos()), dim=1)
