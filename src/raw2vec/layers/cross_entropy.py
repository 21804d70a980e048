"""Cross-entropy of states through a vocabulary's table, without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_ROWS = 256  # at a time: their logits, float32, stay within the caches


class _CrossEntropy(torch.autograd.Function):
    """The gradients are worked out with the losses: nothing of the size of the logits outlives its chunk.

    Through autograd the same takes 1.6 times as long on a CPU (2,048 rows, 8,000 words, bfloat16; docs/log.md).
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, table: Tensor, bias: Tensor, ids: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        dtype = torch.get_autocast_dtype(states.device.type) if _autocast(states) else states.dtype
        wide = torch.promote_types(dtype, torch.float32)
        seen, known = states.to(dtype), table.to(dtype)
        costs, smoothed = (states.new_empty(len(states), dtype=wide) for _ in range(2))
        to_states, to_table = torch.empty_like(seen), torch.zeros_like(table, dtype=wide)
        to_bias = torch.zeros_like(bias, dtype=wide)
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, len(states), _ROWS):
                rows = slice(start, start + _ROWS)
                part, target = seen[rows], ids[rows, None]
                logits = (part @ known.T).to(wide).add_(bias)
                total = logits.logsumexp(-1)
                costs[rows] = total - logits.gather(1, target)[:, 0]
                smoothed[rows] = total - logits.mean(-1)
                if not any(ctx.needs_input_grad):
                    continue
                slopes = logits.sub_(total[:, None]).exp_().sub_(smoothing / logits.shape[1])
                slopes.scatter_add_(1, target, slopes.new_full(target.shape, smoothing - 1))
                to_bias += slopes.sum(0)
                narrow = slopes.to(dtype)
                to_states[rows] = narrow @ known
                to_table += narrow.T @ part
        ctx.save_for_backward(to_states, to_table, to_bias)
        ctx.dtypes = states.dtype, table.dtype, bias.dtype
        ctx.mark_non_differentiable(costs)
        return ((1 - smoothing) * costs + smoothing * smoothed).sum(), costs

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        found = (part.to(dtype) * slopes[0] for part, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True))
        return (*found, None, None)


def cross_entropy(
    states: Tensor, table: Tensor, bias: Tensor, ids: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """How unlikely a table (V, D) with a bias (V,) finds the ids (N,) after states (N, D), in nats.

    Gives the sum to be minimised, a scalar, of which a share `smoothing` is the mean over all words instead (label
    smoothing, Szegedy et al. 2016); and the plain cost of each id, (N,), without a gradient.
    """
    found: tuple[Tensor, Tensor] = _CrossEntropy.apply(states, table, bias, ids, smoothing)
    return found


def _autocast(states: Tensor) -> bool:
    return torch.is_autocast_enabled(states.device.type)
