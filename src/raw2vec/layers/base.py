"""What all attention shares: queries that look at keys, by whichever kernel is the quickest for them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from raw2vec.errors import BadInput

# Past this length explicit scores, 2 bytes each, would outgrow the flash kernel's saving of time.
_EXPLICIT = 1024


def attended(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Queries (B, H, T, W) to what they find among keys and values (B, H, S, W), scaled by 1/√W.

    allowed: which may look at which, bool, broadcast to (B, H, T, S); None: all at all.
    """
    short = max(query.shape[2], key.shape[2]) <= _EXPLICIT
    if query.device.type == "cpu" and query.itemsize == 2 and short:
        return _explicit(query, key, value, allowed)
    return scaled_dot_product_attention(query, key, value, attn_mask=allowed)


def _explicit(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None) -> Tensor:
    """The plain formula. In bfloat16 on a CPU the fused kernel's backward takes 4 to 6 times as long (torch 2.13)."""
    scores = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf"))
    return scores.softmax(-1) @ value


def refuse_uneven(width: int, heads: int) -> None:
    """BadInput for a width that the heads cannot share."""
    if width % heads:
        raise BadInput(f"{heads} heads cannot share {width} features evenly: choose a width that {heads} divides.")


def wide(values: Tensor) -> Tensor:
    """The values in float32 at least, in which sums and exponentials lose nothing."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
