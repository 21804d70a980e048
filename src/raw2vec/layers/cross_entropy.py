"""Cross-entropy of states through a vocabulary's table, without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_ROWS = 256  # at a time on a CPU: their logits, float32, stay within the caches
_LOGITS = 1 << 27  # at a time on a GPU, which rows by the hundred would keep waiting
_KEPT = 1 << 24  # slopes that are kept, in the narrow type, until the table's gradient is made of them at once


class _CrossEntropy(torch.autograd.Function):
    """The gradients are worked out with the losses: no more than _KEPT numbers of the logits' size are ever held.

    Through autograd the same takes 1.9 times as long on a CPU (2,048 rows, 8,000 words, bfloat16; docs/log.md).
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, table: Tensor, bias: Tensor, ids: Tensor, smoothing: float, consistency: float
    ) -> tuple[Tensor, Tensor]:
        dtype = torch.get_autocast_dtype(states.device.type) if _autocast(states) else states.dtype
        wide = torch.promote_types(dtype, torch.float32)
        seen, known = states.to(dtype), table.to(dtype)
        costs, smoothed = (states.new_empty(len(states), dtype=wide) for _ in range(2))
        to_states, to_table = torch.empty_like(seen), torch.zeros_like(table, dtype=wide)
        to_bias, apart = torch.zeros_like(bias, dtype=wide), states.new_zeros((), dtype=wide)
        learning = any(ctx.needs_input_grad)
        rows_at_once = max(_LOGITS // len(table), _ROWS) if states.is_cuda else _ROWS
        rows_at_once -= rows_at_once % 2  # for two readings of one id are told apart together
        size = max(_KEPT // len(table) // rows_at_once, 1) * rows_at_once
        with torch.autocast(states.device.type, enabled=False):
            for begin in range(0, len(states), size):
                kept = seen.new_empty(min(size, len(states) - begin) if learning else 0, len(table))
                for start in range(begin, min(begin + size, len(states)), rows_at_once):
                    rows = slice(start, min(start + rows_at_once, begin + size))
                    part, target = seen[rows], ids[rows, None]
                    logits = (part @ known.T).to(wide).add_(bias)
                    chances, total = _softmax(logits, target)
                    costs[rows] = total - logits.gather(1, target)[:, 0]
                    smoothed[rows] = total - logits.mean(-1) if smoothing else costs[rows]
                    if consistency:
                        between, towards = _divergence(chances, logits - total[:, None])
                        apart += between
                    if learning:
                        slopes = chances.scatter_add_(1, target, chances.new_full(target.shape, smoothing - 1))
                        slopes = slopes.sub_(smoothing / len(table)) if smoothing else slopes
                        slopes = slopes.add_(towards, alpha=consistency) if consistency else slopes
                        to_bias += slopes.sum(0)
                        narrow = kept[start - begin : start - begin + len(part)].copy_(slopes)
                        to_states[rows] = narrow @ known
                if learning:
                    to_table += kept.T @ seen[begin : begin + size]
        ctx.save_for_backward(to_states, to_table, to_bias)
        ctx.dtypes = states.dtype, table.dtype, bias.dtype
        ctx.mark_non_differentiable(costs)
        return ((1 - smoothing) * costs + smoothing * smoothed).sum() + consistency * apart, costs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        found = (part.to(dtype) * slopes[0] for part, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True))
        return (*found, None, None, None)


def cross_entropy(
    states: Tensor, table: Tensor, bias: Tensor, ids: Tensor, smoothing: float = 0.0, consistency: float = 0.0
) -> tuple[Tensor, Tensor]:
    """How unlikely a table (V, D) with a bias (V,) finds the ids (N,) after states (N, D), in nats.

    Gives the sum to be minimised, a scalar, of which a share `smoothing` is the mean over all words instead (label
    smoothing, Szegedy et al. 2016); and the plain cost of each id, (N,), without a gradient. consistency: how much is
    added of the divergence, both ways, between what is told of rows 2i and 2i + 1, two readings of one id (R-Drop,
    Liang et al. 2021); N is even then.
    """
    if not torch.is_grad_enabled():  # under which parameters still ask for their gradients
        states, table, bias = states.detach(), table.detach(), bias.detach()
    found: tuple[Tensor, Tensor] = _CrossEntropy.apply(states, table, bias, ids, smoothing, consistency)
    return found


def _softmax(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The softmax of logits (n, V), and their logsumexp (n,), which the target's chance and logit tell."""
    if logits.is_cuda:  # whether a chance is too small is not asked there: the answer would have to be waited for
        total = logits.logsumexp(-1)
        return (logits - total[:, None]).exp_(), total
    chances = logits.softmax(-1)
    total = (logits.gather(1, target) - chances.gather(1, target).log())[:, 0]
    # A chance may be too small for a number.
    return chances, total if bool(total.isfinite().all()) else logits.logsumexp(-1)


def _divergence(chances: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
    """KL(p‖q) + KL(q‖p) summed over pairs of rows, of chances and their logs (2n, V), and its slopes by the logits."""
    p, q = chances.unflatten(0, (-1, 2)).unbind(1)
    ahead = logs[0::2] - logs[1::2]
    there, back = (p * ahead).sum(-1, keepdim=True), -(q * ahead).sum(-1, keepdim=True)
    slopes = torch.stack([p * (ahead - there) + (p - q), q * (-ahead - back) + (q - p)], dim=1)
    return there.sum() + back.sum(), slopes.flatten(0, 1)


def _autocast(states: Tensor) -> bool:
    return torch.is_autocast_enabled(states.device.type)
