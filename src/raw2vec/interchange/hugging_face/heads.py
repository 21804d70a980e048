"""What tells masked words, as each family has it: our head of masked prediction is BERT's (Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from raw2vec.readout import Words

_PARTS = {
    "bert": ("BertForMaskedLM", "bert.", "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
    "mpnet": ("MPNetForMaskedLM", "mpnet.", "lm_head.dense", "lm_head.layer_norm"),
    "nomic_bert": (
        *("NomicBertForMaskedLM", "nomic_bert."),
        *("cls.predictions.transform.dense", "cls.predictions.transform.layer_norm"),
    ),
    "modernbert": ("ModernBertForMaskedLM", "model.", "head.dense", "head.norm"),
}
"""Their model with the head, what it calls the encoder, and the head's two layers."""
_BIAS = {"bert": "cls.predictions.bias", "nomic_bert": "cls.predictions.bias", "mpnet": "lm_head.bias"}


def misfit(config: Mapping[str, Any], readout: Words) -> str | None:
    """Why this family's head cannot be ours, or None where it is."""
    kind, norm = config["model_type"], readout.transform[2]
    assert isinstance(norm, nn.LayerNorm)
    epsilon = config["norm_eps" if kind == "modernbert" else "layer_norm_eps"]
    if epsilon != norm.eps:
        return f"its norm adds {norm.eps:g} to a variance and this encoder's {epsilon:g} (encoder.epsilon)"
    if kind in ("bert", "nomic_bert") and config["hidden_act"] != "gelu":
        return f"its activation is gelu, where this encoder's is {config['hidden_act']}"
    return None


def with_head(
    config: dict[str, Any], encoder: Mapping[str, Tensor], readout: Words, table: Tensor
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Their config.json and weights of encoder and head, from those of the encoder alone.

    table: the words' vectors (V, D), which head and encoder share. ModernBERT's norm has no bias: ours goes through the
    table into that of the words.
    """
    kind = config["model_type"]
    model, prefix, dense, norm = _PARTS[kind]
    linear, _, last = readout.transform
    assert isinstance(linear, nn.Linear)
    assert isinstance(last, nn.LayerNorm)
    found = {f"{prefix}{name}": value for name, value in encoder.items()}
    found |= {f"{dense}.{name}": value for name, value in linear.state_dict().items()}
    found[f"{norm}.weight"] = last.weight
    config = {**config, "architectures": [model], "tie_word_embeddings": True}
    if kind == "modernbert":
        found["decoder.bias"] = readout.bias + table @ last.bias
        config |= {"classifier_bias": True, "classifier_activation": "gelu", "decoder_bias": True}
    else:
        found |= {f"{norm}.bias": last.bias, _BIAS[kind]: readout.bias}
    return config, {name: value.detach().contiguous().clone() for name, value in found.items()}
