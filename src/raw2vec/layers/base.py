"""What layers share: dropout that draws fast, and queries that look at keys by whichever kernel is the quickest."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from raw2vec.errors import BadInput

# Past this length explicit scores, 2 bytes each, would outgrow the flash kernel's saving of time.
_EXPLICIT = 1024
_FEW = {torch.bfloat16: 128, torch.float32: 24}  # keys whose softmax without gradients is dearer than exponentials
_FAR = 60.0  # exponents to either side of 0 whose sums over so few keys neither over- nor underflow in these
_LEVELS = 1 << 16  # of a draw for dropout: a share is met to within a hundred-thousandth


class Dropout(nn.Dropout):
    """nn.Dropout (Srivastava et al. 2014). On a CPU it takes a fifth of the time that torch's takes.

    torch draws number by number, which was a twelfth of a small translator's step. Here its generator gives a seed for
    each call, so that what follows torch's seed still does, and numpy's SFC64 fills the rest, two bytes an element.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not 0 < self.p < 1 or x.device.type != "cpu":
            return super().forward(x)
        seed = int(torch.randint(1 << 62, ()))
        drawn = np.random.SFC64(seed).random_raw(-(-x.numel() // 4)).view(np.int16)[: x.numel()]
        dropped = min(round(self.p * _LEVELS), _LEVELS - 1)
        kept = torch.from_numpy(drawn >= np.int16(dropped - _LEVELS // 2)).view(x.shape)
        return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def attended(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Queries (B, H, T, W) to what they find among keys and values (B, H, S, W), scaled by 1/√W.

    allowed: which may look at which, bool, or numbers added to the scores, broadcast to (B, H, T, S); None: all at all.
    """
    if query.device.type == "cpu" and max(query.shape[2], key.shape[2]) <= _explicit_up_to(query, allowed):
        return _explicit(query, key, value, allowed)
    return scaled_dot_product_attention(query, key, value, attn_mask=allowed)


def _explicit(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None) -> Tensor:
    """The plain formula."""
    scores = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf")) if allowed.dtype is torch.bool else scores + allowed
    return weighed(scores, value)


def weighed(scores: Tensor, values: Tensor) -> Tensor:
    """softmax(scores) @ values, of (…, T, S) and (…, S, W).

    torch's softmax takes up to 9 ns a number in rows of a few, an exponential 0.5: there the outcome is divided by the
    sums instead, unless a score lies too far from 0 for it (measured: docs/log.md).
    """
    few = scores.shape[-1] <= _FEW.get(scores.dtype, 0) and scores.device.type == "cpu" and scores.numel()
    if few and not torch.is_grad_enabled() and float(scores.amax()) < _FAR:
        chances = scores.exp()
        total = chances.sum(-1, keepdim=True)
        if float(total.amin()) > math.exp(-_FAR):
            return (chances @ values).div_(total)
    return scores.softmax(-1) @ values


def _explicit_up_to(query: Tensor, allowed: Tensor | None) -> int:
    """How many rows may look at each other by the plain formula; beyond, the fused kernel is quicker.

    In bfloat16 its backward takes 4 to 6 times as long (torch 2.13), and without a mask its forward longer, too.
    """
    if query.itemsize == 2 and (allowed is None or torch.is_grad_enabled()):
        return _EXPLICIT
    return 0 if torch.is_grad_enabled() else _FEW.get(query.dtype, 0)


def refuse_uneven(width: int, heads: int) -> None:
    """BadInput for a width that the heads cannot share."""
    if width % heads:
        raise BadInput(f"{heads} heads cannot share {width} features evenly: choose a width that {heads} divides.")


def wide(values: Tensor) -> Tensor:
    """The values in float32 at least, in which sums and exponentials lose nothing."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
