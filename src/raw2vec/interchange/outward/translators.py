"""Translators as Marian's folders: those that came from one, trained on or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from raw2vec.encoders.transformer import hidden_features
from raw2vec.errors import Raw2VecError
from raw2vec.folder import Model
from raw2vec.interchange.checkpoints.pieces import Pieces, as_bytes, names_in, pieces_in
from raw2vec.interchange.hugging_face import parted as renamed
from raw2vec.interchange.hugging_face.base import ACTIVATIONS
from raw2vec.interchange.hugging_face.marian import READER, SINES, WRITER
from raw2vec.interchange.outward.base import PROBES, Agreement, first_windows, off, quiet
from raw2vec.models import SequenceToSequence
from raw2vec.models.sequence_to_sequence import parted
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.recipe import Recipe

_WANTED = {"norm_order": "post-only", "positions": "sinusoidal", "normalization": "layer", "window": 0}
_WANTED |= {"biases": "usual", "epsilon": 0.0, "causal": False, "class_tokens": 0}
_STRIDE = 7919  # a prime: tokens that jump about the vocabulary
_CARD = """# A translator for transformers
Exported by raw2vec, as Marian. Its tokenizer needs sentencepiece.

```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained("{name}"), AutoTokenizer.from_pretrained("{name}")
batch = tokenizer(["a text", "another"], padding=True, return_tensors="pt")
print(tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True))
```
"""


def refusal(parts: Model) -> str | None:
    """Why a translator is no Marian, or None where it is one."""
    recipe, raw = parts.recipe, parts.raw
    assert isinstance(raw, Text)
    assert recipe.decoder is not None
    if (names := (recipe.encoder.name, recipe.decoder.name)) != ("transformer", "transformer"):
        return f"its encoder is {names[0]} and its decoder {names[1]}, and Marian's are transformers"
    for side, part in (("encoder", recipe.encoder), ("decoder", recipe.decoder)):
        for name, value in _WANTED.items():
            if part.settings.get(name, value) != value:
                return f"the nearest, Marian, has {side}.{name} {value}, not {part.settings[name]}"
        if part.settings["activation"] not in ACTIVATIONS:
            return f"the nearest, Marian, has no {side}.activation {part.settings['activation']}"
    if recipe.bridge is None or recipe.bridge.name != "cross-attention":
        return "its decoder is told of a vector alone (bridge is fixed), and Marian's looks at every state"
    widths = {recipe.embedding["width"], recipe.encoder.settings["width"], recipe.decoder.settings["width"]}
    if len(widths) > 1:
        return "its embedding, encoder and decoder are not of one width, as Marian's are"
    if raw.target is None or raw.separate or raw.boundaries != "sep":
        return "its texts are not cut by SentencePiece's pieces for each language, as those of a model from Marian are"
    if any(float(weight) != 1.0 for name, weight in parts.model.state_dict().items() if name.endswith(SINES)):
        return "its sines have learned another height than Marian's"
    return None


def write(folder: Path, parts: Model, name: str) -> tuple[Agreement, str]:
    """Fills the folder, and tells how near transformers comes to the model, and the card."""
    raw = parts.raw
    assert isinstance(raw, Text)
    save_file(_weights(parts), folder / "model.safetensors", {"format": "pt"})
    special = {"decoder_start_token_id": raw.start, "eos_token_id": raw.end, "pad_token_id": raw.pad}
    writes = {"max_length": raw.max_tokens, "bad_words_ids": [[raw.pad]], "num_beams": 5}
    _write_json(folder / "config.json", {**_config(parts.recipe, raw), **special})
    _write_json(folder / "generation_config.json", {**writes, **special})
    names, source, target = _pieces(raw)
    (folder / "source.spm").write_bytes(as_bytes(source))
    (folder / "target.spm").write_bytes(as_bytes(target))
    _write_json(folder / "vocab.json", {name: number for number, name in enumerate(names)})
    tokens = {"unk_token": names[raw.unknown], "eos_token": names[raw.end], "pad_token": names[raw.pad]}
    about = {"tokenizer_class": "MarianTokenizer", "model_max_length": raw.max_tokens, **tokens}
    _write_json(folder / "tokenizer_config.json", about)
    return _agreement(folder, parts, raw), _CARD.format(name=name)


def _config(recipe: Recipe, raw: Text) -> dict[str, Any]:
    assert recipe.decoder is not None
    found: dict[str, Any] = {"architectures": ["MarianMTModel"], "model_type": "marian", "dtype": "float32"}
    found |= {"vocab_size": raw.size, "decoder_vocab_size": raw.size, "d_model": recipe.embedding["width"]}
    for side, settings in (("encoder", recipe.encoder.settings), ("decoder", recipe.decoder.settings)):
        features = hidden_features(settings["width"], settings["feed_forward"], settings["activation"])
        found |= {f"{side}_layers": settings["layers"], f"{side}_attention_heads": settings["heads"]}
        found |= {f"{side}_ffn_dim": features, "activation_function": ACTIVATIONS[settings["activation"]]}
    found |= {"dropout": recipe.encoder.settings["dropout"], "max_position_embeddings": raw.max_tokens}
    found |= {"scale_embedding": False, "static_position_embeddings": True, "share_encoder_decoder_embeddings": True}
    tied = recipe.decoder.settings["words"] == "tied"
    return {**found, "tie_word_embeddings": tied, "is_encoder_decoder": True, "forced_eos_token_id": None}


def _weights(parts: Model) -> dict[str, Tensor]:
    """Under Marian's names; a table of its own for what is written, where words are not tied."""
    model, recipe = parts.model, parts.recipe
    assert isinstance(model, SequenceToSequence)
    assert recipe.decoder is not None
    table, tells = model.table.detach(), model.readout.weight.detach()
    found = {"model.shared.weight": table, "final_logits_bias": model.readout.linear.bias.detach()[None]}
    if recipe.decoder.settings["words"] != "tied":
        found |= {f"model.{side}.embed_tokens.weight": table for side in ("encoder", "decoder")}
        found["lm_head.weight"] = tells
    sides = (("encoder", READER, model.encoder, recipe.encoder), ("decoder", WRITER, model.decoder, recipe.decoder))
    for side, family, module, part in sides:
        state = {name: value for name, value in module.state_dict().items() if name != SINES}
        told = renamed(state, family, part.settings["layers"])
        found |= {f"model.{side}.{name}": value for name, value in told.items()}
    return {name: value.contiguous().clone() for name, value in found.items()}


def _pieces(raw: Text) -> tuple[list[str], Pieces, Pieces]:
    """The vocabulary by its numbers, and what cuts the input and the target."""
    assert raw.target is not None
    own, other = raw.target.identity(), raw.identity()
    source = other.removesuffix(own)
    return names_in(source, raw.size), pieces_in(source), pieces_in(own)


@torch.inference_mode()
def _agreement(folder: Path, parts: Model, raw: Text) -> Agreement:
    """MarianMTModel's logits beside the model's, and its tokenizer's ids where sentencepiece is installed."""
    model = parts.model
    assert isinstance(model, SequenceToSequence)
    texts = [*(parts.golden[0] if parts.golden else []), *PROBES]
    with quiet() as transformers:
        options: dict[str, Any] = {"local_files_only": True, "dtype": torch.float32}
        theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, **options).eval()
        note = _unlike(transformers, folder, raw, texts)
    sources = first_windows(raw, texts)
    places = [[_STRIDE * (row * 8 + place) % raw.size for place in range(row)] for row in range(len(texts))]
    told = Ragged.of([torch.tensor([raw.start, *row, raw.end]) for row in places])
    before, _ = parted(told)
    inside = {"attention_mask": sources.inside().long(), "decoder_attention_mask": before.inside().long()}
    logits = theirs(sources.padded(raw.pad), decoder_input_ids=before.padded(raw.pad), **inside).logits
    states, _ = model.written(model.read(sources), told)
    own = model.readout.logits(states.values)
    return Agreement(type(theirs).__name__, len(texts), off(before.unpadded(logits), own)).noted(note)


def _unlike(transformers: Any, folder: Path, raw: Text, texts: list[str]) -> str | None:
    """A note where the tokenizer cannot be tried. Raw2VecError where it cuts texts otherwise."""
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except ImportError:
        return "its tokenizer was not tried, which needs sentencepiece: pip install sentencepiece"
    assert raw.target is not None
    for options in ({"text": texts}, {"text_target": texts}):
        reader = raw if "text" in options else raw.target
        for text, found in zip(texts, tokenizer(**options)["input_ids"], strict=True):
            own = reader.windows([text]).ragged.values[int(reader is raw.target) :].tolist()
            # It looks up in its vocabulary what its pieces know nothing of; here that is the unknown.
            alike = all(own_id in (theirs, raw.unknown) for own_id, theirs in zip(own, found, strict=False))
            if len(own) < raw.max_tokens and (len(own) != len(found) or not alike):
                raise Raw2VecError("MarianTokenizer does not cut texts as the model's own does, so nothing is kept.")
    return None


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
