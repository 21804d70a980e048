"""Linear maps in int8, for models that have learned: several times as fast on CPUs that have VNNI, and a little off."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput

Module = TypeVar("Module", bound=nn.Module)
_LEVELS = 127  # symmetric: no zero point
_NARROW = 8  # inputs below which nothing is gained (and torch 2.13 errs where there is one)


class Int8Linear(nn.Module):
    """x Wᵀ + b for x (…, inputs), with whole numbers multiplied.

    Each output feature's weights have a scale of their own, found once, and so has each row of x, found as it comes
    (dynamic quantisation): a row's answer does not depend on the rows beside it. The relative error is about 1%.
    """

    weight: Tensor
    scales: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()[: linear.out_features].float()  # a tied table may go on
        scales = _scales(weight)
        self.register_buffer("weight", (weight / scales).round().to(torch.int8))
        self.register_buffer("scales", scales.squeeze(1))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features).float()
        scales = _scales(rows)
        whole = torch._int_mm((rows / scales).round_().to(torch.int8), self.weight.t())
        found = whole.float().mul_(scales).mul_(self.scales)
        if self.bias is not None:
            found.add_(self.bias)
        return found.view(*x.shape[:-1], self.out_features).to(x.dtype)


def in_int8(module: Module) -> Module:
    """A copy of the module whose linear maps are in int8; recurrences and convolutions stay as they are.

    BadInput for one that is not on the CPU.
    """
    if any(weight.device.type != "cpu" for weight in module.parameters()):
        raise BadInput("int8 is for CPUs: on a GPU bfloat16 is as fast, and nearer to the model.")
    made = deepcopy(module)
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.in_features >= _NARROW:
                setattr(parent, name, Int8Linear(child))
    return made.eval()


def _scales(rows: Tensor) -> Tensor:
    """What one step is worth in each row (n, D): (n, 1)."""
    return rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny * _LEVELS) / _LEVELS
