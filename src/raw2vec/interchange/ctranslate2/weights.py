"""Our weights under CTranslate2's names: which recipes have them all, and the files it opens.

Its layers normalise what each of them takes, the first one too ("pre-each"), or what it leaves ("post", "post-only").
It multiplies embeddings by √width and makes up positions unless it is told not to; here positions come as a finished
table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raw2vec.embedding import TokenEmbedding
from raw2vec.folder import Model
from raw2vec.interchange.ctranslate2.base import library, source_ids
from raw2vec.layers import GATES
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.readout import TokenReadout
from raw2vec.recipe import Recipe

ACTIVATIONS = {
    "relu": "RELU",
    "gelu": "GELU",
    "gelu_tanh": "GELUTanh",
    "silu": "SWISH",
    "swish": "SWISH",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
}
"""Activations, ours ↔ theirs."""

_KNOWN: dict[str, tuple[Any, ...]] = {
    "positions": ("sinusoidal", "learned", "none"),
    "norm_order": ("pre-each", "post", "post-only"),
    "normalization": ("layer", "rms"),
    "activation": (*ACTIVATIONS, *(gate for gate, plain in GATES.items() if plain in ACTIVATIONS)),
    "window": (0,),
    "biases": ("usual",),
    "epsilon": (0.0,),
    "causal": (False,),
    "class_tokens": (0,),
}
_PLACES = 256  # rows of a table of positions at least: it writes as many tokens where nobody says how many


def refusal(recipe: Recipe) -> str | None:
    """Why CTranslate2 does not run a model of this recipe, or None where it does."""
    if not recipe.translates or recipe.decoder is None:
        return "it does not translate"
    names = (recipe.encoder.name, recipe.decoder.name)
    if names != ("transformer", "transformer"):
        return f"its encoder is {names[0]} and its decoder {names[1]}"
    if recipe.bridge is None or recipe.bridge.name != "cross-attention":
        return "its decoder is told of a vector alone (bridge is fixed)"
    sides = {"encoder": recipe.encoder.settings, "decoder": recipe.decoder.settings}
    for side, settings in sides.items():
        for name, known in _KNOWN.items():
            if name in settings and settings[name] not in known:
                return f"{side}.{name} is {settings[name]}"
        if settings["positions"] == "learned" and settings["limit"] < recipe.raw["max_tokens"]:
            return f"{side}.limit is below raw.max_tokens"
    orders = {settings["norm_order"] for settings in sides.values()}
    return None if len(orders) == 1 else "encoder.norm_order is not decoder.norm_order"


def save(parts: Model, folder: Path, quantization: str) -> None:
    """Writes model.bin, config.json and the vocabularies, in place of those that are there."""
    raw, spec = parts.raw, _specification(parts)
    assert isinstance(raw, Text)
    names = raw.pieces
    spec.register_source_vocabulary([names[place] for place in source_ids(raw)])
    spec.register_target_vocabulary(names[: raw.form.written])
    special = {"unk_token": raw.unknown, "bos_token": raw.start, "eos_token": raw.end, "decoder_start_token": raw.start}
    for name, place in special.items():
        spec.config.add_attribute(name, names[place])
    spec.validate()
    spec.optimize(quantization)
    spec.save(str(folder))


def _specification(parts: Model) -> Any:
    model, specs, decoder = parts.model, library().specs, parts.recipe.decoder
    assert isinstance(parts.raw, Text)
    assert isinstance(model, SequenceToSequence)
    assert isinstance(model.embedding, TokenEmbedding)
    assert decoder is not None, "it writes"
    reads = specs.TransformerEncoderSpec(**_form(parts.recipe.encoder.settings, specs.Activation))
    writes = specs.TransformerDecoderSpec(**_form(decoder.settings, specs.Activation))
    table, rows = model.embedding.weight, max(parts.recipe.raw["max_tokens"], _PLACES)
    _side(reads, reads.embeddings[0], model.encoder, table[source_ids(parts.raw)], rows)
    _side(writes, writes.embeddings, model.decoder, table[: parts.raw.form.written], rows)
    _told(writes.projection, model.readout)
    spec = specs.TransformerSpec(reads, writes)
    spec.config.add_attribute("layer_norm_epsilon", _epsilon(model.encoder))
    return spec


def _form(settings: Mapping[str, Any], activations: Any) -> dict[str, Any]:
    name = settings["activation"]
    return {
        "num_layers": settings["layers"],
        "num_heads": settings["heads"],
        "pre_norm": settings["norm_order"] == "pre-each",
        "activation": activations[ACTIVATIONS[GATES.get(name, name)]],
        "ffn_glu": name in GATES,
        "rms_norm": settings["normalization"] == "rms",
        "layernorm_embedding": settings["norm_order"] != "post-only",
    }


def _side(theirs: Any, embeddings: Any, ours: Any, table: Tensor, rows: int) -> None:
    """An encoder or a decoder. A map at its entry is worked into the table of words: the map of a row is a row."""
    embeddings.weight = _numbers(ours.project(table))
    theirs.scale_embeddings = False
    theirs.position_encodings.encodings = _places(ours.positions, ours.width, rows, table.device)
    if hasattr(theirs, "layernorm_embedding"):
        _norm(theirs.layernorm_embedding, ours.normalization)
    if theirs.pre_norm:
        _norm(theirs.layer_norm, ours.final)
    for layer, block in zip(theirs.layer, ours.layers, strict=True):
        _attention(layer.self_attention, block.attention_norm, block.attention.enter, block.attention.leave)
        if hasattr(layer, "attention"):
            cross = block.cross
            _attention(layer.attention, block.cross_norm, cross.enter, cross.remember, cross.leave)
        _norm(layer.ffn.layer_norm, block.feed_forward_norm)
        _feed_forward(layer.ffn, block.feed_forward)


def _places(positions: nn.Module, width: int, rows: int, device: torch.device) -> NDArray[np.float32]:
    """What positions add to rows of zeros, (rows, width); of learned ones, as many rows as there are."""
    rows = getattr(positions, "limit", rows)
    added: Ragged = positions(Ragged(torch.zeros(rows, width, device=device), torch.tensor([[rows]])))
    return _numbers(added.values)


def _attention(theirs: Any, norm: nn.Module, *linears: nn.Linear) -> None:
    """Queries, keys and values are one map, here as there; across, keys and values are."""
    _norm(theirs.layer_norm, norm)
    for into, linear in zip(theirs.linear, linears, strict=True):
        _linear(into, linear.weight, linear.bias)


def _feed_forward(theirs: Any, ours: Any) -> None:
    """Of a gated one the half that is activated is a map of its own, `linear_0`."""
    enters = [theirs.linear_0, theirs.linear_0_noact] if hasattr(theirs, "linear_0_noact") else [theirs.linear_0]
    bias = ours.enter.bias
    biases = [None] * len(enters) if bias is None else bias.chunk(len(enters))
    for into, weight, own in zip(enters, ours.enter.weight.chunk(len(enters)), biases, strict=True):
        _linear(into, weight, own)
    _linear(theirs.linear_1, ours.leave.weight, ours.leave.bias)


def _told(theirs: Any, readout: TokenReadout) -> None:
    """States to words; two maps in a row are one. A tied table is an equal array, which it stores once."""
    weight, bias, narrow = readout.weight.detach(), readout.linear.bias.detach(), readout.narrow
    if isinstance(narrow, nn.Linear):
        weight, bias = weight @ narrow.weight, weight @ narrow.bias + bias
    _linear(theirs, weight, bias)


def _linear(theirs: Any, weight: Tensor, bias: Tensor | None) -> None:
    theirs.weight = _numbers(weight)
    if bias is not None:
        theirs.bias = _numbers(bias)


def _norm(theirs: Any, ours: Any) -> None:
    theirs.gamma = _numbers(ours.weight)
    if hasattr(theirs, "beta"):  # which tells it that this is no RMSNorm
        theirs.beta = np.zeros_like(theirs.gamma) if ours.bias is None else _numbers(ours.bias)


def _epsilon(ours: Any) -> float:
    return float(next(norm.eps for norm in ours.modules() if hasattr(norm, "eps")))


def _numbers(values: Tensor) -> NDArray[np.float32]:
    """A copy: it rounds arrays in place, and would round our own weights."""
    return np.array(values.detach().float().cpu().numpy(), np.float32)
