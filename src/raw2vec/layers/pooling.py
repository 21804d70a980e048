"""Pooling: the rows of an item made one, by a fixed rule or by a learned one; what every latent begins with."""

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput, nearest
from raw2vec.layers.activations import activation
from raw2vec.layers.base import wide
from raw2vec.layers.cross_attention import CrossAttention, Memory
from raw2vec.layers.feed_forward import FeedForward
from raw2vec.layers.initialization import begin
from raw2vec.ragged import Ragged

PoolingName: TypeAlias = Literal["mean", "first", "last", "max", "attention", "probe", "all"]
POOLINGS: tuple[PoolingName, ...] = get_args(PoolingName)


class Pooling(nn.Module):
    """Ragged (N, inputs) to (B, width), float32 or wider. An item of no rows gives zeros, never NaN.

    pooling: the mean, first, last or largest (feature by feature) of the rows; their mean weighted by a learned query's
    "attention"; what a "probe" finds among them (see Probe); or "all" of them side by side, which needs items of one
    size, `places` rows each, and keeps where everything stood. heads and feed_forward are the probe's. `width` is then
    inputs * places, else inputs. BadInput for a name that is not in POOLINGS, for "all" without `places`, and for an
    item of "all" that has another number of rows.
    """

    def __init__(
        self, inputs: int, pooling: PoolingName = "mean", places: int = 0, heads: int = 0, feed_forward: int = 0
    ):
        super().__init__()
        if pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise BadInput(f"There is no pooling '{pooling}'; known are {known}.{nearest(pooling, POOLINGS)}")
        if pooling == "all" and places < 1:
            raise BadInput(f"Pooling 'all' takes items of one size, but these differ: choose {_others()}.")
        self.inputs, self.pooling, self.places = inputs, pooling, places
        self.width = inputs * places if pooling == "all" else inputs
        if pooling == "attention":
            self.query = nn.Parameter(torch.zeros(inputs))
        if pooling == "probe":
            self.probe = Probe(inputs, heads, feed_forward)

    def forward(self, states: Ragged) -> Tensor:
        states = states.replace(wide(states.values))
        if not len(states.values):
            return states.values.new_zeros(len(states), self.width)
        if self.pooling == "mean":
            return states.mean()
        if self.pooling == "max":
            return states.max()
        if self.pooling == "attention":
            return self._attend(states)
        if self.pooling == "probe":
            return self._probed(states)
        if self.pooling == "all":
            return self._side_by_side(states)
        return _at(states, states.offsets[:-1] if self.pooling == "first" else states.offsets[1:] - 1)

    def _attend(self, states: Ragged) -> Tensor:
        """Softmax within each item of query · row / √D. The query starts at zero: as the mean."""
        scores = states.values @ wide(self.query) * self.inputs**-0.5
        largest = scores.detach().new_full((len(states),), float("-inf"))
        largest = largest.scatter_reduce(0, states.owners, scores.detach(), "amax")
        weights = states.replace((scores - states.spread(largest)).exp()[:, None])
        total = weights.sum().clamp(min=torch.finfo(scores.dtype).tiny)
        return states.replace(states.values * weights.values).sum() / total

    def _probed(self, states: Ragged) -> Tensor:
        found: Tensor = self.probe(states.replace(states.values.to(self.probe.row.dtype)))
        return wide(found.masked_fill((states.lengths == 0).to(found.device)[:, None], 0.0))

    def _side_by_side(self, states: Ragged) -> Tensor:
        full = states.lengths == self.places
        odd = (~full & (states.lengths > 0)).nonzero()
        if len(odd):
            place = int(odd[0])
            raise BadInput(
                f"Item {place} of the batch has {int(states.lengths[place])} rows where pooling 'all' was made for "
                f"{self.places}: bring it to the size of the others, or choose {_others()}."
            )
        rows = full.nonzero().squeeze(1).to(states.values.device)
        side_by_side = states.values.reshape(len(rows), self.width)
        return side_by_side.new_zeros(len(states), self.width).index_copy(0, rows, side_by_side)


class Probe(nn.Module):
    """A learned row that looks at all rows of an item by several heads, and thinks about what it finds: (B, inputs).

    Multi-head attention pooling (Lee et al. 2019; Zhai et al. 2022), as SigLIP ends in it: found + mlp(norm(found)).
    heads: 0 is one for each 64 features. feed_forward: hidden features; 0: four times as many.
    """

    def __init__(self, inputs: int, heads: int = 0, feed_forward: int = 0):
        super().__init__()
        self.row = nn.Parameter(torch.randn(inputs) * inputs**-0.5)
        self.attention = CrossAttention(inputs, inputs, heads or max(inputs // 64, 1))
        self.normalization = nn.LayerNorm(inputs, eps=1e-6)
        self.feed_forward = FeedForward(inputs, feed_forward or 4 * inputs, activation("gelu_tanh"))
        begin(self)

    def forward(self, states: Ragged) -> Tensor:
        ones = torch.ones(len(states), 1, dtype=torch.long)
        found = self.attention(Ragged(self.row.expand(len(states), -1), ones), Memory.of(states))
        thought: Tensor = found + self.feed_forward(self.normalization(found))
        return thought


def _at(states: Ragged, rows: Tensor) -> Tensor:
    """The row of each item that `rows` (B,) names, (B, D); zeros for items that have none."""
    empty = (states.lengths == 0).to(states.values.device)[:, None]
    rows = rows.clamp(0, len(states.values) - 1).to(states.values.device)
    return states.values.index_select(0, rows).masked_fill(empty, 0.0)


def _others() -> str:
    return "another pooling: " + ", ".join(name for name in POOLINGS if name != "all")
