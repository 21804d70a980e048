"""Checkpoints: all that training needs to go on as if nothing had happened, in one file that is whole or not there."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from raw2vec.disk import drafts
from raw2vec.errors import BadFolder


def write(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Tensors and a JSON-able state, on the disk for good before they take the place of the last ones."""
    partial = path.with_suffix(".partial")
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with drafts(partial):
        save_file(own, partial, metadata={"state": json.dumps(state)})
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `write` wrote last, or None when it never finished."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118 - not a dict
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadFolder(f"{path} is damaged ({error}); delete it to train from the beginning.") from None


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
