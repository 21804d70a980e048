"""Self-attention over Ragged items: every row looks at the rows of its own item, and no padding leaves this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from inspect import signature
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.layers.base import Dropout, attended, refuse_uneven, weighed
from raw2vec.ragged import Ragged, sent

_MANY = 16  # items of one length that are worth calls of their own


@dataclass(frozen=True)
class Rectangle:
    """`items` items of nearly one length side by side; `inside` (items, length) marks real rows, None when all are."""

    items: int
    length: int
    inside: Tensor | None

    def allowed(self, window: int, device: torch.device, causal: bool = False) -> Tensor | None:
        """Which rows look at which, (items or 1, 1, length or 1, length) bool; None: all at all.

        Rows of padding look at their surroundings too, so that no softmax is over nothing; nobody reads them. causal:
        no row looks at later ones, and so none that is real at padding, which comes last.
        """
        if causal:
            return torch.ones(self.length, self.length, dtype=torch.bool, device=device).tril()[None, None]
        keys = None if self.inside is None else self.inside[:, None, None, :]
        if not window or self.length <= window // 2 + 1:
            return keys
        places = torch.arange(self.length, device=device)
        band = ((places[:, None] - places).abs() <= window // 2)[None, None]
        return band if keys is None else band & (keys | ~keys.transpose(2, 3))


class Layout:
    """How the items of a batch are laid out for attention: worked out once, used by every layer."""

    def __init__(self, x: Ragged):
        self.lengths, self.offsets, self.device = x.lengths, x.offsets, x.values.device

    @cached_property
    def ends(self) -> Tensor:
        """Where each item starts, and the end, (B + 1,) int32 on the device: what a variable-length kernel takes."""
        return sent(self.offsets.to(torch.int32), self.device)

    @cached_property
    def longest(self) -> int:
        """At least the longest item: the next power of two, so that a compiled kernel meets few different numbers."""
        return 1 << max(int(self.lengths.max()) - 1, 0).bit_length()

    @cached_property
    def rectangles(self) -> list[Rectangle]:
        """The items in rectangles, longest first: as few as there can be with at most a sixteenth and a row of padding.

        Many items of one length have a rectangle of their own, which needs no mask and mostly stands where it should.
        """
        lengths, counts = (part.tolist() for part in self._order[1].unique_consecutive(return_counts=True))
        groups: list[tuple[int, int]] = []  # the longest of each, and how many they are
        for place, (length, count) in enumerate(zip(lengths, counts, strict=True)):
            alone = place == 0 or max(count, counts[place - 1]) >= _MANY
            if alone or groups[-1][0] > length + length // 16 + 1:
                groups.append((length, count))
            else:
                groups[-1] = groups[-1][0], groups[-1][1] + count
        ends = accumulate(count for _, count in groups)
        return [self._rectangle(end - count, end, longest) for (longest, count), end in zip(groups, ends, strict=True)]

    @cached_property
    def rows(self) -> Tensor | None:
        """Where each row stands among the rectangles' rows, (N,); None when all is in place."""
        even = all(part.inside is None for part in self.rectangles)
        if even and bool((self._order[0].diff() > 0).all()):
            return None
        sizes = torch.tensor([part.length for part in self.rectangles for _ in range(part.items)], dtype=torch.long)
        starts = torch.zeros_like(self.lengths)
        starts[self._order[0]] = sizes.cumsum(0) - sizes
        places = torch.arange(int(self.offsets[-1])) - torch.repeat_interleave(self.offsets[:-1], self.lengths)
        return sent(places + torch.repeat_interleave(starts, self.lengths), self.device)

    @cached_property
    def _order(self) -> tuple[Tensor, Tensor]:
        """The items that have rows, longest first as batches are encoded, and their lengths."""
        lengths, order = self.lengths.sort(descending=True, stable=True)
        return order[lengths > 0], lengths[lengths > 0]

    def _rectangle(self, start: int, end: int, length: int) -> Rectangle:
        own = self._order[1][start:end]
        inside = None if int(own[-1]) == length else sent(torch.arange(length) < own[:, None], self.device)
        return Rectangle(end - start, length, inside)


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), (N, D) to (N, D), each row over its item or over a window round it.

    window: 0 looks at the whole item; W looks at most W // 2 rows to either side, as ModernBERT counts. causal: no row
    looks at later ones, whatever the window. Dropout falls on the outcome, not on the weights: the fast kernels have
    none there.
    """

    def __init__(
        self, width: int, heads: int, window: int = 0, bias: bool = True, dropout: float = 0.0, causal: bool = False
    ):
        super().__init__()
        refuse_uneven(width, heads)
        self.heads, self.window, self.causal = heads, window, causal
        self.enter = nn.Linear(width, 3 * width, bias=bias)
        self.leave = nn.Linear(width, width, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        layout: Layout,
        rotate: Callable[[Tensor], Tensor] | None = None,
        distances: Tensor | None = None,
    ) -> Tensor:
        """`layout` is that of the batch the rows belong to; `rotate` turns queries and keys, (N, 2, heads, D/heads).

        distances: what is added to the scores of rows by their places, (heads, T, T) for the longest item or more.
        """
        enter = self.enter(x).unflatten(1, (3, self.heads, -1))
        if rotate is not None:
            turned, value = enter.split((2, 1), dim=1)
            enter = torch.cat((rotate(turned), value), dim=1)
        if distances is None and _has_varlen(enter, self.window or self.causal):
            mixed = _varlen(enter, layout, self.window, self.causal)
        else:
            mixed = self._mix(enter, layout, distances)
        left: Tensor = self.dropout(self.leave(mixed.flatten(1)))
        return left

    def step(
        self,
        x: Tensor,
        past: tuple[Tensor, Tensor],
        own: Tensor | None = None,
        rotate: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """One more row of each of K drafts of an item, (B · K, D) to (B · K, D), each of which looks at its own rows.

        past: keys and values (B, heads, t, D/heads) of the item's rows, of which the last K are written here. own
        (B, K, t): what is added to the scores, see layers.Past; None: K is 1.
        """
        enter = self.enter(x).unflatten(1, (3, self.heads, -1))
        if rotate is not None:
            turned, value = enter.split((2, 1), dim=1)
            enter = torch.cat((rotate(turned), value), dim=1)
        keys, values = past
        query, key, value = enter.unflatten(0, (len(keys), -1)).permute(2, 0, 3, 1, 4).unbind(0)
        keys[:, :, -key.shape[2] :], values[:, :, -key.shape[2] :] = key, value
        mixed = attended(query, keys, values) if own is None else _among(query, keys, values, own[:, None])
        left: Tensor = self.leave(mixed.transpose(1, 2).reshape(len(x), -1))
        return left

    def _mix(self, enter: Tensor, layout: Layout, distances: Tensor | None) -> Tensor:
        """Queries, keys and values (N, 3, H, W) to (N, H, W), by rectangles."""
        if not len(enter):
            return enter[:, 0]
        rectangles, rows = layout.rectangles, layout.rows
        sizes = [part.items * part.length for part in rectangles]
        laid = enter if rows is None else enter.new_zeros(sum(sizes), *enter.shape[1:]).index_copy(0, rows, enter)
        mixed = [self._attend(own, part, distances) for own, part in zip(laid.split(sizes), rectangles, strict=True)]
        joined = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
        return joined if rows is None else joined.index_select(0, rows)

    def _attend(self, enter: Tensor, part: Rectangle, distances: Tensor | None) -> Tensor:
        query, key, value = enter.view(part.items, part.length, *enter.shape[1:]).permute(2, 0, 3, 1, 4).unbind(0)
        allowed = part.allowed(self.window, enter.device, self.causal)
        if distances is not None:
            added = distances[None, :, : part.length, : part.length].to(enter.dtype)
            allowed = added if allowed is None else torch.where(allowed, added, float("-inf"))
        return attended(query, key, value, allowed).transpose(1, 2).flatten(0, 1)


def _among(query: Tensor, keys: Tensor, values: Tensor, own: Tensor) -> Tensor:
    """Queries (B, H, K, W) to what they find among keys and values (B, H, t, W), with `own` added to their scores.

    The plain formula: of a few queries each it takes four fifths of the fused kernel's time (torch 2.13).
    """
    scores = query * query.shape[-1] ** -0.5 @ keys.transpose(-1, -2)
    return weighed(scores.add_(own), values)


@cache
def _varlen_kernel() -> tuple[Callable[..., Any] | None, frozenset[str]]:
    """The GPU's kernel for items end to end and its options, where torch has one. Importing it takes a second."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None, frozenset()
    return varlen_attn, frozenset(signature(varlen_attn).parameters)


def _varlen(enter: Tensor, layout: Layout, window: int, causal: bool) -> Tensor:
    """All rows by that kernel: no padding at all."""
    kernel, offered = _varlen_kernel()
    assert kernel is not None
    query, key, value = enter.unbind(1)
    options: dict[str, Any] = {"window_size": (window // 2, window // 2)} if window else {}
    if causal:
        options["window_size"] = (-1, 0)
    if "num_splits" in offered:
        options["num_splits"] = 1  # an item's answer must not depend on its batch
    ends, longest = layout.ends, layout.longest
    mixed: Tensor = kernel(query, key, value, ends, ends, longest, longest, **options)
    return mixed


def _has_varlen(enter: Tensor, window: int | bool) -> bool:
    if not enter.is_cuda or enter.itemsize != 2 or not len(enter):
        return False
    kernel, offered = _varlen_kernel()
    fits = enter.shape[-1] % 8 == 0 and enter.shape[-1] <= 256 and (not window or "window_size" in offered)
    return kernel is not None and fits and torch.cuda.get_device_capability(enter.device) >= (8, 0)
