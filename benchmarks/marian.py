"""The very same translator as Hugging Face's MarianMTModel: a peer of the same sizes, or a copy weight by weight.

Marian's blocks (Junczys-Dowmunt et al. 2018) are those of norm_order "post", one activation and no gate, words tied.
What we have and it has not is a norm of the embeddings: a copy gets it by a hook before each first layer. The extra
`peers` brings transformers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import MarianConfig, MarianMTModel

from raw2vec.folder import Model
from raw2vec.layers import GATES, hidden_features
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.recipe import Recipe

SIZES: dict[str, Any] = {"layers": 3, "width": 256, "heads": 4, "feed_forward": 1024, "activation": "relu"}
LIKE_MARIAN: dict[str, Any] = {
    f"{side}.{name}": value
    for side in ("encoder", "decoder")
    for name, value in {**SIZES, "norm_order": "post", "positions": "sinusoidal"}.items()
}
"""Changes to a translator's recipe with which Marian can carry it."""


def marian(recipe: Recipe, raw: Text) -> MarianMTModel:
    """A new one of the sizes of the recipe's encoder and decoder, with this vocabulary."""
    assert recipe.decoder is not None, "it writes"
    width, activation = (recipe.encoder.settings[name] for name in ("width", "activation"))
    sizes: dict[str, int] = {}
    for side, own in {"encoder": recipe.encoder.settings, "decoder": recipe.decoder.settings}.items():
        hidden = hidden_features(width, own["feed_forward"], activation)
        sizes |= {f"{side}_layers": own["layers"], f"{side}_attention_heads": own["heads"], f"{side}_ffn_dim": hidden}
    config = MarianConfig(
        vocab_size=raw.size,
        d_model=width,
        **sizes,
        activation_function=activation,
        dropout=recipe.encoder.settings["dropout"],
        max_position_embeddings=raw.max_tokens,
        pad_token_id=raw.pad,
        eos_token_id=raw.end,
        forced_eos_token_id=raw.end,
        decoder_start_token_id=raw.start,
    )
    return MarianMTModel(config)


@torch.no_grad()
def carried(parts: Model) -> MarianMTModel:
    """A copy of the model, in evaluation mode; ValueError for one that Marian's blocks cannot be."""
    ours, raw, refused = parts.model, parts.raw, _refused(parts.recipe)
    if refused:
        raise ValueError(f"MarianMTModel cannot be this model: {refused}.")
    assert isinstance(ours, SequenceToSequence)
    assert isinstance(raw, Text)
    theirs = marian(parts.recipe, raw)
    theirs.model.shared.weight.copy_(ours.table)
    theirs.final_logits_bias.copy_(ours.readout.linear.bias)
    _side(theirs.model.encoder, ours.encoder)
    _side(theirs.model.decoder, ours.decoder)
    return theirs.eval()


def _refused(recipe: Recipe) -> str:
    """What of the recipe it cannot have, or ''."""
    assert recipe.decoder is not None, "it writes"
    known: dict[str, Any] = {"norm_order": "post", "positions": "sinusoidal", "normalization": "layer"}
    known |= {"name": "transformer", **{name: recipe.encoder.settings.get(name) for name in ("width", "activation")}}
    for side, part in {"encoder": recipe.encoder, "decoder": recipe.decoder}.items():
        for name, value in {"name": part.name, **part.settings}.items():
            if value != known.get(name, value) or value in GATES:
                return f"its {side}.{name} is {value}"
    tied = recipe.decoder.settings["words"] == "tied" and recipe.embedding["width"] == known["width"]
    return "" if tied else "its words are not tied, or of another width"


def _side(theirs: Any, ours: Any) -> None:
    """An encoder or a decoder: its positions with their scale, the norm of its embeddings, and its blocks."""
    places = len(theirs.embed_positions.weight)
    none = Ragged(torch.zeros(places, ours.width), torch.tensor([[places]]))
    theirs.embed_positions.weight.copy_(ours.positions(none).values)
    theirs.layers[0].register_forward_pre_hook(lambda _, given: (ours.normalization(given[0]), *given[1:]))
    for layer, block in zip(theirs.layers, ours.layers, strict=True):
        own, feed = block.attention, block.feed_forward
        _maps([layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj], own.enter)
        norms = [(layer.self_attn_layer_norm, block.attention_norm), (layer.final_layer_norm, block.feed_forward_norm)]
        ways = [(layer.self_attn.out_proj, own.leave), (layer.fc1, feed.enter), (layer.fc2, feed.leave)]
        if hasattr(layer, "encoder_attn"):
            cross = layer.encoder_attn
            _maps([cross.k_proj, cross.v_proj], block.cross.remember)
            ways += [(cross.q_proj, block.cross.enter), (cross.out_proj, block.cross.leave)]
            norms.append((layer.encoder_attn_layer_norm, block.cross_norm))
        for into, norm in norms:
            into.load_state_dict(norm.state_dict())
            into.eps = norm.eps
        for into, linear in ways:
            into.load_state_dict(linear.state_dict())


def _maps(into: list[nn.Linear], one: nn.Linear) -> None:
    """One map whose outcomes lie one after the other, as several."""
    bias: Tensor = one.bias
    for linear, weight, own in zip(into, one.weight.chunk(len(into)), bias.chunk(len(into)), strict=True):
        linear.weight.copy_(weight)
        linear.bias.copy_(own)
