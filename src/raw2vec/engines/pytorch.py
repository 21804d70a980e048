"""PyTorch itself as an engine: in the precision that it is asked for, or in bfloat16 with the weights laid out once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raw2vec.engines.base import Engine, OnCores
from raw2vec.layers import FeedForward
from raw2vec.layers.packed import PackedLinear
from raw2vec.models import AnyModel
from raw2vec.ragged import Ragged

_GPU_TOKENS = 1 << 16
"""Rows a batch on a GPU, which fewer would keep waiting for the next kernel (by reading, no figure of a card yet)."""


class PyTorch(Engine):
    """The model where it is, under autocast where bfloat16 is asked for."""

    def __init__(self, model: AnyModel, precision: torch.dtype = torch.float32):
        self.model, self.precision = model, precision
        self.name = "torch" if precision is torch.float32 else "torch bfloat16"
        if next(model.parameters()).is_cuda:
            self.tokens, self.workers = _GPU_TOKENS, 2  # one batch is launched while another's vectors are waited for

    def run(self, windows: Ragged) -> Tensor:
        ids = windows.to(next(self.model.parameters()).device)
        with autocast(ids.values.device, self.precision):
            vectors: Tensor = self.model(ids)
        return vectors.float().cpu()


class PackedPyTorch(OnCores):
    """The arithmetic of bfloat16 on each core.

    model: one that was packed in bfloat16 for this alone. What is between linear maps stays float32, as under autocast;
    a GELU is worked out as the product before it is written.
    """

    name = "torch bfloat16"

    def __init__(self, model: AnyModel):
        super().__init__(model)
        for part in model.modules():
            if (
                isinstance(part, FeedForward)
                and isinstance(part.enter, PackedLinear)
                and isinstance(part.activation, nn.GELU)
            ):
                part.enter.gelu, part.activation = part.activation.approximate, nn.Identity()


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """bfloat16 where asked for; in float32 nothing changes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16)
