"""PyTorch in int8: an encoder whose linear maps are rounded by the ranges of texts like those to come."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from raw2vec.engines.base import Engine
from raw2vec.errors import BadInput
from raw2vec.layers import FeedForward
from raw2vec.layers.packed import exchanged
from raw2vec.layers.static_int8 import StaticInt8Linear, in_a_row, known
from raw2vec.models import AnyModel
from raw2vec.ragged import Ragged
from raw2vec.workers import cores

Ranges = dict[nn.Linear, tuple[Tensor, Tensor]]
_NARROW = 32
"""Features of rows or of answers below which a product in int8 saves nothing."""

_ROOM = 0.125
"""Of a range, added at either end for what is still to come (measured: docs/log.md)."""


class Int8PyTorch(Engine):
    """A model of `quantised`, a batch on each core. What is between its linear maps stays as it was."""

    name = "torch int8"
    tokens = 2048  # as in bfloat16

    def __init__(self, model: AnyModel):
        self.model, self.workers = model, cores()

    def run(self, windows: Ragged) -> Tensor:
        vectors: Tensor = self.model(windows)
        return vectors.float()


def quantised(model: AnyModel, windows: Sequence[Ragged]) -> AnyModel:
    """The model with its encoder's linear maps in int8, by the ranges seen in these windows; the rest is shared.

    BadInput where there is nothing to gain: no such processor, or no maps wide enough.
    """
    if not known() or any(weight.device.type != "cpu" for weight in model.parameters()):
        raise BadInput(
            "PyTorch in int8 needs a CPU that multiplies it (AVX512-VNNI): take --precision bfloat16 or float32, or "
            "--engine openvino or onnx."
        )
    if not gains(model):
        raise BadInput(
            f"Nothing of this model would gain by int8: its encoder has no linear map of {_NARROW} features or more. "
            "Take --precision bfloat16 or float32."
        )
    ranges = _ranges(model, windows)
    rounded: dict[nn.Module, nn.Module] = {part: StaticInt8Linear.ranged(part, *seen) for part, seen in ranges.items()}
    for part in model.encoder.modules():
        if isinstance(part, FeedForward) and part.enter in ranges and part.leave in ranges:
            rounded |= _in_a_row(part, ranges)
    made = exchanged(model, lambda part: rounded.get(part, part))
    for part in made.modules():
        if isinstance(part, FeedForward) and getattr(part.enter, "after", "none") != "none":
            part.activation = nn.Identity()  # a copy's own: worked out with the product
    return made


def gains(model: AnyModel) -> bool:
    """Whether its encoder has linear maps that are worth rounding."""
    return bool(_wide(model))


def _in_a_row(layer: FeedForward, ranges: Ranges) -> dict[nn.Module, nn.Module]:
    """Its two maps, which pass levels to each other; none where another activation stands between."""
    kinds = {nn.GELU: "gelu", nn.ReLU: "relu"}
    if (after := kinds.get(type(layer.activation))) is None:
        return {}
    enter, leave = in_a_row(layer.enter, layer.leave, ranges[layer.enter], ranges[layer.leave])
    enter.after, enter.algorithm = after, getattr(layer.activation, "approximate", "")
    return {layer.enter: enter, layer.leave: leave}


def _ranges(model: AnyModel, windows: Sequence[Ragged]) -> Ranges:
    """Between what each feature of what its encoder's wide linear maps are given lies, (D,) and (D,)."""
    found: Ranges = {}

    def look(part: nn.Linear, given: tuple[Tensor, ...]) -> None:
        least, most = given[0].flatten(0, -2).float().aminmax(dim=0)
        before = found.get(part, (least, most))
        found[part] = torch.minimum(least, before[0]), torch.maximum(most, before[1])

    hooks = [part.register_forward_pre_hook(look) for part in _wide(model)]
    try:
        with torch.inference_mode():
            for each in windows:
                model(each)
    finally:
        for hook in hooks:
            hook.remove()
    for part, (least, most) in found.items():
        room = _ROOM * (most - least)
        found[part] = least - room, most + room
    return found


def _wide(model: AnyModel) -> list[nn.Linear]:
    parts = [part for part in model.encoder.modules() if type(part) is nn.Linear]
    return [part for part in parts if min(part.in_features, part.out_features) >= _NARROW]
