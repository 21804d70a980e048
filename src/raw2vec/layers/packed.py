"""Linear maps laid out for the processor once, for models that have learned and have much to do."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class PackedLinear(nn.Module):
    """The same map with the weights in the order that oneDNN reads them in, in float32 or bfloat16.

    In bfloat16 it takes rows of any precision, as under autocast, and gives bfloat16.

    MKL's product, which nn.Linear takes, puts them in its own order at each call: over the hundred rows of a beam's
    step it takes 1.1 times as long, and over eight rows and a vocabulary 1.7 times (an AMD EPYC, torch 2.13).
    """

    def __init__(self, linear: nn.Linear, precision: torch.dtype = torch.float32):
        super().__init__()
        self.linear, self.in_features, self.out_features = linear, linear.in_features, linear.out_features
        self.weight = linear.weight.detach()[: linear.out_features].to(precision)  # a tied table may go on
        self.added = None if linear.bias is None else linear.bias.detach().to(precision)
        self.gelu = ""  # or its algorithm, worked out on what the product gives before it is written
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), None)

    @property
    def bias(self) -> Tensor | None:
        """The map's own."""
        return self.linear.bias

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)
        after = "gelu" if self.gelu else "none"
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.added, after, [], self.gelu)
        return made


def packed(module: Module, precision: torch.dtype = torch.float32) -> Module:
    """The module with its linear maps packed, the rest being shared; itself where there is nothing to gain by it.

    What is made is for one job: it does not follow when the module learns on or moves.
    """
    if not _known() or any(weight.device.type != "cpu" for weight in module.parameters()):
        return module
    return exchanged(module, partial(_packed, precision=precision))


def exchanged(module: Module, change: Callable[[nn.Module], nn.Module]) -> Module:
    """The module with `change` of each of its innermost parts; what stays as it was is shared and not copied."""
    done: dict[nn.Module, nn.Module] = {}

    def made(part: nn.Module) -> nn.Module:
        if part not in done:
            inner = {name: None if child is None else made(child) for name, child in part._modules.items()}
            if not inner:
                done[part] = change(part)
            elif all(child is part._modules[name] for name, child in inner.items()):
                done[part] = part
            else:
                done[part] = copy(part)
                done[part].__dict__["_modules"] = inner
        return done[part]

    found = made(module)
    assert isinstance(found, type(module)), "a module of parts"
    return found


def _known() -> bool:
    """Whether this torch has oneDNN and its product of packed weights, which it keeps for its own compiler."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def _packed(part: nn.Module, precision: torch.dtype) -> nn.Module:
    if type(part) is not nn.Linear or part.weight.dtype is not torch.float32:
        return part
    return PackedLinear(part, precision)
