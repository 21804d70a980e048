"""BERT and those built like it: post-norm, learned positions, plain feed-forwards. RoBERTa, DistilBERT, MPNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.interchange.hugging_face.base import Family, Table, activation_of, agree, epsilon_of, sizes

_POSITIONS = "encoder.positions.table.weight"
_ENTRY: Table = (
    ("embedding.table", "embeddings.word_embeddings"),
    ("encoder.positions.table", "embeddings.position_embeddings"),
    ("encoder.normalization", "embeddings.LayerNorm"),
)
_FEED_FORWARD: Table = (
    ("encoder.layers.{}.feed_forward.enter", "encoder.layer.{}.intermediate.dense"),
    ("encoder.layers.{}.feed_forward.leave", "encoder.layer.{}.output.dense"),
    ("encoder.layers.{}.feed_forward_norm", "encoder.layer.{}.output.LayerNorm"),
)
BERT: Table = (
    *_ENTRY,
    (
        "encoder.layers.{}.attention.enter",
        "encoder.layer.{}.attention.self.query "
        "encoder.layer.{}.attention.self.key "
        "encoder.layer.{}.attention.self.value",
    ),
    ("encoder.layers.{}.attention.leave", "encoder.layer.{}.attention.output.dense"),
    ("encoder.layers.{}.attention_norm", "encoder.layer.{}.attention.output.LayerNorm"),
    *_FEED_FORWARD,
)
MPNET: Table = (
    *_ENTRY,
    ("encoder.distances.table", "encoder.relative_attention_bias"),
    (
        "encoder.layers.{}.attention.enter",
        "encoder.layer.{}.attention.attn.q encoder.layer.{}.attention.attn.k encoder.layer.{}.attention.attn.v",
    ),
    ("encoder.layers.{}.attention.leave", "encoder.layer.{}.attention.attn.o"),
    ("encoder.layers.{}.attention_norm", "encoder.layer.{}.attention.LayerNorm"),
    *_FEED_FORWARD,
)
DISTILBERT: Table = (
    *_ENTRY,
    (
        "encoder.layers.{}.attention.enter",
        "transformer.layer.{}.attention.q_lin transformer.layer.{}.attention.k_lin "
        "transformer.layer.{}.attention.v_lin",
    ),
    ("encoder.layers.{}.attention.leave", "transformer.layer.{}.attention.out_lin"),
    ("encoder.layers.{}.attention_norm", "transformer.layer.{}.sa_layer_norm"),
    ("encoder.layers.{}.feed_forward.enter", "transformer.layer.{}.ffn.lin1"),
    ("encoder.layers.{}.feed_forward.leave", "transformer.layer.{}.ffn.lin2"),
    ("encoder.layers.{}.feed_forward_norm", "transformer.layer.{}.output_layer_norm"),
)


def _bert(config: Mapping[str, Any]) -> dict[str, Any]:
    agree(config, {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"})
    return {
        **sizes(config),
        "activation": activation_of(config.get("hidden_act", "gelu")),
        "norm_order": "post",
        "positions": "learned",
        "window": 0,
        "epsilon": epsilon_of(config.get("layer_norm_eps", 1e-12), "post"),
        "dropout": config.get("hidden_dropout_prob", 0.1),
    }


def places_before(config: Mapping[str, Any]) -> int:
    """Rows of the positions' table that stand for no place: fairseq's count begins after that of padding."""
    if config.get("model_type") not in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        return 0
    if (padding := config.get("pad_token_id", 1)) is None or padding < 0:
        told = "null" if padding is None else padding
        raise BadInput(f"The checkpoint's pad_token_id is {told}, and it is the number that its positions count from.")
    return int(padding) + 1


def _roberta(config: Mapping[str, Any]) -> dict[str, Any]:
    found = _bert({"layer_norm_eps": 1e-5 if config["model_type"] != "mpnet" else 1e-12, **config})
    return {**found, "limit": found["limit"] - places_before(config)}


def _mpnet(config: Mapping[str, Any]) -> dict[str, Any]:
    agree(config, {"pad_token_id": 1, "relative_attention_num_buckets": 32})
    return {**_roberta(config), "positions": "learned-relative"}


def _distilbert(config: Mapping[str, Any]) -> dict[str, Any]:
    theirs = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
    theirs |= {"intermediate_size": "hidden_dim", "hidden_act": "activation", "hidden_dropout_prob": "dropout"}
    renamed = {ours: config[name] for ours, name in theirs.items() if name in config}
    return _bert({"max_position_embeddings": config.get("max_position_embeddings", 512), **renamed})


_ROBERTA = Family("RobertaModel", BERT, _roberta, types_in=_POSITIONS)
FAMILIES = {
    "bert": Family("BertModel", BERT, _bert, types_in=_POSITIONS),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Family("DistilBertModel", DISTILBERT, _distilbert),
    "mpnet": Family("MPNetModel", MPNET, _mpnet),
}
