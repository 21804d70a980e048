"""ModernBERT and NomicBERT: rotary positions and gated feed-forwards, pre-norm with windows and post-norm without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.encoders.transformer import GLOBAL_BASE, LOCAL_BASE
from raw2vec.errors import BadInput
from raw2vec.interchange.hugging_face.base import Family, Table, agree, epsilon_of, gate_of, sizes

MODERNBERT: Table = (
    ("embedding.table", "embeddings.tok_embeddings"),
    ("encoder.normalization", "embeddings.norm"),
    ("encoder.layers.{}.attention_norm", "layers.{}.attn_norm"),
    ("encoder.layers.{}.attention.enter", "layers.{}.attn.Wqkv"),
    ("encoder.layers.{}.attention.leave", "layers.{}.attn.Wo"),
    ("encoder.layers.{}.feed_forward_norm", "layers.{}.mlp_norm"),
    ("encoder.layers.{}.feed_forward.enter", "layers.{}.mlp.Wi"),
    ("encoder.layers.{}.feed_forward.leave", "layers.{}.mlp.Wo"),
    ("encoder.final", "final_norm"),
)
NOMIC: Table = (
    ("embedding.table", "embeddings.word_embeddings"),
    ("encoder.normalization", "embeddings.LayerNorm"),
    (
        "encoder.layers.{}.attention.enter",
        "layers.{}.self_attn.q_proj layers.{}.self_attn.k_proj layers.{}.self_attn.v_proj",
    ),
    ("encoder.layers.{}.attention.leave", "layers.{}.self_attn.o_proj"),
    ("encoder.layers.{}.attention_norm", "layers.{}.post_attention_layernorm"),
    ("encoder.layers.{}.feed_forward.enter", "layers.{}.mlp.gate_proj layers.{}.mlp.up_proj"),
    ("encoder.layers.{}.feed_forward.leave", "layers.{}.mlp.down_proj"),
    ("encoder.layers.{}.feed_forward_norm", "layers.{}.post_mlp_layernorm"),
)
# As its authors published it, before transformers had it, and as transformers writes it.
NOMIC_PUBLISHED: Table = (
    ("embedding.table", "embeddings.word_embeddings"),
    ("encoder.normalization", "emb_ln"),
    ("encoder.layers.{}.attention.enter", "encoder.layers.{}.attn.Wqkv"),
    ("encoder.layers.{}.attention.leave", "encoder.layers.{}.attn.out_proj"),
    ("encoder.layers.{}.attention_norm", "encoder.layers.{}.norm1"),
    ("encoder.layers.{}.feed_forward.enter", "encoder.layers.{}.mlp.fc12 encoder.layers.{}.mlp.fc11"),
    ("encoder.layers.{}.feed_forward.leave", "encoder.layers.{}.mlp.fc2"),
    ("encoder.layers.{}.feed_forward_norm", "encoder.layers.{}.norm2"),
)
_PUBLISHED_NAMES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "layer_norm_eps": "layer_norm_epsilon",
    "hidden_dropout_prob": "resid_pdrop",
}
_PUBLISHED = {
    **dict.fromkeys(("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "prenorm", "use_rms_norm", "causal"), False),
    **dict.fromkeys(("rotary_emb_interleaved", "parallel_block"), False),
    "rotary_emb_fraction": 1.0,
    "activation_function": "swiglu",
    "rotary_scaling_factor": None,
}
ATTENTION_OF_MODERNBERT = {"norm_bias": False, "attention_bias": False, "mlp_bias": False}


def _modernbert(config: Mapping[str, Any]) -> dict[str, Any]:
    agree(config, ATTENTION_OF_MODERNBERT)
    bases = config.get("rope_parameters") or {}
    far = {"rope_theta": config.get("global_rope_theta", GLOBAL_BASE), **bases.get("full_attention", {})}
    near = {"rope_theta": config.get("local_rope_theta", LOCAL_BASE), **bases.get("sliding_attention", {})}
    agree(far, {"rope_type": "default"})
    agree(near, {"rope_theta": LOCAL_BASE, "rope_type": "default"})
    return {
        **sizes(config),
        "activation": gate_of(config.get("hidden_activation", "gelu")),
        "norm_order": "pre",
        "positions": "rotary",
        "rotary_base": 0.0 if far["rope_theta"] == GLOBAL_BASE else float(far["rope_theta"]),
        "epsilon": epsilon_of(config.get("norm_eps", 1e-5), "pre"),
        "dropout": config.get("mlp_dropout", 0.0),
        **_windows(config),
    }


def _nomic(config: Mapping[str, Any]) -> dict[str, Any]:
    base = 1000.0
    if "n_embd" in config:
        agree(config, _PUBLISHED)
        base = config.get("rotary_emb_base", base)
        config = {ours: config[theirs] for ours, theirs in _PUBLISHED_NAMES.items() if theirs in config}
    rope = {"rope_theta": base, **(config.get("rope_parameters") or {})}
    agree(rope, {"rope_type": "default"})
    if config.get("head_dim", 0) not in (0, None, config["hidden_size"] // config["num_attention_heads"]):
        raise BadInput(f"The checkpoint has heads of {config['head_dim']} features, which do not share its width.")
    return {
        **sizes(config),
        "activation": gate_of(config.get("hidden_act", "silu")),
        "norm_order": "post",
        "positions": "rotary",
        "window": 0,
        "rotary_base": float(rope["rope_theta"]),
        "epsilon": epsilon_of(config.get("layer_norm_eps", 1e-12), "post"),
        "biases": "norms",
        "dropout": config.get("hidden_dropout_prob", 0.0),
    }


def layer_types(settings: Mapping[str, Any]) -> list[str]:
    """What ModernBERT's config.json says of each layer: whether it looks at whole items or within a window."""
    every, window = settings["global_every"], settings["window"]
    return [
        "sliding_attention" if window and layer % every else "full_attention" for layer in range(settings["layers"])
    ]


def _windows(config: Mapping[str, Any]) -> dict[str, int]:
    """`window` and `global_every` of a ModernBERT, from its list of layers or, in older files, its stride."""
    settings = {"layers": config["num_hidden_layers"], "window": config.get("local_attention", 128)}
    every = config.get("global_attn_every_n_layers", 3)
    types = config.get("layer_types") or layer_types({**settings, "global_every": every})
    if len(types) != settings["layers"]:
        raise BadInput(f"The checkpoint has {settings['layers']} layers, and {len(types)} layer_types.")
    if "sliding_attention" not in types:
        return {"window": 0, "global_every": every}
    every = types.index("full_attention", 1) if "full_attention" in types[1:] else len(types)
    if types != layer_types({**settings, "global_every": every}):
        raise BadInput("The checkpoint's layers look at whole items in no regular turn, which our transformer cannot.")
    return {"window": settings["window"], "global_every": every}


FAMILIES = {
    "modernbert": Family("ModernBertModel", MODERNBERT, _modernbert),
    "nomic_bert": Family("NomicBertModel", NOMIC, _nomic, types_in="embedding.table.weight"),
}
PUBLISHED = Family("NomicBertModel", NOMIC_PUBLISHED, _nomic, types_in="embedding.table.weight")
"""NomicBERT by the names that its authors gave its weights."""
