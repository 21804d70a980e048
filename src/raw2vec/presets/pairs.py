"""Good recipes for pairs of different kinds: pictures and words, sounds and words, in one space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.presets.base import sized
from raw2vec.recipe import TEXTS

_WIDTH = {"tiny": 64, "small": 256, "base": 512}  # numbers in a vector, where nobody says
_PLANES: dict[str, dict[str, int]] = {
    "tiny": {"width": 32, "layers": 2, "halvings": 0},
    "small": {"width": 64, "layers": 2, "halvings": 0},
    "base": {"width": 128, "layers": 4, "halvings": 1},
}
"""Convolutions over pictures: each row costs the square of the width nine times."""
_MUON = {"learning_rate": 1e-2, "optimizer": "muon"}  # moves kernels as AdamW cannot: docs/log.md
_ADAMW = {"learning_rate": 2e-3}
_PATCH, _LARGEST, _RESIZED = 4, 64, [64, 64]  # pixels: of a patch; of pictures that stay as they are; of all others


def tree(
    kinds: tuple[str, str],
    columns: Mapping[str, str],
    encoder: dict[str, Any] | None,
    latent: int | None,
    size: str,
    shapes: Mapping[str, tuple[int, ...] | None],
) -> dict[str, Any]:
    """The recipe but for its budget, of inputs and targets of these `kinds`: both find each other (CLIP).

    `encoder` is the input's. A text is a bag of subwords; pictures, sounds and series go through convolutions, a table
    through a transformer. With a label the inputs' classes are learned as well. shapes: of each side's items, where all
    that were looked at have one.
    """
    width = latent or _WIDTH[size]
    input, target = (
        _side(kind, part, width, size, shapes.get(role))
        for kind, part, role in zip(kinds, (encoder, None), ("input", "target"), strict=True)
    )
    objectives: list[dict[str, Any]] = [{"name": "contrastive", "drop": 0.1, "bend": 0.5}]
    if kinds[0] == "table":
        input["raw"] = {"leave_out": [columns[role] for role in ("target", "label") if role in columns]}
    if "label" in columns:
        objectives.append({"name": "supervised"})
    kernels = "convolutional" in (input["encoder"]["name"], target["encoder"]["name"])
    return {
        **input,
        "target": target,
        "stages": [{"objectives": objectives, "batch_items": 256}],
        "training": {**(_MUON if kernels else _ADAMW), "warmup": 0.05, "decay": "cosine", "checks": 20, "start": "lsa"},
    }


def _side(
    kind: str, part: dict[str, Any] | None, width: int, size: str, shape: tuple[int, ...] | None
) -> dict[str, Any]:
    """What reads one side."""
    latent = {"name": "point", "width": width, "normalize": "unit"}
    made: dict[str, Any] = {"kind": kind, "latent": latent}
    if kind in TEXTS:
        encoder = sized(part or {"name": "dense", "positions": "learned"}, size)
        bag = encoder["name"] == "dense"
        raw = {"case": "lower", "words": "identifiers", "boundaries": "none" if bag else "cls-sep"}
        return {**made, "raw": raw, "embedding": {"weights": "learned"} if bag else {}, "encoder": encoder}
    if kind == "table":
        return {**made, "encoder": sized(part or {"name": "transformer"}, size)}
    encoder = part or {"name": "convolutional"}
    whole = encoder["name"] == "dense" and (kind == "image" or shape is not None)
    planes = _PLANES[size] if kind in ("image", "audio") and encoder["name"] == "convolutional" else {}
    made["encoder"] = sized({**planes, **({"layers": 1} if whole else {}), **encoder}, size)
    made["embedding"] = {"patch": 1 if kind == "series" else _PATCH}
    if kind == "image":
        # Where something stands tells what it is: on icons 0.48 where a mean over the grid came to 0.30 (docs/log.md).
        made["raw"] = {} if shape is not None and max(shape) <= _LARGEST else {"size": _RESIZED}
        latent["pooling"] = "mean" if whole else "all"
    if whole:
        made["embedding"] = {"patch": 0, "activation": "gelu"}
    return made
