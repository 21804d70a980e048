"""Raw values become vectors: token ids, patches of numbers, columns of a table."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from raw2vec.errors import BadInput
from raw2vec.layers import Dropout
from raw2vec.layers import activation as activation_called
from raw2vec.layers.initialization import begin
from raw2vec.patches import cut, patch_grids, patch_sizes
from raw2vec.ragged import Ragged

_FIRST_BIAS = 0.25


class Embedding(nn.Module, ABC):
    """Ragged values as raw data has them to Ragged rows (N', D), on a grid that may be coarser than the item's."""

    width: int

    @abstractmethod
    def forward(self, items: Ragged) -> Ragged:
        """The rows, (N', D), on the grids that `grids` tells."""

    @abstractmethod
    def grids(self, shapes: Tensor) -> Tensor:
        """The grids (B, k) of the rows of items with grids `shapes` (B, k)."""


class TokenEmbedding(Embedding):
    """One learned vector a token of the vocabulary: Ragged ids (N,) to Ragged (N, D).

    Vectors start as normal draws of deviation 0.02 (BERT, GPT-2, ModernBERT): small beside a learning rate of 1e-3, so
    that words move far in few steps, and small enough that a head tied to them starts near the uniform guess.
    weights: "learned" gives each token a factor as well, so that a bag can tell how much a word counts apart from what
    it says; `settle` works the factors into the vectors when training is over.
    filled: rows that every text is filled up to, with the token `filler`, which counts as any other (SigLIP; Zhai et
    al. 2023); 0: texts stay as long as they are.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        dropout: float = 0.0,
        weights: Literal["none", "learned"] = "none",
        filled: int = 0,
        filler: int = 0,
    ):
        super().__init__()
        if filled < 0 or not 0 <= filler < vocabulary:
            raise BadInput(f"Texts are filled up to 0 rows or more with one of {vocabulary} tokens, not {filler}.")
        self.filled, self.filler = filled, filler
        self.width = width
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.log_weights = nn.Parameter(torch.zeros(vocabulary)) if weights == "learned" else None
        self.dropout = Dropout(dropout)

    @property
    def weight(self) -> Tensor:
        """The vectors of all tokens (V, D), which a vocabulary head may share."""
        table = self.table.weight
        return table if self.log_weights is None else table * self.log_weights.exp()[:, None]

    def forward(self, ids: Ragged) -> Ragged:
        ids = self._full(ids) if self.filled else ids
        values = self.table(ids.values)
        if self.log_weights is not None:
            values = values * self.log_weights[ids.values].exp()[:, None]
        return ids.replace(self.dropout(values))

    def grids(self, shapes: Tensor) -> Tensor:
        return torch.full_like(shapes, self.filled) if self.filled else shapes

    def _full(self, ids: Ragged) -> Ragged:
        """The ids with as many of the filler after them as are missing. BadInput for a text that is too long."""
        if len(ids) and int(ids.lengths.max()) > self.filled:
            raise BadInput(f"A text has {int(ids.lengths.max())} tokens, and all are filled up to {self.filled}.")
        rows = ids.values.new_full((len(ids) * self.filled,), self.filler)
        return Ragged(rows.index_copy(0, ids.owners * self.filled + ids.places, ids.values), self.grids(ids.shapes))

    def bag(self, ids: Ragged, weights: Tensor | None = None) -> Tensor:
        """The mean of each item's vectors, (B, D), each times its own of `weights` (N,) if any.

        The same as calling this and taking the mean, without a vector for every token in between: ten times as fast.
        """
        if self.log_weights is not None:
            own = self.log_weights[ids.values].exp()
            weights = own if weights is None else own * weights
        offsets = ids.offsets[:-1].to(ids.values.device)
        if weights is None:
            return embedding_bag(ids.values, self.table.weight, offsets, mode="mean")
        total = embedding_bag(ids.values, self.table.weight, offsets, mode="sum", per_sample_weights=weights)
        return total / ids.lengths.clamp(min=1).to(total.device)[:, None]

    @torch.no_grad()
    def settle(self) -> None:
        """Works the tokens' factors into their vectors: the same answers, and a plain table for whoever reads it."""
        if self.log_weights is not None:
            self.table.weight.copy_(self.weight)
            self.log_weights.zero_()


class PatchEmbedding(Embedding):
    """Grids of numbers cut into patches, each through one linear map: Ragged (N, channels) to Ragged (N', width).

    A picture's patches are ViT's (Dosovitskiy et al. 2021), a series' are frames. dimensions: axes of an item's grid.
    shape: the grid that every item has, or None where sizes differ. patch: elements along every axis, or along each one
    of its own ([4, 80]: four frames of a spectrogram with all 80 bands), or 0 for the whole item, which is then one
    row, and all items must have the shape. A patch over the edge is filled up by zeros.

    uint8 counts as 255ths. mean and deviation: what numbers lose and are then divided by, channel by channel, as a
    checkpoint was trained with; (): nothing. missing: "flag" takes a NaN as zero and tells the map of it by one more
    channel for each; with "none" nothing may be missing, and a NaN makes its item's rows NaN. Raises BadInput for items
    of other channels or another shape than these. activation: what follows the map, for whole items: a perceptron's
    first layer.
    """

    mean: Tensor | None
    deviation: Tensor | None

    def __init__(
        self,
        channels: int,
        width: int,
        dimensions: int,
        shape: Sequence[int] | None = None,
        patch: int | tuple[int, ...] = 0,
        activation: str = "identity",
        dropout: float = 0.0,
        missing: Literal["none", "flag"] = "none",
        mean: tuple[float, ...] = (),
        deviation: tuple[float, ...] = (),
    ):
        super().__init__()
        if {len(mean), len(deviation)} not in ({0}, {channels}) or min(deviation, default=1.0) <= 0:
            raise BadInput(
                f"The mean and deviation of pixels are a number for each of {channels} channels, deviations above 0, "
                f"not {list(mean)} and {list(deviation)}."
            )
        if missing not in ("none", "flag"):
            raise BadInput(f"What is missing is told by missing 'flag' or may not be ('none'), not '{missing}'.")
        self.width, self.channels, self.missing = width, channels, missing
        for name, numbers in {"mean": mean, "deviation": deviation}.items():
            self.register_buffer(name, torch.tensor(numbers) if numbers else None, persistent=False)
        self.sizes = patch_sizes(patch, dimensions, shape)
        self.whole = patch == 0
        told = 2 * channels if missing == "flag" else channels
        self.linear = nn.Linear(math.prod(self.sizes) * told, width)
        begin(self)
        if not self.whole:  # a black patch is no row of zeros, at which a normalisation is steepest
            nn.init.normal_(self.linear.bias, std=_FIRST_BIAS)
        self.activation, self.dropout = activation_called(activation), Dropout(dropout)

    def forward(self, items: Ragged) -> Ragged:
        self._check(items)
        numbers = as_numbers(items.values, self.linear.weight.dtype)
        if self.mean is not None and self.deviation is not None:
            numbers = (numbers - self.mean) / self.deviation
        if self.missing == "flag":
            gone = numbers.isnan()
            numbers = torch.cat([numbers.masked_fill(gone, 0.0), gone.to(numbers.dtype)], dim=1)
        patches = cut(items.replace(numbers), self.sizes)
        return patches.replace(self.dropout(self.activation(self.linear(patches.values.flatten(1)))))

    def grids(self, shapes: Tensor) -> Tensor:
        return patch_grids(shapes, self.sizes)

    def _check(self, items: Ragged) -> None:
        if items.values.dim() != 2 or items.values.shape[1] != self.channels:
            found = tuple(items.values.shape[1:])
            raise BadInput(f"Elements have the shape {found}, where the embedding takes {self.channels} channels.")
        if self.whole and bool((odd := (items.shapes != torch.tensor(self.sizes)).any(dim=1)).any()):
            place = int(odd.nonzero()[0])
            raise BadInput(
                f"Item {place} has the shape {tuple(items.shapes[place].tolist())}, where every item is one patch of "
                f"{self.sizes}: give items of that shape, or an embedding with a patch of 1 or more."
            )


class ColumnEmbedding(Embedding):
    """A table's row as a sequence of its columns: Ragged (N, 1) to Ragged (N, width) on the same grids.

    Each column has its own way to a vector (the feature tokenizer of Gorishniy et al. 2021): a number x becomes
    x · weight + bias, a category's code a learned row, and what is missing (NaN) a learned row of its own. categories:
    how many values each column knows, 0 for a column of numbers; codes run from 1, and 0 is a value that is not known.
    Vectors start about one long. Raises BadInput for rows of another number of columns.
    """

    coded: Tensor
    starts: Tensor
    absent: Tensor

    def __init__(self, categories: Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        self.width, self.categories = width, tuple(categories)
        known = torch.tensor(self.categories, dtype=torch.long)
        # A column's rows: the bias or what is not known, each value that is known, and what is missing.
        rows = known + 2
        self.table = nn.Parameter(torch.randn(int(rows.sum()), width) * width**-0.5)
        self.weight = nn.Parameter(torch.randn(len(known), width) * width**-0.5)
        self.dropout = Dropout(dropout)
        for name, places in {"coded": known > 0, "starts": rows.cumsum(0) - rows, "absent": known + 1}.items():
            self.register_buffer(name, places, persistent=False)

    def forward(self, items: Ragged) -> Ragged:
        values = self._rows(items)
        missing = values.isnan()
        codes = values.masked_fill(missing | ~self.coded, 0.0).long()
        numbers = values.masked_fill(missing | self.coded, 0.0).to(self.weight.dtype)
        rows = self.table[self.starts + torch.where(missing, self.absent, codes)]
        return items.replace(self.dropout((rows + numbers[:, :, None] * self.weight).flatten(0, 1)))

    def grids(self, shapes: Tensor) -> Tensor:
        return shapes

    def _rows(self, items: Ragged) -> Tensor:
        """The table's values as (B, columns)."""
        columns = len(self.categories)
        if bool((items.shapes != columns).any()) or items.values.shape[1:] != (1,):
            raise BadInput(f"These are no rows of a table of {columns} columns: make them with the table's own kind.")
        return items.values.view(-1, columns)


def as_numbers(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in this type; pixels, uint8, as 255ths."""
    return values.to(dtype) / 255 if values.dtype == torch.uint8 else values.to(dtype)
