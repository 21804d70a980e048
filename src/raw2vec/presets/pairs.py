"""Good recipes for pairs of different kinds: pictures and words, sounds and words, in one space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.presets.base import sized
from raw2vec.recipe import TEXTS

_WIDTH = {"tiny": 64, "small": 256, "base": 512}  # numbers in a vector, where nobody says
_PLANES: dict[str, dict[str, int]] = {
    "tiny": {"width": 32, "layers": 4, "halvings": 2},
    "small": {"width": 64, "layers": 6, "halvings": 2},
    "base": {"width": 128, "layers": 8, "halvings": 3},
}
"""Convolutions over pictures: each row costs the square of the width nine times."""


def tree(
    kinds: tuple[str, str],
    columns: Mapping[str, str],
    encoder: dict[str, Any] | None,
    latent: int | None,
    size: str,
    alike: bool,
) -> dict[str, Any]:
    """The recipe but for its budget, of inputs and targets of these `kinds`: both find each other (CLIP).

    `encoder` is the input's. A text is a bag of subwords, pictures and sounds go through convolutions, series through
    convolutions along time. With a label the inputs' classes are learned as well.
    """
    width = latent or _WIDTH[size]
    input, target = (_side(kind, part, width, size, alike) for kind, part in zip(kinds, (encoder, None), strict=True))
    objectives: list[dict[str, Any]] = [{"name": "contrastive", "drop": 0.1, "bend": 0.5}]
    if kinds[0] == "table":
        input["raw"] = {"leave_out": [columns[role] for role in ("target", "label") if role in columns]}
    if "label" in columns:
        objectives.append({"name": "supervised"})
    return {
        **input,
        "target": target,
        "stages": [{"objectives": objectives, "batch_items": 256}],
        "training": {"learning_rate": 1e-3, "warmup": 0.05, "decay": "cosine", "checks": 20, "start": "lsa"},
    }


def _side(kind: str, part: dict[str, Any] | None, width: int, size: str, alike: bool) -> dict[str, Any]:
    """What reads one side; a perceptron takes whole items, where all are `alike` in size."""
    made: dict[str, Any] = {"kind": kind, "latent": {"name": "point", "width": width, "normalize": "unit"}}
    if kind in TEXTS:
        encoder = sized(part or {"name": "dense", "positions": "learned"}, size)
        bag = encoder["name"] == "dense"
        raw = {"case": "lower", "words": "identifiers", "boundaries": "none" if bag else "cls-sep"}
        return {**made, "raw": raw, "embedding": {"weights": "learned"} if bag else {}, "encoder": encoder}
    encoder = part or {"name": "convolutional"}
    if kind in ("image", "audio") and encoder["name"] == "convolutional":
        encoder = {**_PLANES[size], **encoder}
    if kind == "table":
        return {**made, "encoder": sized(encoder, size)}
    if encoder["name"] == "dense" and alike:
        return {
            **made,
            "embedding": {"patch": 0, "activation": "gelu"},
            "encoder": sized({"layers": 1, **encoder}, size),
        }
    return {**made, "embedding": {"patch": 1 if kind == "series" else 2}, "encoder": sized(encoder, size)}
