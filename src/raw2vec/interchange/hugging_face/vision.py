"""ViT, and both sides of CLIP and SigLIP: pre-norm, biases everywhere, learned positions, patches of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.interchange.hugging_face.base import Family, Table, activation_of, agree, epsilon_of, sizes

VIT: Table = (
    ("embedding.linear", "embeddings.patch_embeddings.projection"),
    (
        "encoder.layers.{}.attention.enter",
        "encoder.layer.{}.attention.attention.query "
        "encoder.layer.{}.attention.attention.key "
        "encoder.layer.{}.attention.attention.value",
    ),
    ("encoder.layers.{}.attention.leave", "encoder.layer.{}.attention.output.dense"),
    ("encoder.layers.{}.attention_norm", "encoder.layer.{}.layernorm_before"),
    ("encoder.layers.{}.feed_forward.enter", "encoder.layer.{}.intermediate.dense"),
    ("encoder.layers.{}.feed_forward.leave", "encoder.layer.{}.output.dense"),
    ("encoder.layers.{}.feed_forward_norm", "encoder.layer.{}.layernorm_after"),
    ("encoder.final", "layernorm"),
)
_BLOCKS: Table = (
    (
        "encoder.layers.{}.attention.enter",
        "encoder.layers.{}.self_attn.q_proj encoder.layers.{}.self_attn.k_proj encoder.layers.{}.self_attn.v_proj",
    ),
    ("encoder.layers.{}.attention.leave", "encoder.layers.{}.self_attn.out_proj"),
    ("encoder.layers.{}.attention_norm", "encoder.layers.{}.layer_norm1"),
    ("encoder.layers.{}.feed_forward.enter", "encoder.layers.{}.mlp.fc1"),
    ("encoder.layers.{}.feed_forward.leave", "encoder.layers.{}.mlp.fc2"),
    ("encoder.layers.{}.feed_forward_norm", "encoder.layers.{}.layer_norm2"),
)
_PICTURES: Table = (
    ("embedding.linear", "embeddings.patch_embedding"),
    ("encoder.positions.table", "embeddings.position_embedding"),
    *_BLOCKS,
    ("encoder.final", "post_layernorm"),
)
_WORDS: Table = (
    ("embedding.table", "embeddings.token_embedding"),
    ("encoder.positions.table", "embeddings.position_embedding"),
    *_BLOCKS,
    ("encoder.final", "final_layer_norm"),
)
# The bare ones are no maps or norms with a weight and a bias, but stand for themselves.
_VIT_BARE: Table = (
    ("encoder.first", "embeddings.cls_token"),
    ("encoder.positions.table.weight", "embeddings.position_embeddings"),
)
_CLIP_BARE: Table = (("encoder.first", "embeddings.class_embedding"),)
_SIGLIP_BARE: Table = (("latent.pool.probe.row", "head.probe"),)
CLIP_PICTURES: Table = (
    *_PICTURES,
    ("encoder.normalization", "pre_layrnorm"),
    ("latent.project", "visual_projection"),
)
CLIP_WORDS: Table = (*_WORDS, ("latent.project", "text_projection"))
SIGLIP_PICTURES: Table = (
    *_PICTURES,
    ("latent.pool.probe.attention.enter", "head.attention.query"),
    ("latent.pool.probe.attention.remember", "head.attention.key_value"),
    ("latent.pool.probe.attention.leave", "head.attention.out_proj"),
    ("latent.pool.probe.normalization", "head.layernorm"),
    ("latent.pool.probe.feed_forward.enter", "head.mlp.fc1"),
    ("latent.pool.probe.feed_forward.leave", "head.mlp.fc2"),
)
SIGLIP_WORDS: Table = (*_WORDS, ("latent.project", "head"))

# What their configuration classes say where a config.json says nothing.
_VIT_USUAL = {"image_size": 224, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
_SIZES = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "intermediate_size": 3072}
_CLIP_USUAL = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_CLIP_PICTURES_USUAL = {**_SIZES, **_CLIP_USUAL, "image_size": 224, "patch_size": 32}
_CLIP_WORDS_USUAL = {**_SIZES, **_CLIP_USUAL, "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
_SIGLIP_USUAL = {**_SIZES, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
_PRE = {"norm_order": "pre-only", "biases": "all", "positions": "learned", "window": 0}


def _common(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **sizes(config),
        **_PRE,
        "activation": activation_of(config["hidden_act"]),
        "epsilon": epsilon_of(config["layer_norm_eps"], "pre"),
        "dropout": config.get("hidden_dropout_prob", 0.0),
    }


def _vit(config: Mapping[str, Any]) -> dict[str, Any]:
    agree(config, {"qkv_bias": True})
    return _of_pictures({**_VIT_USUAL, **config}, class_tokens=1)


def _of_pictures(config: Mapping[str, Any], class_tokens: int) -> dict[str, Any]:
    size, patch = patches(config)
    rows = (size[0] // patch[0]) * (size[1] // patch[1])
    return {**_common(config), "class_tokens": class_tokens, "limit": rows + class_tokens}


def _clip_pictures(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**_of_pictures({**_CLIP_PICTURES_USUAL, **config}, class_tokens=1), "norm_order": "pre-each"}


def _clip_words(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**_common({"max_position_embeddings": 77, **_CLIP_WORDS_USUAL, **config}), "causal": True}


def _siglip_pictures(config: Mapping[str, Any]) -> dict[str, Any]:
    agree(config, {"vision_use_head": True, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})
    return _of_pictures({"image_size": 224, "patch_size": 16, **_SIGLIP_USUAL, **config}, class_tokens=0)


def _siglip_words(config: Mapping[str, Any]) -> dict[str, Any]:
    return _common({"max_position_embeddings": 64, **_SIGLIP_USUAL, **config})


@dataclass(frozen=True)
class Pair:
    """A model of theirs with an encoder for pictures and one for words.

    pooling: how each side's states become its vector. filled: whether words are filled up to the longest text.
    """

    pictures: Family
    words: Family
    pooling: tuple[str, str]
    filled: bool

    def side(self, state: Mapping[str, Tensor], words: bool) -> dict[str, Tensor]:
        """The weights of one side by its own names, from those of both."""
        own = ("text_model.", "text_projection") if words else ("vision_model.", "visual_projection")
        return {name.removeprefix(own[0]): value for name, value in state.items() if name.startswith(own)}


VIT_FAMILY = Family("ViTModel", VIT, _vit, bare=_VIT_BARE)
PAIRS = {
    "clip": Pair(
        Family("CLIPVisionModel", CLIP_PICTURES, _clip_pictures, bare=_CLIP_BARE),
        Family("CLIPTextModel", CLIP_WORDS, _clip_words),
        ("first", "last"),
        filled=False,
    ),
    "siglip": Pair(
        Family("SiglipVisionModel", SIGLIP_PICTURES, _siglip_pictures, bare=_SIGLIP_BARE),
        Family("SiglipTextModel", SIGLIP_WORDS, _siglip_words),
        ("probe", "last"),
        filled=True,
    ),
}
"""By `model_type`."""


def patches(config: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the pictures, and of a patch. BadInput where patches do not fill the picture."""
    usual = _VIT_USUAL if config.get("model_type") != "clip_vision_model" else _CLIP_PICTURES_USUAL
    size, patch = (_both(config.get(name, usual[name])) for name in ("image_size", "patch_size"))
    if any(length % part for length, part in zip(size, patch, strict=True)):
        raise BadInput(f"The checkpoint's pictures of {size} are no whole number of patches of {patch}.")
    return size, patch


def _both(lengths: int | Sequence[int]) -> tuple[int, int]:
    return (lengths, lengths) if isinstance(lengths, int) else (int(lengths[0]), int(lengths[1]))


def laid_out(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as our parts hold them: a patch row by row with its channels together, attention's maps apart.

    CLIP's patches have no bias and neither have its projections: zeros.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.dim() == 4:  # a convolution (D, C, H, W) whose steps are as long as its kernel
            found[name] = value.permute(0, 2, 3, 1).flatten(1).contiguous()
        elif "in_proj_" in name:
            kind = name.rsplit("in_proj_", 1)[1]
            query = len(value) // 3
            found[f"head.attention.query.{kind}"] = value[:query].contiguous()
            found[f"head.attention.key_value.{kind}"] = value[query:].contiguous()
        elif name.endswith(("cls_token", "position_embeddings")):
            found[name] = value.flatten(0, -2)
        elif name == "embeddings.class_embedding":
            found[name] = value[None]
        elif name == "head.probe":
            found[name] = value.flatten()
        else:
            found[name] = value
    for name in ("embeddings.patch_embedding", "visual_projection", "text_projection"):
        if f"{name}.weight" in found:
            found.setdefault(f"{name}.bias", found[f"{name}.weight"].new_zeros(len(found[f"{name}.weight"])))
    return found


def laid_back(state: Mapping[str, Tensor], patch: Sequence[int], prefix: str) -> dict[str, Tensor]:
    """The way back from `laid_out`: a side's weights as theirs holds them, `prefix` before names but projections'.

    patch: its height and width in pixels. Biases that they have no place for are to be worked in elsewhere before.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(("projection.weight", "patch_embedding.weight")) and "embeddings." in name:
            found[name] = value.unflatten(1, (*patch, -1)).permute(0, 3, 1, 2)
        elif name.startswith("head.attention.query."):
            kind = name.rsplit(".", 1)[1]
            found[f"head.attention.in_proj_{kind}"] = torch.cat([value, state[f"head.attention.key_value.{kind}"]])
        elif name.endswith(("cls_token", "position_embeddings", "head.probe")):
            found[name] = value.reshape(1, -1, value.shape[-1])
        elif name == "embeddings.class_embedding":
            found[name] = value[0]
        elif not name.startswith("head.attention.key_value."):
            found[name] = value
    named = ((name if "_projection." in name else prefix + name, value) for name, value in found.items())
    return {name: value.contiguous() for name, value in named}
