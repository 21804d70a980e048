"""A Dense of sentence-transformers' as the map that it is, and several in a row as one; obeyed whole, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.errors import BadFolder
from raw2vec.interchange.checkpoints.base import CONFIG, read, weights
from raw2vec.layers import ACTIVATIONS

_USUAL = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding", "use_residual": False}
_TANH = "torch.nn.modules.activation.Tanh"
_WEIGHT, _BIAS = "linear.weight", "linear.bias"


@dataclass(frozen=True)
class Map:
    """A linear map, and what follows it. weight: (given, taken) numbers. bias: (given,)."""

    weight: Tensor
    bias: Tensor
    activation: str = "identity"

    def after(self, before: Map) -> Map:
        """Both as one, where nothing follows `before`."""
        bias = (self.weight.double() @ before.bias.double() + self.bias).float()
        return Map((self.weight.double() @ before.weight.double()).float(), bias, self.activation)

    def first(self, numbers: int) -> Map:
        """The first numbers of what it gives."""
        return Map(self.weight[:numbers].contiguous(), self.bias[:numbers].contiguous(), self.activation)


def dense_in(place: Path, before: Map | None) -> Map:
    """The map in a folder of a Dense, and those before it. BadFolder for what its config.json and weights disagree in,
    and for what is not known here."""
    held = read(place / CONFIG)
    if other := next((name for name, usual in _USUAL.items() if (held.get(name) or usual) != usual), None):
        raise BadFolder(f"{place / CONFIG} has {other} {held[other]!r}, which a Dense cannot have here.")
    activation = _activation(held.get("activation_function", _TANH), place)
    matrix, bias = _weights(held, place)
    made = Map(matrix, bias, activation)
    if before is None:
        return made
    if before.activation != "identity":
        raise BadFolder(
            f"{place} follows a Dense with the activation '{before.activation}': of several, only the last has one "
            "here."
        )
    if matrix.shape[1] != len(before.weight):
        raise BadFolder(f"{place} takes {matrix.shape[1]} numbers, and is given {len(before.weight)}.")
    return made.after(before)


def unchanged(width: int) -> Map:
    """The map of every vector to itself."""
    return Map(torch.eye(width), torch.zeros(width))


def _activation(named: object, place: Path) -> str:
    """Our name of the activation at a path of torch.nn's; others' code is never run."""
    name = str(named).rsplit(".", 1)[-1]
    kind = getattr(nn, name, None)
    if not isinstance(kind, type) or named not in (f"torch.nn.{name}", f"{kind.__module__}.{name}"):
        raise BadFolder(
            f"{place / CONFIG} has the activation '{named}', which is none of torch.nn's, and code of its own is never "
            "run here."
        )
    found = next((ours for ours, made in ACTIVATIONS.items() if made is kind), None)
    if found is None:
        raise BadFolder(f"{place / CONFIG} has the activation '{name}', which is not known here.")
    return found


def _weights(held: Mapping[str, Any], place: Path) -> tuple[Tensor, Tensor]:
    """The matrix and the bias: zeros where config.json says that there is none."""
    tensors, biased = weights(place), bool(held.get("bias", True))
    wanted = (_WEIGHT, _BIAS) if biased else (_WEIGHT,)
    if missing := next((name for name in wanted if name not in tensors), None):
        raise BadFolder(f"{place} lacks the weight '{missing}', which its {CONFIG} calls for.")
    if extra := next((name for name in tensors if name not in wanted), None):
        why = "has no bias" if extra == _BIAS else "does not call for it"
        raise BadFolder(f"{place} holds the weight '{extra}', and its {CONFIG} {why}.")
    matrix = tensors[_WEIGHT]
    if matrix.dim() != 2:
        raise BadFolder(f"The weight '{_WEIGHT}' of {place} has {matrix.dim()} dimensions, and is a matrix.")
    for name, number, told in (("out_features", 0, "gives"), ("in_features", 1, "takes")):
        if held.get(name, matrix.shape[number]) != matrix.shape[number]:
            raise BadFolder(
                f"{place / CONFIG} has {name} {held[name]}, and its weight '{_WEIGHT}' {told} {matrix.shape[number]} "
                "numbers."
            )
    bias = tensors.get(_BIAS, matrix.new_zeros(len(matrix)))
    if bias.shape != (len(matrix),):
        raise BadFolder(f"The weight '{_BIAS}' of {place} is not one number for each of the {len(matrix)} it gives.")
    return matrix, bias
