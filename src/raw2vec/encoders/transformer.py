"""The transformer encoder: every row looks at every other, or at its neighbourhood. ModernBERT and BERT are two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn

from raw2vec.encoders.base import Encoder
from raw2vec.errors import BadInput
from raw2vec.layers import (
    Biases,
    Dropout,
    Layout,
    NormOrder,
    Relative,
    Rotary,
    Rotation,
    added_positions,
    begin,
    entry_norm,
    final_norm,
    soften,
    transformer_blocks,
)
from raw2vec.layers import hidden_features as hidden_features
from raw2vec.ragged import Ragged

# ModernBERT's (Warner et al. 2024): slow turns where rows look far, quick ones where they look near.
GLOBAL_BASE, LOCAL_BASE = 160_000.0, 10_000.0


class Transformer(Encoder):
    """(N, inputs) to (N, width). Where `inputs` is not `width`, a linear map stands at the entry.

    activation: any of ACTIVATIONS, or gated, one of GATES. feed_forward: hidden features; 0: four times the width, or
    as many weights' worth when gated (Shazeer 2020), in steps of 64. window: 0 looks at whole items; W lets layers look
    W // 2 rows to either side, but for every `global_every`-th, the first among them. limit: the longest item that
    learned positions are for; the others know none. "learned-relative" are learned positions, and a number for each
    distance added to how much rows look at each other (MPNet; Song et al. 2020). rotary_base: of the layers that look
    at whole items; 0: ModernBERT's. epsilon: what a norm adds to a variance; 0: 1e-12 in "post" order, else 1e-5.

    class_tokens: learned rows that go before every item's own (the first of ViT; Dosovitskiy et al. 2021), with which
    its grid is a sequence. causal: no row looks at later ones.

    "pre" order has no biases and ends in a normalisation: with rotary, geglu and layer it is ModernBERT to the bit.
    "pre-each" is "pre" with a norm of its own in the first block as well (mBART; Liu et al. 2020): CTranslate2's.
    "pre-only" is "pre-each" without a norm at the entry: with biases in "all", a class token and learned it is ViT.
    "post" order has biases: with learned, gelu and layer it is BERT (Devlin et al. 2019) without token types;
    with biases in the "norms" alone, rotary and swiglu it is NomicBERT (Nussbaum et al. 2024).
    "post-only" is "post" without a norm at the entry (Vaswani et al. 2017): Marian's (Junczys-Dowmunt et al. 2018).
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
        norm_order: NormOrder = "pre",
        positions: Literal["rotary", "learned", "learned-relative", "sinusoidal", "none"] = "rotary",
        window: int = 0,
        global_every: int = 3,
        limit: int = 512,
        dropout: float = 0.0,
        rotary_base: float = 0.0,
        epsilon: float = 0.0,
        biases: Biases = "usual",
        class_tokens: int = 0,
        causal: bool = False,
    ):
        super().__init__(inputs, width)
        if global_every < 1:
            raise BadInput(f"Every how many layers one looks at the whole item is 1 or more, not {global_every}.")
        if class_tokens < 0:
            raise BadInput(f"The class tokens before every item are 0 or more, not {class_tokens}.")
        norm = (normalization, width, norm_order, epsilon, biases)
        self.project = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.class_tokens, self.causal = class_tokens, causal
        self.first = nn.Parameter(0.02 * torch.randn(class_tokens, width)) if class_tokens else None
        self.positions = added_positions(positions, limit, width)
        self.normalization, self.dropout = entry_norm(*norm), Dropout(dropout)
        self.windows = [window if layer % global_every else 0 for layer in range(layers)]
        kind = (activation, normalization, norm_order, dropout, epsilon, biases, causal)
        blocks = transformer_blocks(width, heads, self.windows, feed_forward, *kind)
        self.layers = nn.ModuleList(blocks)
        self.final = final_norm(*norm)
        rotary = positions == "rotary"
        self.global_rotary = Rotary(width // heads, rotary_base or GLOBAL_BASE) if rotary else None
        self.local_rotary = Rotary(width // heads, LOCAL_BASE) if rotary else None
        self.distances = Relative(heads) if positions == "learned-relative" else None
        begin(self)
        soften([linear for block in blocks for linear in block.leaving])

    def layers_of(self, x: Ragged) -> Iterator[Ragged]:
        # Back to the type it came in: under autocast what the layers add up stays float32.
        x = self.positions(self._led(x.replace(self.project(x.values).to(x.values.dtype))))
        x = x.replace(self.dropout(self.normalization(x.values)))
        layout, rotations = Layout(x), self._rotations(x)
        distances = self.distances(int(x.lengths.max())) if self.distances is not None and len(x) else None
        for layer, window in zip(self.layers, self.windows, strict=True):
            yield x
            x = x.replace(layer(x.values, layout, rotations.get(window > 0), distances))
        yield x.replace(self.final(x.values))

    def _led(self, x: Ragged) -> Ragged:
        """The class tokens before each item's rows, which are a sequence from then on."""
        if self.first is None:
            return x
        values, before = x.values, len(self.first)
        item = torch.arange(len(x), device=values.device)
        rows = values.new_empty(len(values) + before * len(x), values.shape[1])
        own = torch.arange(len(values), device=values.device) + (x.owners + 1) * before
        place = torch.arange(before, device=values.device)
        first = ((x.offsets[:-1].to(values.device) + item * before)[:, None] + place).flatten()
        rows = rows.index_copy(0, own, values).index_copy(0, first, self.first.to(values.dtype).repeat(len(x), 1))
        places = place.new_empty(len(rows)).index_copy(0, own, x.places + before)
        return Ragged.placed(rows, x.lengths[:, None] + before, places.index_copy(0, first, place.repeat(len(x))))

    def _rotations(self, x: Ragged) -> dict[bool, Rotation]:
        """Of the layers that look at whole items (False) and of those with a window (True); none without rotary."""
        if self.global_rotary is None or self.local_rotary is None:
            return {}
        kinds = {window > 0 for window in self.windows}
        return {near: (self.local_rotary if near else self.global_rotary)(x) for near in kinds}
