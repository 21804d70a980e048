"""Where a row stands within its item: turned into queries and keys (rotary), or added (learned, sinusoidal).

On a grid of two axes a row stands in two places at once: rotary and sinusoidal positions give each axis its share of
the pairs of features (axial, as in Heo et al. 2024), learned ones count rows in raster order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged

_BUCKETS, _FARTHEST = 32, 128  # of distances, as T5 and MPNet have them


@dataclass(frozen=True)
class Rotation:
    """The turn of each of N rows: `cos` and `sin`, (N, W), `sin` negated in its first half."""

    cos: Tensor
    sin: Tensor

    def __call__(self, heads: Tensor) -> Tensor:
        """Queries or keys (N, …, W), turned. Feature i is paired with i + W/2, as Hugging Face's models have it."""
        between = (slice(None), *(None,) * (heads.dim() - 2))
        # One roll and two passes over whole rows: on a CPU a third faster than turning the halves apart.
        cos, sin = self.cos.to(heads.dtype)[between], self.sin.to(heads.dtype)[between]
        return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021) for heads of `width` features; pair i turns by place · base^(-2i/width).

    On grids of two axes the first half of the pairs turns by the row's place along the first, the others by the second.
    It holds no weights: angles are worked out in float32 at each call, so that a model cast to bfloat16 keeps them.
    """

    def __init__(self, width: int, base: float = 10_000.0):
        super().__init__()
        if width % 2:
            raise BadInput(f"Rotary positions turn features in pairs, and a head of {width} features leaves one over.")
        self.width, self.base = width, base

    def forward(self, x: Ragged) -> Rotation:
        """The rotation of each row of `x`."""
        angles = _angles(x, self.width // 2, self.base)
        cos, sin = angles.cos(), angles.sin()
        return Rotation(torch.cat((cos, cos), dim=1), torch.cat((-sin, sin), dim=1))


class Learned(nn.Module):
    """One learned vector a place in raster order, added to the row there. Places at `limit` and beyond have none."""

    def __init__(self, limit: int, width: int):
        super().__init__()
        self.limit = limit
        self.table = nn.Embedding(limit, width)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, x: Ragged) -> Ragged:
        """(N, D) to (N, D). BadInput when an item is longer than the limit."""
        last = int(x.places.max()) if len(x.values) else -1
        if last >= self.limit:
            raise BadInput(
                f"Item {int(x.owners[x.places.argmax()])} of the batch has {last + 1} rows, but there are learned "
                f"positions for {self.limit} only: truncate or chunk it, or train with rotary positions."
            )
        return x.replace(x.values + self.table(x.places))


class Sinusoidal(nn.Module):
    """Sines and cosines of each place, added to the row there (Vaswani et al. 2017, section 3.5).

    Their scale is learned (Li et al. 2019) and starts where their root mean square is 0.02, that of new embeddings:
    at full height they would drown the words.
    """

    def __init__(self, width: int):
        super().__init__()
        if width % 2:
            raise BadInput(f"Sinusoidal positions come as sines and cosines, so the width must be even, not {width}.")
        self.width = width
        self.scale = nn.Parameter(torch.tensor(0.02 * 2**0.5))

    def forward(self, x: Ragged) -> Ragged:
        """(N, D) to (N, D), for items of any length."""
        angles = _angles(x, self.width // 2, 10_000.0)
        waves = torch.cat((angles.sin(), angles.cos()), dim=1).to(self.scale.dtype)
        return x.replace(x.values + self.scale * waves)


class Relative(nn.Module):
    """A learned number for each head and distance, added to how much a row looks at another (Raffel et al. 2020).

    Distances share 32 buckets, half for each side: near ones have one each, farther ones one for each share of a
    logarithm, from 128 rows on the last one. One table serves every layer.
    """

    def __init__(self, heads: int):
        super().__init__()
        self.table = nn.Embedding(_BUCKETS, heads)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, length: int) -> Tensor:
        """(heads, length, length): what each row adds to its look at each other one."""
        places = torch.arange(length, device=self.table.weight.device)
        ahead = places[None] - places[:, None]
        side, near = _BUCKETS // 2, _BUCKETS // 4
        far = (ahead.abs().float().clamp(min=1) / near).log() / math.log(_FARTHEST / near) * (side - near)
        bucket = torch.where(ahead.abs() < near, ahead.abs(), (near + far.long()).clamp(max=side - 1))
        return self.table(bucket + side * (ahead > 0)).permute(2, 0, 1)


def added_positions(positions: str, limit: int, width: int) -> nn.Module:
    """Positions that are added to the rows; rotary and relative ones come in at each attention instead."""
    if positions in ("learned", "learned-relative"):
        return Learned(limit, width)
    if positions == "sinusoidal":
        return Sinusoidal(width)
    if positions in ("rotary", "none"):
        return nn.Identity()
    raise BadInput(f"Positions are rotary, learned, learned-relative, sinusoidal or none, not '{positions}'.")


def _angles(x: Ragged, pairs: int, base: float) -> Tensor:
    """How far each pair of features turns at each row, (N, pairs): the axes of the grid share the pairs evenly."""
    axes = x.coordinates.float().unbind(1)
    if pairs < len(axes):
        raise BadInput(
            f"{2 * pairs} features are too few for positions along {len(axes)} axes: each takes a pair. Be wider."
        )
    shares = torch.arange(pairs, dtype=torch.float32, device=x.values.device).tensor_split(len(axes))
    turns = [(share - share[0]) / len(share) for share in shares]
    return torch.cat([axis[:, None] / base**turn for axis, turn in zip(axes, turns, strict=True)], dim=1)
