"""The transformer encoder: every row looks at every other, or at its neighbourhood. ModernBERT and BERT are two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn

from raw2vec.encoders.base import Encoder, begin, soften
from raw2vec.errors import BadInput
from raw2vec.layers import (
    GATES,
    FeedForward,
    GatedFeedForward,
    Layout,
    Learned,
    Rotary,
    Rotation,
    SelfAttention,
    Sinusoidal,
)
from raw2vec.layers import activation as activation_called
from raw2vec.layers import normalization as normalization_called
from raw2vec.ragged import Ragged

# ModernBERT's (Warner et al. 2024): slow turns where rows look far, quick ones where they look near.
GLOBAL_BASE, LOCAL_BASE = 160_000.0, 10_000.0


class Block(nn.Module):
    """Attention, then feed-forward, each added to what it was given: (N, D) to (N, D).

    norm_order "pre" normalises what each is given (Xiong et al. 2020), "post" the sum (Vaswani et al. 2017).
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
        self.norm_order = norm_order

    def forward(self, x: Tensor, layout: Layout, rotation: Rotation | None) -> Tensor:
        if self.norm_order == "pre":
            x = x + self.attention(self.attention_norm(x), layout, rotation)
            thought: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
            return thought
        x = self.attention_norm(x + self.attention(x, layout, rotation))
        normed: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return normed


class Transformer(Encoder):
    """(N, inputs) to (N, width). Where `inputs` is not `width`, a linear map stands at the entry.

    activation: any of ACTIVATIONS, or gated, one of GATES. feed_forward: hidden features; 0: four times the width, or
    as many weights' worth when gated (Shazeer 2020), in steps of 64. window: 0 looks at whole items; W lets layers look
    W // 2 rows to either side, but for every `global_every`-th, the first among them. limit: the longest item that
    learned positions are for; the others know none.

    "pre" order has no biases and ends in a normalisation: with rotary, geglu and layer it is ModernBERT to the bit.
    "post" order has biases: with learned, gelu and layer it is BERT (Devlin et al. 2019) without token types.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 256,
        layers: int = 4,
        heads: int = 4,
        feed_forward: int = 0,
        activation: str = "geglu",
        normalization: str = "layer",
        norm_order: Literal["pre", "post"] = "pre",
        positions: Literal["rotary", "learned", "sinusoidal", "none"] = "rotary",
        window: int = 0,
        global_every: int = 3,
        limit: int = 512,
        dropout: float = 0.0,
    ):
        super().__init__(inputs, width)
        if norm_order not in ("pre", "post"):
            raise BadInput(f"The norm order is pre or post, not '{norm_order}'.")
        if global_every < 1:
            raise BadInput(f"Every how many layers one looks at the whole item is 1 or more, not {global_every}.")
        pre = norm_order == "pre"

        def norm() -> nn.Module:
            return normalization_called(normalization, width, bias=not pre, eps=1e-5 if pre else 1e-12)

        self.project = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.positions = _added(positions, limit, width)
        self.normalization, self.dropout = norm(), nn.Dropout(dropout)
        self.windows = [window if layer % global_every else 0 for layer in range(layers)]
        blocks = []
        for layer, reach in enumerate(self.windows):
            attention = SelfAttention(width, heads, reach, bias=not pre, dropout=dropout)
            feed = _feed_forward(width, feed_forward, activation, bias=not pre, dropout=dropout)
            # The first layer of a pre-norm stack takes what the embedding's own norm has just given.
            before = nn.Identity() if pre and layer == 0 else norm()
            blocks.append(Block(attention, feed, before, norm(), norm_order))
        self.layers = nn.ModuleList(blocks)
        self.final = norm() if pre else nn.Identity()
        rotary = positions == "rotary"
        self.global_rotary = Rotary(width // heads, GLOBAL_BASE) if rotary else None
        self.local_rotary = Rotary(width // heads, LOCAL_BASE) if rotary else None
        begin(self)
        soften([linear for block in blocks for linear in (block.attention.leave, block.feed_forward.leave)])

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = self.positions(x.replace(self.project(x.values).to(x.values.dtype)))
        x = x.replace(self.dropout(self.normalization(x.values)))
        layout, rotations = Layout(x), self._rotations(x)
        for layer, window in zip(self.layers, self.windows, strict=True):
            yield x
            x = x.replace(layer(x.values, layout, rotations.get(window > 0)))
        yield x.replace(self.final(x.values))

    def _rotations(self, x: Ragged) -> dict[bool, Rotation]:
        """Of the layers that look at whole items (False) and of those with a window (True); none without rotary."""
        if self.global_rotary is None or self.local_rotary is None:
            return {}
        kinds = {window > 0 for window in self.windows}
        return {near: (self.local_rotary if near else self.global_rotary)(x) for near in kinds}


def hidden_features(width: int, feed_forward: int, activation: str) -> int:
    """What a `feed_forward` of 0 stands for: four times the width, two thirds of it when gated, in steps of 64."""
    return feed_forward or (-(-8 * width // 192) * 64 if activation in GATES else 4 * width)


def _added(positions: str, limit: int, width: int) -> nn.Module:
    """Positions that are added to the rows; rotary ones come in at each attention instead."""
    if positions == "learned":
        return Learned(limit, width)
    if positions == "sinusoidal":
        return Sinusoidal(width)
    if positions in ("rotary", "none"):
        return nn.Identity()
    raise BadInput(f"Positions are rotary, learned, sinusoidal or none, not '{positions}'.")


def _feed_forward(width: int, hidden: int, name: str, bias: bool, dropout: float) -> FeedForward | GatedFeedForward:
    hidden = hidden_features(width, hidden, name)
    if name in GATES:
        return GatedFeedForward(width, hidden, activation_called(GATES[name]), bias, dropout)
    return FeedForward(width, hidden, activation_called(name), bias, dropout)
