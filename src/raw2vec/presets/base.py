"""What all presets share: how large each encoder is at each size, and what is known of a model that is begun from."""

from __future__ import annotations

from typing import Any, NamedTuple

from raw2vec.recipe import Recipe


class Start(NamedTuple):
    """The recipe of the checkpoint that a fit begins from, and how many numbers its vectors have."""

    recipe: Recipe
    width: int


SIZES: dict[str, dict[str, dict[str, int]]] = {
    "tiny": {
        "dense": {"width": 256, "layers": 0},
        "recurrent": {"width": 128, "layers": 1},
        "convolutional": {"width": 128, "layers": 2},
        "transformer": {"width": 128, "layers": 2, "heads": 2},
    },
    "small": {
        "dense": {"width": 512, "layers": 0},
        "recurrent": {"width": 256, "layers": 1},
        "convolutional": {"width": 256, "layers": 3},
        "transformer": {"width": 256, "layers": 4, "heads": 4},
    },
    "base": {
        "dense": {"width": 1024, "layers": 0},
        "recurrent": {"width": 512, "layers": 2},
        "convolutional": {"width": 512, "layers": 6},
        "transformer": {"width": 512, "layers": 8, "heads": 8},
    },
}


def sized(part: dict[str, Any], size: str) -> dict[str, Any]:
    """An encoder or decoder as asked for, what was left open filled in by the size."""
    return {**SIZES[size].get(str(part.get("name")), {}), **part}


PLANES: dict[str, dict[str, int]] = {
    "tiny": {"width": 32, "layers": 4, "halvings": 2},
    "small": {"width": 64, "layers": 4, "halvings": 2},
    "base": {"width": 128, "layers": 4, "halvings": 2},
}
"""Convolutions there and back over grids of two axes: each row costs the square of the width nine times."""
