"""Handwritten digits from a file of one's own: MNIST as it is, and in black and white as likelihoods are told of it."""

from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]


def grey(path: Path) -> tuple[Pictures, Pictures]:
    """MNIST's 60,000 training and 10,000 test pictures, (n, 28, 28) from 0 to 255, from an .npz of `xtr` and `xte`."""
    held = _opened(path, ("xtr", "xte"), "MNIST's training and test pictures, uint8 (n, 28, 28)")
    return held["xtr"], held["xte"]


def binary(path: Path) -> tuple[Pictures, Pictures, Pictures]:
    """The static binarisation (Larochelle & Murray 2011), train, valid and test, (n, 28, 28) of 0 and 255.

    From an .npz of `train`, `valid` and `test`, each (n, 98), eight pixels a byte.
    """
    names = ("train", "valid", "test")
    held = _opened(path, names, "the static binarisation of MNIST, uint8 (n, 98), eight pixels a byte")
    train, valid, test = (255 * np.unpackbits(held[name], axis=1).reshape(-1, 28, 28) for name in names)
    return train, valid, test


def _opened(path: Path, names: tuple[str, ...], what: str) -> dict[str, Any]:
    wanted = f"this benchmark reads an .npz that holds {', '.join(names)}: {what}."
    if not path.is_file():
        raise typer.BadParameter(f"There is no file {path}; {wanted}", param_hint="--data")
    with np.load(path) as held:
        if missing := [name for name in names if name not in held.files]:
            raise typer.BadParameter(f"{path} has no '{missing[0]}'; {wanted}", param_hint="--data")
        return {name: held[name] for name in names}
