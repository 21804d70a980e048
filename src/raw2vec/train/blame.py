"""Which layer, and which way, when a number stops being finite."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.ragged import Ragged

NOWHERE = "the loss itself"


def layer(modules: nn.Module, forward: Callable[[], object]) -> str:
    """The first layer whose output is not finite when `forward` runs, as 'layer encoder.layers.2.attention'."""
    found: list[str] = []

    def look(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, taken: Any, given: Any) -> None:
            if not found and not all(bool(tensor.isfinite().all()) for tensor in _tensors(given)):
                found.append(name)

        return hook

    handles = [module.register_forward_hook(look(name)) for name, module in modules.named_modules() if name]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return f"layer {found[0]}" if found else NOWHERE


def gradient(modules: nn.Module) -> str:
    """The first weight whose gradient is not finite."""
    for name, weight in modules.named_parameters():
        if weight.grad is not None and not bool(weight.grad.isfinite().all()):
            return f"the gradient of {name}"
    return "the gradients' norm"


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, Ragged):
        return _tensors(value.values)
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return []
