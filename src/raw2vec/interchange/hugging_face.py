"""Our transformers as Hugging Face's ModernBERT and BERT, and theirs as ours: the same numbers under other names.

A pre-norm encoder with rotary positions, a gated feed-forward and LayerNorm is a ModernBertModel; a post-norm one with
learned positions, a plain feed-forward and LayerNorm is a BertModel. Weights are those of a model's `embedding` and
`encoder`, by their names in its state dict; `settings` are the keyword arguments of `Transformer`, `inputs` aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raw2vec.encoders.transformer import GLOBAL_BASE, LOCAL_BASE, hidden_features
from raw2vec.errors import BadInput
from raw2vec.layers import GATES

# Ours ↔ theirs, each standing for a weight and, where there is one, a bias. {} is the layer.
# Where theirs are several, ours is them one below the other.
MODERNBERT: tuple[tuple[str, str], ...] = (
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
BERT: tuple[tuple[str, str], ...] = (
    ("embedding.table", "embeddings.word_embeddings"),
    ("encoder.positions.table", "embeddings.position_embeddings"),
    ("encoder.normalization", "embeddings.LayerNorm"),
    (
        "encoder.layers.{}.attention.enter",
        "encoder.layer.{}.attention.self.query "
        "encoder.layer.{}.attention.self.key "
        "encoder.layer.{}.attention.self.value",
    ),
    ("encoder.layers.{}.attention.leave", "encoder.layer.{}.attention.output.dense"),
    ("encoder.layers.{}.attention_norm", "encoder.layer.{}.attention.output.LayerNorm"),
    ("encoder.layers.{}.feed_forward.enter", "encoder.layer.{}.intermediate.dense"),
    ("encoder.layers.{}.feed_forward.leave", "encoder.layer.{}.output.dense"),
    ("encoder.layers.{}.feed_forward_norm", "encoder.layer.{}.output.LayerNorm"),
)
# Activations, ours ↔ theirs.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "relu6": "relu6",
    "relu_squared": "relu2",
    "leaky_relu": "leaky_relu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "identity": "linear",
}

_TABLES = {"modernbert": MODERNBERT, "bert": BERT}
_TYPES = "embeddings.token_type_embeddings.weight"
# What a checkpoint may hold beside the encoder: heads, and numbers that are not weights.
_ASIDE = ("pooler.", "cls.", "head.", "decoder.", "classifier.", "embeddings.position_ids")


def family(settings: Mapping[str, Any]) -> str:
    """Which of theirs a Transformer with these settings is: "modernbert" or "bert". BadInput says why it is neither."""
    order, positions = settings["norm_order"], settings["positions"]
    gated = settings["activation"] in GATES
    plain = GATES.get(settings["activation"], settings["activation"])
    if settings["normalization"] != "layer":
        raise BadInput(f"Neither BERT nor ModernBERT has '{settings['normalization']}' normalization, only 'layer'.")
    if plain not in ACTIVATIONS:
        raise BadInput(f"transformers has no activation like '{plain}'.")
    if (order, positions, gated) == ("pre", "rotary", True):
        return "modernbert"
    if (order, positions, gated) == ("post", "learned", False) and not settings["window"]:
        return "bert"
    raise BadInput(
        "A transformer with these settings is none of transformers' models: ModernBERT is norm order pre, positions "
        "rotary and a gated activation; BERT is post, learned and a plain one, without a window."
    )


def to_hugging_face(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights under the names of a ModernBertModel or BertModel; other parts of `state` are left out.

    A linear map at the encoder's entry, which they have not, is worked into the table of words: the map of a row of it
    is again a row. BERT's token types are written as zeros.
    """
    kind = family(settings)
    ours = {name: value for name, value in state.items() if name.startswith(("embedding.", "encoder."))}
    if "encoder.project.weight" in ours:
        weight, bias = ours.pop("encoder.project.weight"), ours.pop("encoder.project.bias")
        ours["embedding.table.weight"] = ours["embedding.table.weight"] @ weight.T + bias
    theirs = {}
    for own, names in _rows(kind, settings["layers"]):
        if own in ours:
            parts = ours.pop(own).chunk(len(names))
            theirs.update({name: part.contiguous().clone() for name, part in zip(names, parts, strict=True)})
    if ours:
        raise BadInput(f"The weights do not belong to a transformer with these settings: '{next(iter(ours))}'.")
    if kind == "bert":
        theirs[_TYPES] = torch.zeros_like(theirs["embeddings.word_embeddings.weight"][:2])
    return theirs


def from_hugging_face(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a ModernBERT or BERT checkpoint under our names; its heads are left out.

    BERT's first token type stands at every row, so it goes into the positions. BadInput for weights without a place.
    """
    kind = _kind(config)
    theirs = {_plain(name): value for name, value in state.items()}
    theirs = {name: value for name, value in theirs.items() if not name.startswith(_ASIDE)}
    types = theirs.pop(_TYPES, None)
    ours = {}
    for own, names in _rows(kind, config["num_hidden_layers"]):
        found = [theirs.pop(name) for name in names if name in theirs]
        if found and len(found) < len(names):
            raise BadInput(f"The checkpoint holds only some of {', '.join(names)}.")
        if found:
            ours[own] = torch.cat(found) if len(found) > 1 else found[0]
    if theirs:
        raise BadInput(
            f"The checkpoint holds a weight that {kind} as we know it has no place for: '{next(iter(theirs))}'."
        )
    if types is not None:
        ours["encoder.positions.table.weight"] = ours["encoder.positions.table.weight"] + types[0]
    return ours


def config_of(
    settings: Mapping[str, Any], vocabulary: int, longest: int, tokens: Mapping[str, int | None] | None = None
) -> dict[str, Any]:
    """Their config.json for a Transformer with these settings.

    longest: tokens of the longest item it is meant for. tokens: the numbers of special ones ("pad_token_id": 0, …).
    """
    kind, width, dropout = family(settings), settings["width"], settings["dropout"]
    plain = ACTIVATIONS[GATES.get(settings["activation"], settings["activation"])]
    shared = {
        "architectures": ["ModernBertModel" if kind == "modernbert" else "BertModel"],
        "model_type": kind,
        "dtype": "float32",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": hidden_features(width, settings["feed_forward"], settings["activation"]),
        "num_hidden_layers": settings["layers"],
        "num_attention_heads": settings["heads"],
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), None),
    }
    if kind == "bert":
        own = {
            "hidden_act": plain,
            "max_position_embeddings": settings["limit"],
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-12,
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": 0.0,
        }
    else:
        own = {
            "hidden_activation": plain,
            "max_position_embeddings": longest,
            **_ATTENTION_OF_MODERNBERT,
            "norm_eps": 1e-5,
            "layer_types": _layer_types(settings),
            "local_attention": settings["window"] or 128,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": GLOBAL_BASE},
                "sliding_attention": {"rope_type": "default", "rope_theta": LOCAL_BASE},
            },
            "embedding_dropout": dropout,
            "mlp_dropout": dropout,
            "attention_dropout": dropout,
            **dict.fromkeys(("cls_token_id", "sep_token_id"), None),
        }
    return {**shared, **own, **(tokens or {})}


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the Transformer that a ModernBERT's or BERT's config.json describes. BadInput when none does."""
    kind = _kind(config)
    act = config.get("hidden_act" if kind == "bert" else "hidden_activation", "gelu")
    names = {theirs: ours for ours, theirs in reversed(ACTIVATIONS.items())}
    if act not in names:
        raise BadInput(f"The checkpoint's activation '{act}' is not one we have.")
    shared = {
        "width": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "feed_forward": config["intermediate_size"],
        "normalization": "layer",
        "limit": config.get("max_position_embeddings", 512),
    }
    if kind == "bert":
        _agree(config, {"layer_norm_eps": 1e-12, "is_decoder": False, "position_embedding_type": "absolute"})
        return {**shared, "activation": names[act], "norm_order": "post", "positions": "learned", "window": 0}
    gates = {plain: gate for gate, plain in GATES.items()}
    if names[act] not in gates:
        raise BadInput(f"The checkpoint's feed-forward is gated by '{act}', which we have no gate for.")
    _agree(config, {**_ATTENTION_OF_MODERNBERT, "norm_eps": 1e-5})
    bases = config.get("rope_parameters") or {}
    for near, base, old in (
        ("full_attention", GLOBAL_BASE, "global_rope_theta"),
        ("sliding_attention", LOCAL_BASE, "local_rope_theta"),
    ):
        _agree(
            {"rope_theta": config.get(old, base), **bases.get(near, {})}, {"rope_theta": base, "rope_type": "default"}
        )
    return {**shared, "activation": gates[names[act]], "norm_order": "pre", "positions": "rotary", **_windows(config)}


_ATTENTION_OF_MODERNBERT = {"norm_bias": False, "attention_bias": False, "mlp_bias": False}


def _kind(config: Mapping[str, Any]) -> str:
    kind = str(config.get("model_type"))
    if kind not in _TABLES:
        raise BadInput(f"A checkpoint of model type '{kind}' cannot be taken over; {' and '.join(_TABLES)} can.")
    return kind


def _rows(kind: str, layers: int) -> list[tuple[str, list[str]]]:
    """The table written out for every layer, weights and biases."""
    rows = []
    for own, theirs in _TABLES[kind]:
        for layer in range(layers) if "{}" in own else (0,):
            for suffix in (".weight", ".bias"):
                names = [name.format(layer) + suffix for name in theirs.split()]
                rows.append((own.format(layer) + suffix, names))
    return rows


def _plain(name: str) -> str:
    """Their name without the task model's prefix, and a LayerNorm's weights as they are called since 2019."""
    name = name.removeprefix("bert.").removeprefix("model.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _agree(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if config.get(name, value) != value:
            raise BadInput(f"The checkpoint has {name} {config[name]!r}, and our transformer only {value!r}.")


def _layer_types(settings: Mapping[str, Any]) -> list[str]:
    every, window = settings["global_every"], settings["window"]
    return [
        "sliding_attention" if window and layer % every else "full_attention" for layer in range(settings["layers"])
    ]


def _windows(config: Mapping[str, Any]) -> dict[str, int]:
    """`window` and `global_every` of a ModernBERT, from its list of layers or, in older files, its stride."""
    settings = {"layers": config["num_hidden_layers"], "window": config.get("local_attention", 128)}
    every = config.get("global_attn_every_n_layers", 3)
    types = config.get("layer_types") or _layer_types({**settings, "global_every": every})
    if "sliding_attention" not in types:
        return {"window": 0, "global_every": every}
    every = types.index("full_attention", 1) if "full_attention" in types[1:] else len(types)
    if types != _layer_types({**settings, "global_every": every}):
        raise BadInput("The checkpoint's layers look at whole items in no regular turn, which our transformer cannot.")
    return {"window": settings["window"], "global_every": every}
