"""Where a model works, and in which precision: by name, or by what is here."""

from __future__ import annotations

import torch

from raw2vec.engines.base import quick_bfloat16
from raw2vec.errors import BadInput, nearest
from raw2vec.memory import keep_freed
from raw2vec.train.distributed import own_gpu


def device_called(name: str | None) -> torch.device:
    """The device of this name; none: a GPU where there is one, else the CPU. BadInput for one that is not there.

    On a CPU, what is freed is kept for what comes next.
    """
    found = _named(name)
    if found.type == "cpu":
        keep_freed()
    return found


def _named(name: str | None) -> torch.device:
    if name is None:
        return torch.device(own_gpu() if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
    except RuntimeError:
        close = nearest(name, ("cpu", "cuda"))
        raise BadInput(f"There is no device '{name}'.{close} Give cpu, cuda or cuda:0.") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise BadInput(f"The device '{name}' needs a GPU and a torch that can use it, which are not here: give cpu.")
    return found


def working_precision(name: str, device: torch.device) -> torch.dtype:
    """float32 or bfloat16; `auto` takes bfloat16 where the hardware multiplies it fast (without: 44 times slower)."""
    if name not in ("auto", "float32", "bfloat16"):
        raise BadInput(f"The precision is float32, bfloat16 or auto, not '{name}'.")
    if name == "auto":
        return torch.bfloat16 if quick_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32
