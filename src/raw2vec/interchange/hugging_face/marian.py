"""Marian's translators (Junczys-Dowmunt et al. 2018): post-norm, sines, one table for both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.interchange.hugging_face.base import Family, Table, activation_of, agree

_LAYER: Table = (
    ("layers.{}.attention.enter", "layers.{}.self_attn.q_proj layers.{}.self_attn.k_proj layers.{}.self_attn.v_proj"),
    ("layers.{}.attention.leave", "layers.{}.self_attn.out_proj"),
    ("layers.{}.attention_norm", "layers.{}.self_attn_layer_norm"),
    ("layers.{}.feed_forward.enter", "layers.{}.fc1"),
    ("layers.{}.feed_forward.leave", "layers.{}.fc2"),
    ("layers.{}.feed_forward_norm", "layers.{}.final_layer_norm"),
)
READS: Table = _LAYER
WRITES: Table = (
    *_LAYER,
    ("layers.{}.cross.enter", "layers.{}.encoder_attn.q_proj"),
    ("layers.{}.cross.remember", "layers.{}.encoder_attn.k_proj layers.{}.encoder_attn.v_proj"),
    ("layers.{}.cross.leave", "layers.{}.encoder_attn.out_proj"),
    ("layers.{}.cross_norm", "layers.{}.encoder_attn_layer_norm"),
)
_AGREED = {
    **dict.fromkeys(("share_encoder_decoder_embeddings", "static_position_embeddings"), True),
    **dict.fromkeys(("normalize_before", "normalize_embedding", "add_final_layer_norm", "add_bias_logits"), False),
}


def _side(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    agree(config, _AGREED)
    return {
        "width": config["d_model"],
        "layers": config[f"{name}_layers"],
        "heads": config[f"{name}_attention_heads"],
        "feed_forward": config[f"{name}_ffn_dim"],
        "activation": activation_of(config.get("activation_function", "gelu")),
        "normalization": "layer",
        "norm_order": "post-only",
        "positions": "sinusoidal",
        "dropout": config.get("dropout", 0.1),
    }


SINES = "positions.scale"
"""How high our sines are, which is learned; theirs are always of height one."""
READER = Family("MarianEncoder", READS, lambda config: _side(config, "encoder"))
WRITER = Family("MarianDecoder", WRITES, lambda config: _side(config, "decoder"))
