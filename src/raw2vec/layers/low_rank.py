"""Low-rank adapters: a linear map is left as it is, and a narrow one beside it learns (LoRA; Hu et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from raw2vec.layers.base import Dropout


class LowRank(nn.Linear):
    """x · (W + alpha / rank · up · down)ᵀ + bias, (N, inputs) to (N, outputs), of which only `down` and `up` learn.

    It begins as the map that it stands for, whose weights it holds: `up` is zero. rate: how many times as large its
    steps are to be as those of other weights.
    """

    def __init__(self, of: nn.Linear, rank: int, alpha: float, dropout: float = 0.0, rate: float = 1.0):
        super().__init__(of.in_features, of.out_features, bias=of.bias is not None, device="meta")
        self.weight, self.bias = of.weight, of.bias
        self.down = nn.Parameter(of.weight.new_empty(rank, of.in_features).normal_(std=of.in_features**-0.5))
        self.up = nn.Parameter(of.weight.new_zeros(of.out_features, rank))
        self.scale, self.rate, self.dropout = alpha / rank, rate, Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        beside = linear(linear(self.dropout(x), self.down), self.up)
        return super().forward(x) + self.scale * beside

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One map that gives the same, of the very weights that this one holds."""
        made = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        made.weight, made.bias = self.weight, self.bias
        made.weight.add_(self.up @ self.down, alpha=self.scale)
        return made


def adapt(module: nn.Module, rank: int, alpha: float, dropout: float, rate: float) -> list[LowRank]:
    """Adapters for every linear map within the module, whose other weights learn no more; again, the same ones.

    No adapter where there is no linear map.
    """
    module.requires_grad_(False)
    for parent in list(module.modules()):
        for name, inner in list(parent.named_children()):
            if type(inner) is nn.Linear:
                setattr(parent, name, LowRank(inner, rank, alpha, dropout, rate))
    found = [inner for inner in module.modules() if isinstance(inner, LowRank)]
    for adapter in found:
        adapter.down.requires_grad_(True)
        adapter.up.requires_grad_(True)
    return found


def merge(module: nn.Module) -> None:
    """Works the adapters within the module into its maps, and lets all its weights learn again."""
    for parent in list(module.modules()):
        for name, inner in list(parent.named_children()):
            if isinstance(inner, LowRank):
                setattr(parent, name, inner.merged())
    module.requires_grad_(True)
