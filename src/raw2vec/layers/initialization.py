"""How weights start: maps that keep the scale of what they are given, and residual layers that share it."""

from collections.abc import Sequence

import torch
from torch import nn


def begin(module: nn.Module) -> None:
    """Linear maps and convolutions start by LeCun's rule (1998), which keeps the scale, and without biases."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear | nn.Conv2d):
            taken = inner.weight[0].numel()
            nn.init.trunc_normal_(inner.weight, std=taken**-0.5, a=-1.0, b=1.0)
            if inner.bias is not None:
                nn.init.zeros_(inner.bias)


def soften(leaving: Sequence[nn.Linear | nn.Conv2d]) -> None:
    """What many residual layers add up shall have the scale of one: each is scaled by 1/√count (GPT-2)."""
    with torch.no_grad():
        for last in leaving:
            last.weight.mul_(len(leaving) ** -0.5)
