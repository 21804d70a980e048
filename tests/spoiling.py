"""Ways to spoil a checkpoint: changes of its config.json, of its tensors, and of the other files beside them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Spoil = Callable[[Path], None]


def config(**changes: Any) -> Spoil:
    """Changes of config.json; None takes a key away."""

    def spoil(folder: Path) -> None:
        held = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({name: v for name, v in held.items() if v is not None}))

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Spoil:
    """A change of the tensors."""

    def spoil(folder: Path) -> None:
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors")

    return spoil


def written_in(name: str, **values: Any) -> Spoil:
    """What another JSON file says as well."""

    def spoil(folder: Path) -> None:
        path = folder / name
        held = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(held | values))

    return spoil
