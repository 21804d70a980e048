"""PyTorch in int8: an encoder whose linear maps are rounded by the ranges of texts like those to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.engines.base import OnCores
from raw2vec.errors import BadInput
from raw2vec.layers import FeedForward
from raw2vec.layers.packed import exchanged
from raw2vec.layers.static_int8 import StaticInt8Linear, in_a_row, known
from raw2vec.models import AnyModel
from raw2vec.ragged import Ragged

Seen = Mapping[str, Tensor]
"""Between what each feature of what a linear map is given lies, (2, D), by the map's name within the encoder."""

Ranges = dict[nn.Linear, tuple[Tensor, Tensor]]
_NARROW = 32
"""Features of rows or of answers below which a product in int8 saves nothing."""

_ROOM = 0.125
"""Of a range, added at either end for what is still to come (measured: docs/log.md)."""


class Int8PyTorch(OnCores):
    """A model of `quantised` on each core. What is between its linear maps stays as it was."""

    name = "torch int8"


def quantised(model: AnyModel, windows: Sequence[Ragged] = (), seen: Seen | None = None) -> AnyModel:
    """The model with its encoder's linear maps in int8, by ranges `seen` before, else by those of these windows; the
    rest is shared.

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
    ranges = _with_room(model, _looked(model, windows) if seen is None else seen)
    rounded: dict[nn.Module, nn.Module] = {part: StaticInt8Linear.ranged(part, *ends) for part, ends in ranges.items()}
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


@contextmanager
def watched(model: AnyModel) -> Iterator[Seen]:
    """What the wide linear maps of its encoder are given within the block, on whatever thread it is run."""
    found: dict[str, Tensor] = {}
    lock = Lock()

    def looking(name: str) -> Any:
        def look(part: nn.Module, given: tuple[Tensor, ...]) -> None:
            least, most = given[0].detach().flatten(0, -2).float().aminmax(dim=0)
            with lock:
                before = found.get(name, (least, most))
                found[name] = torch.stack([torch.minimum(least, before[0]), torch.maximum(most, before[1])])

        return look

    hooks = [part.register_forward_pre_hook(looking(name)) for name, part in _wide(model).items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _in_a_row(layer: FeedForward, ranges: Ranges) -> dict[nn.Module, nn.Module]:
    """Its two maps, which pass levels to each other; none where another activation stands between."""
    kinds = {nn.GELU: "gelu", nn.ReLU: "relu"}
    if (after := kinds.get(type(layer.activation))) is None:
        return {}
    enter, leave = in_a_row(layer.enter, layer.leave, ranges[layer.enter], ranges[layer.leave])
    enter.after, enter.algorithm = after, getattr(layer.activation, "approximate", "")
    return {layer.enter: enter, layer.leave: leave}


def _looked(model: AnyModel, windows: Sequence[Ragged]) -> Seen:
    with watched(model) as seen, torch.inference_mode():
        for each in windows:
            model(each)
    return seen


def _with_room(model: AnyModel, seen: Seen) -> Ranges:
    """The ranges (D,) and (D,) of each map, with room for what is still to come."""
    found: Ranges = {}
    for name, part in _wide(model).items():
        if name in seen:
            least, most = seen[name]
            room = _ROOM * (most - least)
            found[part] = least - room, most + room
    return found


def _wide(model: AnyModel) -> dict[str, nn.Linear]:
    parts = {name: part for name, part in model.encoder.named_modules() if type(part) is nn.Linear}
    return {name: part for name, part in parts.items() if min(part.in_features, part.out_features) >= _NARROW}
