"""The config.json of a ViT, and of a CLIP or SigLIP: what our settings are called there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raw2vec.encoders.transformer import hidden_features
from raw2vec.interchange.hugging_face.base import ACTIVATIONS
from raw2vec.layers import usual_epsilon

_MODELS = {"clip": "CLIPModel", "siglip": "SiglipModel"}


def vit_config(settings: Mapping[str, Any], size: Sequence[int], patch: Sequence[int], channels: int) -> dict[str, Any]:
    """Of an encoder of pictures. size, patch: height and width in pixels."""
    dropout = {"hidden_dropout_prob": settings["dropout"], "attention_probs_dropout_prob": 0.0}
    about = {"architectures": ["ViTModel"], "model_type": "vit", "dtype": "float32", "qkv_bias": True}
    return {**about, **_layers(settings), **dropout, **_grid(size, patch, channels)}


def pair_config(kind: str, pictures: Mapping[str, Any], words: Mapping[str, Any], width: int) -> dict[str, Any]:
    """Of both sides, which `pictures_config` and `words_config` gave. width: numbers in a vector."""
    sides = {"vision_config": dict(pictures), "text_config": dict(words)}
    about = {"architectures": [_MODELS[kind]], "model_type": kind, "dtype": "float32"}
    if kind == "siglip":
        sides["text_config"]["projection_size"] = width
        return {**about, **sides}
    for side in sides.values():
        side["projection_dim"] = width
    return {**about, **sides, "projection_dim": width}


def pictures_config(
    kind: str, settings: Mapping[str, Any], size: Sequence[int], patch: Sequence[int], channels: int
) -> dict[str, Any]:
    return {"model_type": f"{kind}_vision_model", **_layers(settings), **_grid(size, patch, channels)}


def words_config(
    kind: str, settings: Mapping[str, Any], vocabulary: int, places: int, tokens: Mapping[str, int]
) -> dict[str, Any]:
    """places: the tokens that learned positions are for. tokens: the numbers of special ones."""
    shape = {"vocab_size": vocabulary, "max_position_embeddings": places}
    return {"model_type": f"{kind}_text_model", **_layers(settings), **shape, **tokens}


def _layers(settings: Mapping[str, Any]) -> dict[str, Any]:
    width, name = settings["width"], settings["activation"]
    return {
        "hidden_size": width,
        "intermediate_size": hidden_features(width, settings["feed_forward"], name),
        "num_hidden_layers": settings["layers"],
        "num_attention_heads": settings["heads"],
        "hidden_act": ACTIVATIONS[name],
        "layer_norm_eps": settings["epsilon"] or usual_epsilon(settings["norm_order"]),
    }


def _grid(size: Sequence[int], patch: Sequence[int], channels: int) -> dict[str, Any]:
    return {"image_size": _one(size), "patch_size": _one(patch), "num_channels": channels}


def _one(lengths: Sequence[int]) -> int | list[int]:
    return lengths[0] if lengths[0] == lengths[1] else list(lengths)
