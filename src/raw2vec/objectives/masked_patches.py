"""Masked autoencoding: hidden patches are told from the few that are seen (He et al. 2022; series: Ti-MAE, 2023)."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from raw2vec.augmentation import hidden_rows
from raw2vec.batch import Batch
from raw2vec.embedding import as_numbers
from raw2vec.encoders import Convolutional, Dense, Encoder
from raw2vec.errors import BadInput
from raw2vec.layers import Layout, Rotary, Spread, begin, soften, stack_norm, transformer_blocks
from raw2vec.models import AnyModel
from raw2vec.objectives.base import Objective
from raw2vec.patches import cut
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Filled(NamedTuple):
    """What is made of M hidden patches of B items.

    patches: all patches of the items as they truly are, rows (N, E) on their grids; NaN is a number that is missing or
    lies beyond an item's edge. hidden: which of them were hidden, (N,) bool. told: what the head says stands in these,
    (M, E). penalty: what the latent asks for itself, (B,).
    """

    patches: Ragged
    hidden: Tensor
    told: Tensor
    penalty: Tensor

    def errors(self) -> Tensor:
        """The squared error of each hidden number that is there, in one row."""
        truth = self.patches.values[self.hidden]
        there = ~truth.isnan()
        return (self.told[there] - truth[there]).square()


class MaskedPatches(Objective):
    """The mean squared error per hidden number: pixels count as 255ths, other numbers as they are.

    The encoder sees the visible patches only, each at its true place; a head that `encode` does not need fills in the
    others. In their places stands the item's vector, made of the visible patches, so that the latent learns as well.
    A bag's head has the vector alone. Convolutions see the whole grid, its hidden rows zeros (as SparK's sparse ones do
    in spirit; Tian et al. 2023). Minimised is "masked", the error and what the latent asks for itself; held-out items
    are judged by the error.

    rate: share of each item's patches that is hidden; an item of one patch teaches nothing.
    targets: "normalized" asks for each patch less its own mean and in its own deviations, which pays for large patches
        of pictures, and for small ones costs what they tell.
    width, layers, heads: of the head's transformer.
    inputs, latent and channels are the model's; sizes are a patch's along each axis: none where every item is but one
        patch, which is BadInput.
    """

    needs = "sides"

    def __init__(
        self,
        inputs: int,
        latent: int,
        channels: int,
        sizes: Sequence[int],
        rate: float = 0.75,
        targets: Literal["plain", "normalized"] = "plain",
        width: int = 128,
        layers: int = 1,
        heads: int = 4,
    ):
        super().__init__()
        if not sizes:
            raise BadInput(
                "An item is one patch only, so that none can be hidden: set embedding.patch to less, 1 at least."
            )
        if not 0 < rate < 1:
            raise BadInput(f"The share of patches to hide is a rate between 0 and 1, not {rate:g}.")
        self.sizes, self.rate, self.targets = tuple(sizes), rate, targets
        self.head = _Head(inputs, latent, len(sizes), math.prod(sizes) * channels, width, layers, heads)

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        filled = [self.fill(model, items, batch.items, draws, role) for role, items in batch.sides.items()]
        errors = torch.cat([each.errors() for each in filled])
        error = errors.sum() / max(len(errors), 1)  # items of one patch, or with nothing in them, hide no number
        return {"masked": error + torch.cat([each.penalty for each in filled]).mean(), "error": error}

    def fill(self, model: AnyModel, items: Ragged, numbers: Tensor, draws: Draws, role: str = "input") -> Filled:
        """The patches that the draws hide of the items with these numbers (B,), and what is made of them."""
        rows = model.embedding(items)
        hidden = hidden_rows(rows, numbers, draws, rate=self.rate, purpose=f"hidden patches of {role}")
        seen = _seen(model.encoder, rows, hidden)
        posterior = model.latent.posterior(seen)
        states = seen.values[:0] if isinstance(model.encoder, Dense) else _own(model.encoder, seen)
        places = (~hidden).nonzero().squeeze(1)[: len(states)]
        told = self.head(posterior.mean, rows.shapes, states, places)[hidden]
        return Filled(self._patches(items, told.dtype), hidden, told, posterior.penalty())

    def _patches(self, items: Ragged, dtype: torch.dtype) -> Ragged:
        """What the head has to tell, (N, E) by patch; NaN where there is nothing to tell."""
        values = as_numbers(items.values, dtype)
        gone = values.isnan()
        # Zeros are what `cut` puts beyond an edge, so that what is there is marked, and what is missing is not.
        there = cut(items.replace((~gone).to(dtype)), self.sizes).values.flatten(1) > 0
        patches = cut(items.replace(values.masked_fill(gone, 0.0)), self.sizes)
        whole = patches.values.flatten(1).masked_fill(~there, torch.nan)
        return patches.replace(_normalized(whole) if self.targets == "normalized" else whole)


class _Head(nn.Module):
    """Codes (B, latent) on every row of grids (B, k), states on the visible ones, to the numbers of each patch.

    Rows begin as a decoder's do, so each knows its place; a few transformer blocks let them look at each other.
    """

    def __init__(self, inputs: int, latent: int, dimensions: int, numbers: int, width: int, layers: int, heads: int):
        super().__init__()
        self.spread, self.enter = Spread(latent, width, 0, dimensions), nn.Linear(inputs, width)
        self.normalization, self.final = stack_norm("layer", width, "pre"), stack_norm("layer", width, "pre")
        blocks = transformer_blocks(width, heads, [0] * layers, 0, "geglu", "layer", "pre", 0.0)
        self.layers, self.rotary = nn.ModuleList(blocks), Rotary(width // heads)
        self.leave = nn.Linear(width, numbers)
        begin(self)
        soften([linear for block in blocks for linear in block.leaving])

    def forward(self, codes: Tensor, shapes: Tensor, states: Tensor, places: Tensor) -> Tensor:
        """The states (V, inputs) stand in these places (V,) of all rows; (N, numbers) float32 or wider."""
        x = self.spread(codes, shapes)
        # Back to the type it came in: under autocast what the layers add up stays float32.
        begun = x.values.to(codes.dtype).index_add(0, places, self.enter(states).to(codes.dtype))
        x = x.replace(self.normalization(begun).to(codes.dtype))
        layout, rotation = Layout(x), self.rotary(x)
        for layer in self.layers:
            x = x.replace(layer(x.values, layout, rotation))
        return self.leave(self.final(x.values)).to(codes.dtype)


def _seen(encoder: Encoder, rows: Ragged, hidden: Tensor) -> Ragged:
    """The encoder's states of the visible rows, in their order; of a bag the one state an item."""
    if not isinstance(encoder, Convolutional):
        return encoder(rows.only(~hidden))
    states = encoder(rows.replace(rows.values.masked_fill(hidden[:, None], 0.0)))
    visible = rows.only(~hidden)
    # A row that halvings have merged is the state of all rows in it: row i of the grid stands in i // 2^halvings.
    merged = 2 ** sum(encoder.halves)
    return visible.replace(states.values[states.rows_at(visible.owners, visible.coordinates // merged)])


def _own(encoder: Encoder, states: Ragged) -> Tensor:
    """The states of patches, without those of class tokens before them."""
    return states.values[states.places >= encoder.class_tokens] if encoder.class_tokens else states.values


def _normalized(patches: Tensor) -> Tensor:
    """Patches (N, E) less their own means and in their own deviations, NaN left out of both."""
    gone = patches.isnan()
    counts = (~gone).sum(dim=1, keepdim=True).clamp(min=1)
    known = patches.masked_fill(gone, 0.0)
    centred = (known - known.sum(dim=1, keepdim=True) / counts).masked_fill(gone, 0.0)
    deviations = (centred.square().sum(dim=1, keepdim=True) / counts + 1e-6).sqrt()
    return (centred / deviations).masked_fill(gone, torch.nan)
