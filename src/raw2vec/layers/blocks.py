"""Blocks: what encoders and decoders alike are stacked of, put together from the layers by the names of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.layers.activations import GATES
from raw2vec.layers.activations import activation as activation_called
from raw2vec.layers.attention import Layout, SelfAttention
from raw2vec.layers.convolution import ConvolutionBlock
from raw2vec.layers.cross_attention import CrossAttention, Memory
from raw2vec.layers.feed_forward import FeedForward, GatedFeedForward
from raw2vec.layers.normalization import normalization as normalization_called
from raw2vec.layers.plane import ConvNeXtBlock, PlaneBlock
from raw2vec.layers.positions import Rotation
from raw2vec.ragged import Ragged

NormOrder = Literal["pre", "pre-each", "pre-only", "post", "post-only"]
PlaneBlockName = Literal["residual", "convnext"]
Biases = Literal["usual", "norms", "all"]


class TransformerBlock(nn.Module):
    """Attention, then feed-forward, each added to what it was given: (N, D) to (N, D).

    norm_order "post" and "post-only" normalise the sum (Vaswani et al. 2017), the others what each is given (Xiong et
    al. 2020).
    """

    def __init__(
        self,
        attention: SelfAttention,
        feed_forward: FeedForward | GatedFeedForward,
        before: nn.Module,
        between: nn.Module,
        norm_order: str,
    ):
        super().__init__()
        self.attention, self.feed_forward = attention, feed_forward
        self.attention_norm, self.feed_forward_norm = before, between
        self.pre = is_pre(norm_order)

    def forward(self, x: Tensor, layout: Layout, rotation: Rotation | None, distances: Tensor | None = None) -> Tensor:
        """`distances` is what distance adds to how much rows look at each other, as SelfAttention takes it."""
        if self.pre:
            x = x + self.attention(self.attention_norm(x), layout, rotation, distances)
            thought: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
            return thought
        x = self.attention_norm(x + self.attention(x, layout, rotation, distances))
        normed: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return normed

    @property
    def leaving(self) -> list[nn.Linear]:
        """The last map of each of the two, which tells how much is added."""
        return [self.attention.leave, self.feed_forward.leave]


class WriterBlock(nn.Module):
    """A transformer's decoder block (Vaswani et al. 2017): causal attention, cross-attention, feed-forward.

    Each is added to what it was given, in the order of norms that TransformerBlock tells.
    """

    def __init__(
        self,
        attention: SelfAttention,
        cross: CrossAttention,
        feed_forward: FeedForward | GatedFeedForward,
        norms: Sequence[nn.Module],
        norm_order: str,
    ):
        super().__init__()
        self.attention, self.cross, self.feed_forward = attention, cross, feed_forward
        self.attention_norm, self.cross_norm, self.feed_forward_norm = norms
        self.pre = is_pre(norm_order)

    def forward(self, x: Ragged, layout: Layout, rotation: Rotation | None, memory: Memory) -> Ragged:
        """(N, D) to (N, D), each row told from those before it and from its item's memory."""
        values = self._added(x.values, self.attention_norm, lambda seen: self.attention(seen, layout, rotation))
        values = self._added(values, self.cross_norm, lambda seen: self.cross(x.replace(seen), memory))
        return x.replace(self._added(values, self.feed_forward_norm, self.feed_forward))

    def looks(self, x: Ragged, layout: Layout, rotation: Rotation | None, memory: Memory) -> Tensor:
        """How much each row looks at each of its item's memory, (N, S), the mean over the heads."""
        values = self._added(x.values, self.attention_norm, lambda seen: self.attention(seen, layout, rotation))
        return self.cross.looks(x.replace(self.cross_norm(values) if self.pre else values), memory)

    def step(
        self,
        x: Tensor,
        rotation: Rotation | None,
        past: tuple[Tensor, Tensor],
        own: Tensor | None,
        cross: Tensor,
        inside: Tensor,
    ) -> Tensor:
        """One more row of each of K drafts of an item, (B · K, D) to (B · K, D).

        past, own: as SelfAttention.step has them; cross: what the cross-attention's `keep` gave.
        """
        x = self._added(x, self.attention_norm, lambda seen: self.attention.step(seen, past, own, rotation))
        x = self._added(x, self.cross_norm, lambda seen: self.cross.step(seen, cross, inside))
        return self._added(x, self.feed_forward_norm, self.feed_forward)

    def _added(self, x: Tensor, norm: nn.Module, layer: Callable[[Tensor], Tensor]) -> Tensor:
        added: Tensor = x + layer(norm(x)) if self.pre else norm(x + layer(x))
        return added

    @property
    def leaving(self) -> list[nn.Linear]:
        """The last map of each of the three, which tells how much is added."""
        return [self.attention.leave, self.cross.leave, self.feed_forward.leave]


def writer_blocks(
    width: int,
    memory: int,
    heads: int,
    layers: int,
    feed_forward: int,
    activation: str,
    normalization: str,
    norm_order: str,
    dropout: float,
) -> list[WriterBlock]:
    """Blocks that write from a memory (B, S, memory); the rest is as `transformer_blocks` has it."""
    pre = is_pre(norm_order)
    blocks = []
    for layer in range(layers):
        attention = SelfAttention(width, heads, bias=not pre, dropout=dropout, causal=True)
        cross = CrossAttention(width, memory, heads, bias=not pre, dropout=dropout)
        feed = _feed_forward(width, feed_forward, activation, bias=not pre, dropout=dropout)
        norms = [stack_norm(normalization, width, norm_order) for _ in range(3)]
        if norm_order == "pre" and layer == 0:
            norms[0] = nn.Identity()
        blocks.append(WriterBlock(attention, cross, feed, norms, norm_order))
    return blocks


def transformer_blocks(
    width: int,
    heads: int,
    windows: Sequence[int],
    feed_forward: int,
    activation: str,
    normalization: str,
    norm_order: str,
    dropout: float,
    epsilon: float = 0.0,
    biases: Biases = "usual",
    causal: bool = False,
) -> list[TransformerBlock]:
    """A block for each of `windows` (0: whole items); `feed_forward` 0 is what `hidden_features` tells.

    "pre" orders usually have no biases and the others have them everywhere; or they stand in the "norms" alone, or in
    "all" maps and norms. A norm has just given what the first block takes: in "pre" order it takes that as it is, in
    "pre-each" every block has a norm of its own, and so in "pre-only", where none stands at the entry.
    """
    if biases not in get_args(Biases):
        raise BadInput(
            f"Biases stand where the norm order has them ('usual'), in the 'norms' alone or in 'all', not '{biases}'."
        )
    bias = biases == "all" or (not is_pre(norm_order) and biases == "usual")
    norm = (normalization, width, norm_order, epsilon, biases)
    blocks = []
    for layer, window in enumerate(windows):
        attention = SelfAttention(width, heads, window, bias=bias, dropout=dropout, causal=causal)
        feed = _feed_forward(width, feed_forward, activation, bias=bias, dropout=dropout)
        before = nn.Identity() if norm_order == "pre" and layer == 0 else stack_norm(*norm)
        between = stack_norm(*norm)
        blocks.append(TransformerBlock(attention, feed, before, between, norm_order))
    return blocks


def is_pre(norm_order: str) -> bool:
    """Whether what a layer is given is normalised, and not what it leaves; BadInput for an order that is none."""
    if norm_order not in get_args(NormOrder):
        raise BadInput(f"The norm order is pre, pre-each, pre-only, post or post-only, not '{norm_order}'.")
    return norm_order.startswith("pre")


def stack_norm(name: str, width: int, norm_order: str, epsilon: float = 0.0, biases: Biases = "usual") -> nn.Module:
    """The normalisation between transformer blocks: BERT's in "post" order, ModernBERT's (no bias) in "pre" orders.

    epsilon: what it adds to the variance; 0 is theirs. With biases in "all" a norm has one in every order.
    """
    bias = biases == "all" or not is_pre(norm_order)
    return normalization_called(name, width, bias=bias, eps=epsilon or usual_epsilon(norm_order))


def usual_epsilon(norm_order: str) -> float:
    """What a norm adds to the variance where nobody says: BERT's in "post" order, PyTorch's in the others."""
    return 1e-12 if norm_order == "post" else 1e-5


def entry_norm(name: str, width: int, norm_order: str, epsilon: float = 0.0, biases: Biases = "usual") -> nn.Module:
    """What stands before the first block: a norm, but in "pre-only" and "post-only" order."""
    return nn.Identity() if norm_order.endswith("-only") else stack_norm(name, width, norm_order, epsilon, biases)


def final_norm(name: str, width: int, norm_order: str, epsilon: float = 0.0, biases: Biases = "usual") -> nn.Module:
    """What stands after the last block: a norm, where the block has not just ended in one."""
    return stack_norm(name, width, norm_order, epsilon, biases) if is_pre(norm_order) else nn.Identity()


def hidden_features(width: int, feed_forward: int, activation: str) -> int:
    """What a `feed_forward` of 0 stands for: four times the width, two thirds of it when gated, in steps of 64."""
    return feed_forward or (-(-8 * width // 192) * 64 if activation in GATES else 4 * width)


def _feed_forward(width: int, hidden: int, name: str, bias: bool, dropout: float) -> FeedForward | GatedFeedForward:
    hidden = hidden_features(width, hidden, name)
    if name in GATES:
        return GatedFeedForward(width, hidden, activation_called(GATES[name]), bias, dropout)
    return FeedForward(width, hidden, activation_called(name), bias, dropout)


def convolution_blocks(
    width: int,
    halves: Sequence[bool],
    kernel: int,
    dilation: int,
    activation: str,
    normalization: str,
    dropout: float,
    dimensions: int,
    growth: int = 1,
    block: PlaneBlockName = "residual",
) -> list[ConvolutionBlock] | list[PlaneBlock] | list[ConvNeXtBlock]:
    """A residual block for each of `halves`, over sequences (`dimensions` 1) or planes (2); BadInput for others.

    Taps are `dilation` times as far apart as in the block before, and side by side again where the grid halves; there
    a block is `growth` times as wide as the one before. kernel 0 and dilation 0 are 5 and 2 along sequences, on planes
    1 for dilation and 3 taps, or 7 of "convnext". Along sequences every block is a ConvNeXt's, whatever `block`.
    """

    def act() -> nn.Module:
        return activation_called(activation)

    def norm(width: int) -> nn.Module:
        return normalization_called(normalization, width)

    if block not in get_args(PlaneBlockName):
        raise BadInput(f"A block on planes is residual or convnext, not '{block}'.")
    if growth < 1:
        raise BadInput(f"A convolution's growth at a halving is a factor of 1 or more, not {growth}.")
    each = widths(width, halves, growth)
    if dimensions == 1:
        apart = zip(each, _dilations(dilation or 2, halves), strict=True)
        return [ConvolutionBlock(wide, kernel or 5, taps, act(), norm(wide), dropout) for wide, taps in apart]
    if dimensions != 2:
        raise BadInput(f"Convolutions go over grids of 1 or 2 axes, not {dimensions}.")
    apart = zip(each, _dilations(dilation or 1, halves), strict=True)
    if block == "convnext":
        return [ConvNeXtBlock(wide, kernel or 7, taps, act(), norm(wide), dropout) for wide, taps in apart]
    return [PlaneBlock(wide, kernel or 3, taps, act(), (norm(wide), norm(wide)), dropout) for wide, taps in apart]


def widths(width: int, halves: Sequence[bool], growth: int = 1) -> list[int]:
    """The features of each block: `width`, and `growth` times as many after each halving."""
    return [width * growth ** sum(halves[: place + 1]) for place in range(len(halves))]


def _dilations(dilation: int, halves: Sequence[bool]) -> list[int]:
    found: list[int] = []
    for halve in halves:
        found.append(1 if halve or not found else found[-1] * dilation)
    return found
