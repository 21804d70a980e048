"""What the values in a checkpoint's JSON files must be like: one table, so that a malformed one is told by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raw2vec.errors import BadFolder

_MOST_LAYERS = 10_000  # beyond which a number is a slip, and building so many would never end
_MOST = 10**8  # of anything else: whatever is that large does not fit into a machine


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _share(value: object) -> bool:
    return _number(value) and isinstance(value, int | float) and value <= 1


def _length(value: object) -> bool:
    return value is None or (_number(value) and value != 0)


def _layers(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_LAYERS


def _id(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _lengths(value: object) -> bool:
    return _count(value) or (isinstance(value, list) and len(value) == 2 and all(map(_count, value)))


def _names(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str | None) for text in value.values())


_COUNT = (_count, f"a whole number above 0, and at most {_MOST:,}")
_NUMBER = (_number, "a number, not below 0")
_SHARE = (_share, "a number from 0 to 1")
_LENGTH = (_length, "a number above 0, or null")
_LAYERS = (_layers, f"a whole number from 0 to {_MOST_LAYERS:,}")
_LIMIT = (lambda value: value is None or _count(value), "a whole number above 0, or null")
_ID = (_id, "a whole number or null")
_LENGTHS = (_lengths, "a whole number above 0, or two of them")
_OBJECT = (lambda value: value is None or isinstance(value, Mapping), "an object")
_NAMES = (lambda value: value is None or _names(value), "an object whose values are texts")
_LIST = (lambda value: value is None or isinstance(value, list), "a list")
_NAME = (lambda value: value is None or isinstance(value, str), "a text")
_FLAG = (lambda value: value is None or isinstance(value, bool), "true or false")

_Kind = tuple[Callable[[Any], bool], str]
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("hidden_size", "num_attention_heads", "intermediate_size", "max_position_embeddings"), _COUNT),
    **dict.fromkeys(("dim", "n_heads", "hidden_dim", "n_embd", "n_head", "n_positions", "d_model"), _COUNT),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), _COUNT),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "num_channels", "vocab_size"), _COUNT),
    **dict.fromkeys(("local_attention", "global_attn_every_n_layers"), _COUNT),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "encoder_layers", "decoder_layers"), _LAYERS),
    **dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "norm_eps", "rescale_factor"), _NUMBER),
    **dict.fromkeys(("global_rope_theta", "local_rope_theta", "rope_theta", "rotary_emb_base"), _NUMBER),
    **dict.fromkeys(("hidden_dropout_prob", "dropout", "resid_pdrop", "mlp_dropout"), _SHARE),
    **dict.fromkeys(("hidden_act", "hidden_activation", "activation_function"), _NAME),
    "type_vocab_size": _LAYERS,
    "model_max_length": _LENGTH,
    **dict.fromkeys(("in_features", "out_features", "embedding_dimension", "word_embedding_dimension"), _COUNT),
    **dict.fromkeys(("max_seq_length", "max_length", "n_inner", "truncate_dim"), _LIMIT),
    **dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id", "mask_token_id", "unk_token_id"), _ID),
    **dict.fromkeys(("image_size", "patch_size"), _LENGTHS),
    **dict.fromkeys(("text_config", "vision_config", "rope_parameters", "id2label", "modality_config"), _OBJECT),
    **dict.fromkeys(("weight_map", "prompts"), _NAMES),
    **dict.fromkeys(("layer_types", "image_mean", "image_std"), _LIST),
    **dict.fromkeys(("do_lower_case", "normalize", "scale_embedding", "tie_word_embeddings", "bias"), _FLAG),
}
"""By name, in whichever file it stands: the same name means the same in all of them."""


def check(held: Mapping[str, Any], path: Path) -> None:
    """BadFolder for the first value that is of another kind than its name asks for, also in a config within."""
    for name, value in held.items():
        fits, wanted = _KINDS.get(name, (None, ""))
        if fits is not None and not fits(value):
            raise BadFolder(f"{path} is malformed: its {name} is {_told(value)}, and should be {wanted}.")
        if name.endswith("_config") and isinstance(value, Mapping):
            check(value, path)


def _told(value: object) -> str:
    told = "null" if value is None else repr(value)
    return told if len(told) <= 40 else f"{told[:40]}…"
