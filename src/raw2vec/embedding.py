"""Token ids become vectors."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from raw2vec.ragged import Ragged


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
    """

    def __init__(self, vocabulary: int, width: int, dropout: float = 0.0, weights: Literal["none", "learned"] = "none"):
        super().__init__()
        self.width = width
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.log_weights = nn.Parameter(torch.zeros(vocabulary)) if weights == "learned" else None
        self.dropout = nn.Dropout(dropout)

    @property
    def weight(self) -> Tensor:
        """The vectors of all tokens (V, D), which a vocabulary head may share."""
        table = self.table.weight
        return table if self.log_weights is None else table * self.log_weights.exp()[:, None]

    def forward(self, ids: Ragged) -> Ragged:
        values = self.table(ids.values)
        if self.log_weights is not None:
            values = values * self.log_weights[ids.values].exp()[:, None]
        return ids.replace(self.dropout(values))

    def grids(self, shapes: Tensor) -> Tensor:
        return shapes

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
