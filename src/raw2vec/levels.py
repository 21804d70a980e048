"""What int8 arithmetic needs to know of a model beforehand, found in items of one's own and kept in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

FILE = "int8.safetensors"
"""In a model's folder: the levels of each side that was calibrated."""


@dataclass(frozen=True)
class Levels:
    """Between what each feature of what an encoder's linear maps are given lies, in items that are `told` in words.

    held: (2, D) of each map, by its name within the encoder. model: the fingerprint of the model they were found for.
    """

    held: Mapping[str, NDArray[np.float32]]
    model: str
    told: str

    def seen(self) -> dict[str, Tensor]:
        """The same as an engine takes them."""
        return {name: torch.from_numpy(ranges) for name, ranges in self.held.items()}

    @property
    def digest(self) -> str:
        """What tells vectors by these levels from vectors by others: 16 hex digits."""
        found = blake2b(digest_size=8)
        for name, ranges in sorted(self.held.items()):
            found.update(name.encode() + ranges.tobytes())
        return found.hexdigest()


def write(folder: Path, levels: Mapping[str, Levels]) -> None:
    """Keeps the levels of each side in a model's folder; nothing where there are none."""
    if levels:
        about = {side: json.dumps({"model": each.model, "told": each.told}) for side, each in levels.items()}
        held = {f"{side}/{name}": ranges for side, each in levels.items() for name, ranges in each.held.items()}
        save_file(held, folder / FILE, about)


def read(path: Path) -> dict[str, Levels]:
    """What `write` wrote to such a file."""
    with safe_open(path, framework="numpy") as file:
        about = {side: json.loads(each) for side, each in file.metadata().items()}
        held: dict[str, dict[str, NDArray[np.float32]]] = {side: {} for side in about}
        for key in file.keys():  # noqa: SIM118 (a file of safetensors is no mapping)
            side, _, name = key.partition("/")
            held[side][name] = file.get_tensor(key)
    return {side: Levels(held[side], **each) for side, each in about.items()}
