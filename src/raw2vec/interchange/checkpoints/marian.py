"""Marian's folders as translators: their weights, and their pieces from SentencePiece's own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, processors
from torch import Tensor, nn

from raw2vec.build import FACTS, WRITERS, build_model, build_objectives
from raw2vec.errors import BadFolder
from raw2vec.folder import Model, way_back
from raw2vec.interchange.checkpoints.base import CONFIG, loaded, read, report_of, weights
from raw2vec.interchange.checkpoints.pieces import pieces_of, tokenizer_of, vocabulary_in
from raw2vec.interchange.hugging_face import matched, named_rows
from raw2vec.interchange.hugging_face.marian import READER, SINES, WRITER
from raw2vec.models import Autoencoder
from raw2vec.raw import Text
from raw2vec.recipe import Part, Recipe
from raw2vec.resolve import reads
from raw2vec.settings import checked

SOURCE, WRITTEN, _TARGET, _VOCABULARY = "source.spm", "target.spm", "target_vocab.json", "vocab.json"
_TABLES = ("model.shared.weight", "final_logits_bias")
# What is worked out anew, or is the one table by another name.
_ASIDE = (
    "lm_head.weight",
    *(f"model.{side}.{name}.weight" for side in ("encoder", "decoder") for name in ("embed_positions", "embed_tokens")),
)


def tokenizer_in(folder: Path, pieces: str = SOURCE) -> Tokenizer | None:
    """The tokenizer of a folder that holds SentencePiece's files; None for one that has not this one.

    pieces: what is read is cut by, or what is written, which begins with padding.
    """
    if not (folder / pieces).exists():
        return None
    if (folder / _TARGET).exists() or read(folder / "tokenizer_config.json").get("separate_vocabs"):
        raise BadFolder(f"{folder} has a vocabulary for each language, and here one table serves both.")
    about = read(folder / "tokenizer_config.json")
    usual = {"unknown": ("unk_token", "<unk>"), "end": ("eos_token", "</s>"), "padding": ("pad_token", "<pad>")}
    special = {role: _content(about.get(name, token)) for role, (name, token) in usual.items()}
    vocabulary = vocabulary_in(folder / _VOCABULARY)
    if missing := next((token for token in special.values() if token not in vocabulary), None):
        raise BadFolder(f"{folder / _VOCABULARY} has no token '{missing}'.")
    made = tokenizer_of(pieces_of(folder / pieces), vocabulary, special)
    if pieces == WRITTEN:
        ends = [(special[role], vocabulary[special[role]]) for role in ("padding", "end")]
        (start, _), (end, _) = ends
        made.post_processor = processors.TemplateProcessing(f"{start} $A {end}", f"{start} $A {end} $B {end}", ends)
    return made


def open_translator(folder: Path, about: Mapping[str, Any], raw: Text) -> Model:
    """A translator; its vectors are the means of what its encoder makes of a text. raw: what reads the texts."""
    if about.get("decoder_start_token_id", raw.start) != raw.start:
        raise BadFolder(f"{folder / CONFIG} begins translations with another token than padding, which is not known.")
    scaled = bool(about.get("scale_embedding", False))
    apart = scaled or not about.get("tie_word_embeddings", True)  # in our table, or in theirs
    decoder = {**WRITER.settings(about), "words": "own" if apart else "tied"}
    tree = {
        "kind": "pairs",
        "raw": raw.settings,
        "encoder": {"name": "transformer", **READER.settings(about)},
        "decoder": {"name": "transformer", **checked(WRITERS["transformer"], decoder, "The decoder", FACTS)},
        "bridge": "cross-attention",
        "stages": [{"objectives": ["translation"]}],
    }
    recipe = Recipe.read(tree)
    recipe = recipe.model_copy(update={**reads(recipe), "bridge": Part(name="cross-attention")})
    model = build_model(recipe, raw)
    ours, named = _weights(folder, about, recipe, raw.size)
    assert isinstance(model, Autoencoder), "it writes"
    loaded(nn.ModuleDict({"embedder": model.embedder, **way_back(model)}), ours, named, folder)
    for name, weight in model.named_parameters():  # which Marian has no place for: so it can go back
        weight.requires_grad_(not name.endswith(SINES))
    objectives = build_objectives(recipe, raw, model, None, 0)
    report = report_of("pairs", "marian checkpoint, with its own pieces and weights", folder, [])
    return Model(recipe, raw, model.eval(), objectives.eval(), report=report)


def rows_of(folder: Path) -> int:
    """How many tokens the folder's table of embeddings has."""
    if (table := weights(folder).get("model.shared.weight")) is None:
        raise BadFolder(f"{folder} lacks the weights of its word embeddings.")
    return len(table)


def _weights(
    folder: Path, about: Mapping[str, Any], recipe: Recipe, size: int
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights under our names, and what they are called there."""
    every = weights(folder)
    ours = _tables(folder, about, every, size)
    held = {name: value for name, value in every.items() if name not in (*_ASIDE, *_TABLES)}
    named = {"embedder.embedding.table.weight": "model.shared.weight", "readout.linear.bias": "final_logits_bias"}
    assert recipe.decoder is not None
    for own, theirs, family, part in (
        ("embedder.encoder.", "model.encoder.", READER, recipe.encoder),
        ("decoder.", "model.decoder.", WRITER, recipe.decoder),
    ):
        layers = part.settings["layers"]
        names = [name for name in held if name.startswith(theirs)]
        found = matched({name.removeprefix(theirs): held.pop(name) for name in names}, family, layers, "marian")
        # Our sines have a scale that is learned; theirs are as high as they are.
        found["positions.scale"] = torch.tensor(1.0)
        ours |= {own + name: value for name, value in found.items()}
        named |= {own + name: told for name, told in named_rows(family, layers, theirs).items()}
    if held:
        raise BadFolder(
            f"The checkpoint holds a weight that marian as we know it has no place for: '{next(iter(held))}'."
        )
    return ours, named


def _tables(folder: Path, about: Mapping[str, Any], held: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
    """What words are read and told by, of the first `size` tokens.

    Embeddings that theirs multiplies by √width as they enter are so in our table, by which words are not told then.
    """
    tied, scaled = about.get("tie_word_embeddings", True), bool(about.get("scale_embedding", False))
    wanted = (*_TABLES, *(() if tied else ("lm_head.weight",)))
    if missing := next((name for name in wanted if name not in held), None):
        raise BadFolder(f"{folder} lacks the weight '{missing}', which its {CONFIG} calls for.")
    table, bias = held[_TABLES[0]][:size], held[_TABLES[1]].flatten()[:size]
    found = {"readout.linear.bias": bias.contiguous()}
    found["embedder.embedding.table.weight"] = table * table.shape[1] ** 0.5 if scaled else table.contiguous()
    if scaled or not tied:
        found["readout.linear.weight"] = (table if tied else held["lm_head.weight"][:size]).contiguous()
    return found


def _content(token: object) -> str:
    return str(token.get("content")) if isinstance(token, Mapping) else str(token)
