"""Good recipes for pictures, sounds, series and tables: a code that the item can be had back from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.presets.base import PLANES, sized
from raw2vec.recipe import RETURNING

_CODE = 32  # numbers in a vector, where nobody says


def tree(
    kind: str,
    columns: Mapping[str, str],
    objective: str | None,
    encoder: dict[str, Any] | None,
    decoder: str | None,
    latent: int | None,
    size: str,
    alike: bool,
    drawn: bool,
    gaps: bool,
    large: bool = False,
) -> dict[str, Any]:
    """The recipe but for its budget. Without an objective: `supervised` where there are labels, else `reconstruction`.

    Without an encoder: a multilayer perceptron over the whole item where all are `alike` in size (a table's rows are),
    else convolutions, which take any size. To be told from a few of its patches a series goes through a transformer;
    where there are two axes convolutions learn more in a few minutes (docs/log.md). To be known again by a part a sound
    goes through a transformer. Pictures known again by their views (`contrastive`, `vicreg`) are brought to 64 by 64
    where they are `large` or differ in size. Views of `drawn` ones (writing, drawings) are turned and bent a little and
    never flipped, for a flipped 2 is no 2; those of others are flipped, and change their colours.
    """
    objective = objective or ("supervised" if "label" in columns else "reconstruction")
    asked, cut = encoder or {}, objective in ("masked", *_VIEWED)
    there_and_back = objective in RETURNING
    planes = PLANES[size] if there_and_back and kind in ("image", "audio") else {}
    part = _part(encoder or {"name": _encoder(kind, objective, alike)}, size, planes)
    whole = part["name"] == "dense" and alike and not cut
    made: dict[str, Any] = {
        "kind": kind,
        "raw": {"leave_out": [columns["label"]]} if kind == "table" and "label" in columns else {},
        "embedding": _embedding(kind, whole, bool(planes) and part["name"] == "convolutional"),
        "encoder": {**_DEPTH.get(part["name"], {}), **part},
        "latent": {"name": "gaussian" if objective == "variational" else "point", "width": latent or _CODE},
        "stages": [{"objectives": [_OBJECTIVE.get(objective, {"name": objective})], "batch_items": 128}],
        "training": {"learning_rate": 1e-3, "warmup": 0.02, "decay": "cosine", "checks": 20},
    }
    if gaps:
        made["embedding"]["missing"] = "flag"
    if there_and_back:
        made["training"]["learning_rate"] = 2e-3
        mirror = _mirror(made["encoder"])
        made["decoder"] = mirror if decoder in (None, mirror["name"]) else _part({"name": decoder}, size, planes)
        made["likelihood"] = _LIKELIHOOD[objective]
        if drawn and objective == "reconstruction":
            _drawings(made)
        if alike and kind != "audio" and part["name"] != "dense":
            # A mean over the grid forgets what stood where, which a decoder has to know: on digits three times the
            # error of a recurrent encoder, twice that of a transformer. A sound has too many rows for it.
            made["latent"]["pooling"] = "all"
    if kind == "image" and objective == "supervised":
        _to_be_told(made, asked, latent, size, drawn, large or not alike)
    elif kind == "image" and objective in _VIEWED:
        _to_be_seen_anew(made, asked, latent, size, drawn, large or not alike)
    elif objective == "contrastive":
        _to_be_known_again(made, kind, asked, latent)
    return made


# Errors count alike while codes are points; where they cost nats, what an error costs has to be learned as well.
_LIKELIHOOD = {
    "reconstruction": {"name": "gaussian"},
    "variational": {"name": "gaussian", "scale": "learned", "deviation": 0.2},
}
# Elements along every axis that make a row of the encoder's grid.
_PATCH = {"image": 2, "audio": 2, "series": 1}
_PATCH_THERE_AND_BACK = {"image": 2, "audio": 4}
_VIEWED = ("contrastive", "vicreg")
_OBJECTIVE = {"variational": {"name": "variational", "warmup": 0.2}}
_DEPTH: dict[str, dict[str, Any]] = {"dense": {"end": "activation"}, "convolutional": {"halvings": 1}}


def _part(part: dict[str, Any], size: str, planes: Mapping[str, int]) -> dict[str, Any]:
    """An encoder or decoder as asked for, what was left open filled in by the size and by what it runs over."""
    if planes and part["name"] == "convolutional":
        return {**planes, **part}
    return sized({"layers": 1, **part} if part["name"] == "dense" else part, size)


def _encoder(kind: str, objective: str, alike: bool) -> str:
    if objective == "masked":
        return "transformer" if kind == "series" else "convolutional"
    if kind == "image" and objective == "supervised":
        return "convolutional"
    if objective in _VIEWED:
        return "transformer" if kind == "audio" else "convolutional"
    return "dense" if alike else "convolutional"


def _embedding(kind: str, whole: bool, planes: bool) -> dict[str, Any]:
    """A perceptron takes a whole item as its first layer does; other encoders take it by patches."""
    if kind == "table":
        return {}
    if whole:
        return {"patch": 0, "activation": "gelu"}
    return {"patch": (_PATCH_THERE_AND_BACK if planes else _PATCH)[kind]}


def _drawings(made: dict[str, Any]) -> None:
    """Drawings and writing: cross-entropy minds a pixel that should be black or white; bent by half a pixel they are
    not learned by heart. On MNIST a third less squared error in the same time; on photographs, more (docs/log.md).
    """
    made["likelihood"] = {"name": "bernoulli"}
    made["stages"][0]["objectives"] = [{"name": "reconstruction", "bend": 0.5}]
    if made["encoder"]["name"] == "dense":
        made["stages"][0]["batch_items"], made["training"]["learning_rate"] = 256, 3e-3


def _to_be_known_again(made: dict[str, Any], kind: str, asked: Mapping[str, Any], latent: int | None) -> None:
    """Nothing has to come back: a sound is rows of a few frames with all their bands, a series the most of each number.

    The encoder of series is TS2Vec's in size, its batches too (Yue et al. 2022).
    """
    made["training"]["warmup"] = 0.1
    if kind == "audio":
        made["embedding"], made["latent"]["width"] = {"patch": [4, 80]}, latent or 256
        changes = {"crops": [0.6, 1.0], "speed": 1.2, "shift": 0.3, "noise": 0.2, "blank": 0.2}
        made["stages"][0]["objectives"] = [{"name": "contrastive", **changes}]
    if kind == "series":
        made["latent"] = {"name": "point", "width": latent or 0, "pooling": "max"}
        made["stages"][0]["batch_items"] = 8
        if made["encoder"]["name"] == "convolutional":
            made["encoder"] = {"name": "convolutional", "width": 64, "layers": 8, "kernel": 3, "outputs": 320, **asked}


_PICTURES: dict[str, dict[str, int]] = {
    "tiny": {"width": 16, "layers": 3, "halvings": 2, "growth": 2},
    "small": {"width": 32, "layers": 4, "halvings": 2, "growth": 2},
    "base": {"width": 64, "layers": 6, "halvings": 2, "growth": 2},
}
_DRAWINGS = {"crops": [0.7, 1.3], "aspect": 1.3, "turn": 15.0, "bend": 0.7, "flip": 0.0, "colour": 0.0, "grey": 0.0}
_TOLD_DRAWINGS = {
    "crops": [0.8, 1.2],
    "aspect": 1.1,
    "turn": 10.0,
    "bend": 0.5,
    "flip": 0.0,
    "colour": 0.0,
    "grey": 0.0,
}
_TOLD_PHOTOGRAPHS = {"crops": [0.6, 1.0], "aspect": 1.2, "flip": 0.5, "colour": 0.0, "grey": 0.0}


def _to_be_seen_anew(
    made: dict[str, Any], asked: Mapping[str, Any], latent: int | None, size: str, drawn: bool, resized: bool
) -> None:
    """A view tells one picture from all others: convolutions that grow as the grid shrinks, and SimCLR's head.

    Rows are put side by side, not averaged, where convolutions leave few: on MNIST in 150 steps nearest neighbours then
    tell 0.94 of the digits and not 0.91 (docs/log.md).
    """
    made["training"] |= {"learning_rate": 2e-3, "warmup": 0.1, "checks": 10}
    _by_convolutions(made, asked, size, {"learning_rate": 1e-2, "optimizer": "muon"})
    made["raw"] = {"size": [64, 64]} if resized else {}
    made["embedding"] = {"patch": 4 if resized else 2}
    pooling = "all" if made["encoder"]["name"] == "convolutional" else "mean"
    made["latent"] = {"name": "point", "width": latent or 128, "pooling": pooling}
    part = made["stages"][0]["objectives"][0]
    made["stages"][0] |= {
        "objectives": [{**part, "head": 256, "views": _DRAWINGS if drawn else {}}],
        "batch_items": 256,
    }


def _to_be_told(
    made: dict[str, Any], asked: Mapping[str, Any], latent: int | None, size: str, drawn: bool, resized: bool
) -> None:
    """Classes or numbers of pictures, seen a little differently each time, so as not to be learned by heart."""
    views = _TOLD_DRAWINGS if drawn else _TOLD_PHOTOGRAPHS
    made["stages"][0] |= {"objectives": [{"name": "supervised", "views": views}]}
    if made["encoder"]["name"] == "convolutional":
        made["training"] |= {"warmup": 0.05, "checks": 10}
        _by_convolutions(made, asked, size, {"learning_rate": 4e-3 if drawn else 8e-3, "optimizer": "muon"})
        made["raw"] = {"size": [64, 64]} if resized else {}
        made["embedding"] = {"patch": 4 if resized else 2}
        made["latent"] = {"name": "point", "width": latent or 128, "pooling": "mean"}


def _by_convolutions(made: dict[str, Any], asked: Mapping[str, Any], size: str, training: Mapping[str, Any]) -> None:
    """Convolutions, whose kernels Muon moves: a fifth of AdamW's steps (docs/log.md). Others stay as they are."""
    if made["encoder"]["name"] == "convolutional":
        made["encoder"] = {"name": "convolutional", **_PICTURES[size], **asked}
        made["training"] |= training


def _mirror(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """The decoder that undoes the encoder: of the same build, width and depth."""
    kept = ("name", "width", "layers", "heads", "halvings")
    mirror = {name: encoder[name] for name in kept if name in encoder}
    # A perceptron's embedding is a layer of its own; the readout, a linear map, undoes it but for the activation.
    return mirror | ({"layers": encoder["layers"] + 1} if encoder["name"] == "dense" else {})
