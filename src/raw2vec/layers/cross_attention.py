"""Attention from the rows of one item to those of another: what a decoder sees of what an encoder has read."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.layers.base import Dropout, attended, refuse_uneven, wide
from raw2vec.ragged import Ragged

ScoreName = Literal["additive", "multiplicative"]


class Memory(NamedTuple):
    """B items to look at, side by side: `rows` (B, S, D), and `inside` (B, S) bool, which of them are real."""

    rows: Tensor
    inside: Tensor

    @classmethod
    def of(cls, states: Ragged) -> Memory:
        """The states of B items. One of no rows gets one of zeros, so that no softmax is over nothing."""
        if states.length:
            rows = states.values.unflatten(0, (len(states), states.length))
            return cls(rows, rows.new_ones(rows.shape[:2], dtype=torch.bool))
        if int(states.lengths.max()) == 0:
            rows = states.values.new_zeros(len(states), 1, states.values.shape[1])
            return cls(rows, rows.new_ones(rows.shape[:2], dtype=torch.bool))
        inside = states.inside()
        rows = states.padded()
        inside[:, 0] = True
        return cls(rows, inside)


class CrossAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) of rows (N, D) to the memory (B, S, memory) of their own items."""

    def __init__(self, width: int, memory: int, heads: int, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        refuse_uneven(width, heads)
        self.heads = heads
        self.enter = nn.Linear(width, width, bias=bias)
        self.remember = nn.Linear(memory, 2 * width, bias=bias)
        self.leave = nn.Linear(width, width, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Ragged, memory: Memory) -> Tensor:
        """(N, D): all rows of all items at once."""
        query = rectangle(x.replace(self.enter(x.values))).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = self.keep(memory).unbind(1)
        mixed = attended(query, key, value, memory.inside[:, None, None])
        left: Tensor = self.dropout(self.leave(rows_of(mixed.transpose(1, 2).flatten(2), x)))
        return left

    def looks(self, x: Ragged, memory: Memory) -> Tensor:
        """How much each row looks at each of the memory's, (N, S), the mean over the heads: for people to see."""
        query = rectangle(x.replace(self.enter(x.values))).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key = self.keep(memory)[:, 0]
        scores = wide(query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2))
        shares = scores.masked_fill(~memory.inside[:, None, None], float("-inf")).softmax(-1)
        return rows_of(shares.mean(1), x)

    def keep(self, memory: Memory) -> Tensor:
        """Keys and values of the memory, (B, 2, heads, S, D/heads): made once for all steps."""
        return self.remember(memory.rows).unflatten(2, (2, self.heads, -1)).permute(0, 2, 3, 1, 4)

    def step(self, x: Tensor, kept: Tensor, inside: Tensor) -> Tensor:
        """One row of each of K drafts of an item, (B · K, D) to (B · K, D), that look at what `keep` kept of it."""
        query = self.enter(x).view(len(kept), -1, self.heads, kept.shape[-1]).transpose(1, 2)
        mixed = attended(query, kept[:, 0], kept[:, 1], inside[:, None, None])
        left: Tensor = self.leave(mixed.transpose(1, 2).reshape(len(x), -1))
        return left


class Attention(nn.Module):
    """One look at the memory (B, S, memory) from each row of a recurrence or a convolution, weights to be seen.

    score: "additive", v · tanh(Wq + Uk) (Bahdanau et al. 2015), or "multiplicative", q · Uk (Luong et al. 2015).
    coverage: what the rows before have looked at lowers or raises a score by a learned weight (after See et al. 2017;
    the looks before are those without it, so that all rows are worked out at once).
    Gives tanh(C [context; x]), (N, D), Luong's attentional state.
    """

    def __init__(self, width: int, memory: int, score: ScoreName = "additive", coverage: bool = False):
        super().__init__()
        if score not in ("additive", "multiplicative"):
            raise BadInput(f"Attention is scored additive or multiplicative, not '{score}'.")
        self.score = score
        self.enter = nn.Linear(width, width)
        self.remember = nn.Linear(memory, width, bias=False)
        self.direction = nn.Parameter(torch.randn(width) * width**-0.5)
        self.coverage = nn.Parameter(torch.zeros(())) if coverage else None
        self.leave = nn.Linear(width + memory, width)

    def forward(self, x: Ragged, memory: Memory) -> Tensor:
        """(N, D): all rows of all items at once."""
        looks, _ = self.weights(rectangle(x), memory, self.remember(memory.rows))
        return self._leave(x.values, rows_of(looks @ memory.rows, x))

    def weights(self, x: Tensor, memory: Memory, keys: Tensor, covered: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What each of T rows (B, T, D) looks at, (B, T, S), summing to one; and what its first look was.

        keys: `remember` of the memory. covered: what the rows before have looked at, (B, T, S); none: these rows follow
        each other, and it is worked out.
        """
        scores = wide(self._scores(x, keys)).masked_fill(~memory.inside[:, None], float("-inf"))
        looks = first = scores.softmax(-1)
        if self.coverage is not None:
            covered = first.cumsum(1) - first if covered is None else covered
            looks = (scores + self.coverage * covered).softmax(-1)
        return looks.to(memory.rows.dtype), first

    def step(self, x: Tensor, memory: Memory, keys: Tensor, covered: Tensor) -> tuple[Tensor, Tensor]:
        """One row of each of K drafts of an item: what is to leave, (B · K, D), and what is covered then.

        covered: what each draft has looked at so far, (B · K, S).
        """
        drafts = (len(keys), -1)
        looks, first = self.weights(x.unflatten(0, drafts), memory, keys, covered.unflatten(0, drafts))
        return self._leave(x, (looks @ memory.rows).flatten(0, 1)), covered + first.flatten(0, 1)

    def _leave(self, x: Tensor, context: Tensor) -> Tensor:
        left: Tensor = self.leave(torch.cat((context.to(x.dtype), x), dim=1)).tanh()
        return left

    def _scores(self, x: Tensor, keys: Tensor) -> Tensor:
        query = self.enter(x)
        if self.score == "multiplicative":
            return query @ keys.transpose(1, 2) * query.shape[-1] ** -0.5
        return (query[:, :, None] + keys[:, None]).tanh() @ self.direction.to(query.dtype)


def rectangle(x: Ragged) -> Tensor:
    """Rows (N, D) side by side, (B, T, D)."""
    if x.length:
        return x.values.unflatten(0, (len(x), x.length))
    return x.padded() if len(x.values) else x.values.new_zeros(len(x), 1, x.values.shape[1])


def rows_of(rectangle: Tensor, x: Ragged) -> Tensor:
    """The way back from `rectangle`, (N, D)."""
    if x.length:
        return rectangle.flatten(0, 1)
    return x.unpadded(rectangle) if len(x.values) else rectangle[:0, 0]
