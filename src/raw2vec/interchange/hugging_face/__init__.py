"""Our transformers as Hugging Face's and theirs as ours: the same numbers under other names.

Which of theirs a `Transformer` is, its settings tell: a pre-norm encoder with rotary positions and a gated feed-forward
is a ModernBertModel, a post-norm one with learned positions and a plain feed-forward a BertModel, with distances an
MPNetModel, with rotary positions, gates and no biases but its norms' a NomicBertModel. RoBERTa and DistilBERT are read
as the BERTs that they are. Weights are those of a model's `embedding` and `encoder`, by their names in its state dict;
`settings` are the keyword arguments of `Transformer`, `inputs` aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from raw2vec.encoders.transformer import GLOBAL_BASE, LOCAL_BASE, hidden_features
from raw2vec.errors import BadInput
from raw2vec.interchange.hugging_face import bert, rotary, vision
from raw2vec.interchange.hugging_face.base import ACTIVATIONS, Family
from raw2vec.interchange.hugging_face.families import family
from raw2vec.interchange.hugging_face.relatives import kin
from raw2vec.layers import GATES, usual_epsilon

__all__ = [
    "FAMILIES",
    "KNOWN",
    "config_of",
    "family",
    "family_of",
    "from_hugging_face",
    "layers_of",
    "matched",
    "named_rows",
    "parted",
    "rows",
    "settings_of",
    "to_hugging_face",
]

FAMILIES: dict[str, Family] = {**bert.FAMILIES, **rotary.FAMILIES}
"""Their `model_type`s of encoders of texts that we can read."""
KNOWN = (*FAMILIES, "vit", *vision.PAIRS, "marian")
"""All that we can read."""

_TYPES = "embeddings.token_type_embeddings.weight"
_USUAL_TYPES = 2  # where a config.json does not say
_PLACES = "encoder.positions.table.weight"
_PREFIXES = ("bert.", "roberta.", "distilbert.", "mpnet.", "nomic_bert.", "model.")
# What a checkpoint may hold beside the encoder: heads, and numbers that are not weights.
_ASIDE = (
    *("pooler.", "cls.", "head.", "decoder.", "classifier.", "embeddings.position_ids", "lm_head.", "qa_outputs."),
    *("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "embeddings.token_type_ids"),
)


def to_hugging_face(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights under the names of their model; other parts of `state` are left out.

    A linear map at the encoder's entry, which they have not, is worked into the table of words: the map of a row of it
    is again a row. Token types, which we have not, are written as zeros, as are places that stand for none.
    """
    kind = family(settings)
    made = FAMILIES[kind]
    ours = {name: value for name, value in state.items() if name.startswith(("embedding.", "encoder."))}
    if "encoder.project.weight" in ours:
        weight, bias = ours.pop("encoder.project.weight"), ours.pop("encoder.project.bias")
        ours["embedding.table.weight"] = ours["embedding.table.weight"] @ weight.T + bias
    if before := bert.places_before({"model_type": kind}):
        ours[_PLACES] = torch.cat([torch.zeros_like(ours[_PLACES][:before]), ours[_PLACES]])
    theirs = parted(ours, made, settings["layers"])
    if made.types_in:
        theirs[_TYPES] = torch.zeros_like(theirs["embeddings.word_embeddings.weight"][:2])
    return theirs


def from_hugging_face(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint of theirs under our names; its heads are left out.

    The first token type stands at every row, so it goes into the places or words. BadInput for weights without a place.
    """
    made = family_of(config, state)
    theirs = {_plain(name): value for name, value in state.items()}
    theirs = {name: value for name, value in theirs.items() if not name.startswith(_ASIDE)}
    types = theirs.pop(_TYPES, None)
    if made.types_in:
        _refuse_types(types, config)
    ours = matched(theirs, made, layers_of(config), str(config["model_type"]))
    if before := bert.places_before(config):
        ours |= {_PLACES: ours[_PLACES][before:]} if _PLACES in ours else {}
    if types is not None and len(types) and made.types_in in ours:
        if types.shape[1:] != ours[made.types_in].shape[1:]:
            raise BadInput(f"The weight '{_TYPES}' is {_shape(types)}, of another width than the checkpoint's.")
        ours[made.types_in] = ours[made.types_in] + types[0]
    return ours


def _refuse_types(types: Tensor | None, config: Mapping[str, Any]) -> None:
    """BadInput where the vectors of token types, the first of which stands at every row, are not the config's."""
    told = config.get("type_vocab_size", _USUAL_TYPES)
    if types is None and told:
        raise BadInput(
            f"The checkpoint lacks the weight '{_TYPES}', which its config.json calls for (type_vocab_size {told})."
        )
    if types is not None and (types.dim() != 2 or len(types) != told):
        raise BadInput(
            f"The weight '{_TYPES}' is {_shape(types)}, and its config.json has a type_vocab_size of {told}."
        )


def matched(theirs: Mapping[str, Tensor], made: Family, layers: int, kind: str) -> dict[str, Tensor]:
    """A family's weights under our names. BadInput for one that its table has no place for, or a part of one of ours.

    kind: what their model is called.
    """
    left, ours = dict(theirs), {}
    for own, names in rows(made, layers):
        found = [left.pop(name) for name in names if name in left]
        if found and len(found) < len(names):
            raise BadInput(f"The checkpoint holds only some of {', '.join(names)}.")
        if odd := next((place for place, part in enumerate(found) if part.shape != found[0].shape), 0):
            raise BadInput(
                f"The weight '{names[odd]}' is {_shape(found[odd])}, and '{names[0]}' {_shape(found[0])}: they should "
                "be of one shape."
            )
        if found:
            ours[own] = torch.cat(found) if len(found) > 1 else found[0]
    if left:
        raise BadInput(
            f"The checkpoint holds a weight that {kind} as we know it has no place for: '{next(iter(left))}'."
        )
    return ours


def parted(ours: Mapping[str, Tensor], made: Family, layers: int) -> dict[str, Tensor]:
    """The way back from `matched`: our weights under a family's names. BadInput for one that its table has not."""
    left, theirs = dict(ours), {}
    for own, names in rows(made, layers):
        if own in left:
            parts = left.pop(own).chunk(len(names))
            theirs.update({name: part.contiguous().clone() for name, part in zip(names, parts, strict=True)})
    if left:
        raise BadInput(f"The weights do not belong to a transformer with these settings: '{next(iter(left))}'.")
    return theirs


def rows(made: Family, layers: int) -> list[tuple[str, list[str]]]:
    """A family's table written out for every layer, weights and biases: our name, and theirs."""
    found = [(own, [theirs]) for own, theirs in made.bare]
    for own, theirs in made.table:
        for layer in range(layers) if "{}" in own else (0,):
            for suffix in (".weight", ".bias"):
                names = [name.format(layer) + suffix for name in theirs.split()]
                found.append((own.format(layer) + suffix, names))
    return found


def named_rows(made: Family, layers: int, prefix: str = "") -> dict[str, str]:
    """What each weight of ours is called by them. prefix: what they put before names, but those of projections."""
    found = ((own, [n if "_projection" in n else prefix + n for n in theirs]) for own, theirs in rows(made, layers))
    return {own: " and ".join(theirs) for own, theirs in found}


def family_of(config: Mapping[str, Any], names: Iterable[str] = ()) -> Family:
    """What a config.json describes; BadInput, with the nearest that we know, for what is none of ours.

    names: those of the weights, by which NomicBERT's two tables are told apart.
    """
    if config.get("model_type") is None:
        raise BadInput(
            "Its config.json has no model_type, which says what its weights are: write there the one of its "
            f"architecture, of {', '.join(KNOWN)}."
        )
    kind = str(config["model_type"])
    if kind not in FAMILIES:
        raise BadInput(
            f"A checkpoint of model type '{kind}' cannot be taken over; {', '.join(KNOWN)} can.{kin(kind, KNOWN)}"
        )
    return rotary.PUBLISHED if any(_plain(name) == "emb_ln.weight" for name in names) else FAMILIES[kind]


def layers_of(config: Mapping[str, Any]) -> int:
    """How many layers a config.json tells of."""
    return int(next(config[name] for name in ("num_hidden_layers", "n_layers", "n_layer") if name in config))


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the Transformer that a config.json of theirs describes. BadInput when none does."""
    made = family_of(config)
    try:
        return made.settings(config)
    except KeyError as error:
        raise BadInput(f"The checkpoint's config.json does not say its {error.args[0]}.") from None


def config_of(
    settings: Mapping[str, Any], vocabulary: int, longest: int, tokens: Mapping[str, int | None] | None = None
) -> dict[str, Any]:
    """Their config.json for a Transformer with these settings.

    longest: tokens of the longest item it is meant for. tokens: the numbers of special ones ("pad_token_id": 0, …).
    """
    kind, width = family(settings), settings["width"]
    plain = ACTIVATIONS[GATES.get(settings["activation"], settings["activation"])]
    epsilon = settings.get("epsilon") or usual_epsilon(settings["norm_order"])
    shared = {
        "architectures": [FAMILIES[kind].model],
        "model_type": kind,
        "dtype": "float32",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": hidden_features(width, settings["feed_forward"], settings["activation"]),
        "num_hidden_layers": settings["layers"],
        "num_attention_heads": settings["heads"],
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), None),
    }
    own = _config_of_modernbert if kind == "modernbert" else _config_of_bert
    return {**shared, **own(settings, plain, epsilon, longest), **(tokens or {})}


def _config_of_bert(settings: Mapping[str, Any], plain: str, epsilon: float, longest: int) -> dict[str, Any]:
    """What BERT's config.json says, and MPNet's and NomicBERT's, that ModernBERT's says otherwise."""
    kind = family(settings)
    limit = settings["limit"] + bert.places_before({"model_type": kind})
    found = {
        "hidden_act": plain,
        "max_position_embeddings": max(settings["limit"], longest) if kind == "nomic_bert" else limit,
        "type_vocab_size": 2,
        "layer_norm_eps": epsilon,
        "hidden_dropout_prob": settings["dropout"],
        "attention_probs_dropout_prob": 0.0,
    }
    if kind == "mpnet":
        return {**found, "pad_token_id": 1}
    if kind == "nomic_bert":
        found["rope_parameters"] = {"rope_type": "default", "rope_theta": settings.get("rotary_base") or GLOBAL_BASE}
    return found


def _config_of_modernbert(settings: Mapping[str, Any], plain: str, epsilon: float, longest: int) -> dict[str, Any]:
    far = settings.get("rotary_base") or GLOBAL_BASE
    return {
        "hidden_activation": plain,
        "max_position_embeddings": longest,
        **rotary.ATTENTION_OF_MODERNBERT,
        "norm_eps": epsilon,
        "layer_types": rotary.layer_types(settings),
        "local_attention": settings["window"] or 128,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": far},
            "sliding_attention": {"rope_type": "default", "rope_theta": LOCAL_BASE},
        },
        **dict.fromkeys(("embedding_dropout", "mlp_dropout", "attention_dropout"), settings["dropout"]),
        **dict.fromkeys(("cls_token_id", "sep_token_id"), None),
    }


def _shape(value: Tensor) -> str:
    return " × ".join(map(str, value.shape)) or "one number"


def _plain(name: str) -> str:
    """Their name without the task model's prefix, and a LayerNorm's weights as they are called since 2019."""
    name = next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
