"""Checkpoints of others become ordinary models: transformers' and sentence-transformers' folders, static embeddings.

Weights come from safetensors and sizes from JSON; nothing that a checkpoint brings is run. What is not known in every
detail is refused: a model that almost gives its vectors is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from raw2vec.build import build_model
from raw2vec.errors import BadFolder, BadInput
from raw2vec.folder import Model, card_lines
from raw2vec.interchange.checkpoints.base import (
    CONFIG,
    MODULES,
    PICKLES,
    WEIGHTS,
    config,
    loaded,
    read,
    refuse_pickle,
    report_of,
    weights,
)
from raw2vec.interchange.checkpoints.marian import WRITTEN, open_translator, rows_of, tokenizer_in
from raw2vec.interchange.checkpoints.modules import Pipeline, pipeline
from raw2vec.interchange.checkpoints.pieces import pieces_of, tokenizer_of, without_marks
from raw2vec.interchange.checkpoints.vision import first_picture, open_image, open_pair
from raw2vec.interchange.checkpoints.vocabulary import ENDLESS, longest, text_of, tokenizer, without
from raw2vec.interchange.hugging_face import family_of, from_hugging_face, layers_of, named_rows, settings_of
from raw2vec.interchange.hugging_face.vision import PAIRS
from raw2vec.packaged import packaged
from raw2vec.raw import Image, Raw, Text
from raw2vec.recipe import Recipe
from raw2vec.resolve import reads

FIRST_WORDS = ["A text of a few words.", "Ein zweiter Text, auf Deutsch, und 数字."]
_TABLE = "embedding.table.weight"
_SIGLIP_PIECES = "spiece.model"
_OURS = ("recipe.json", "raw.json")  # what a folder of our own has, even where it lacks one of them


def checkpoint_at(source: str | Path) -> Path | None:
    """The folder of a checkpoint of others that is meant by a name or a path; None for what is none, such as our own.

    BadFolder for a pickle.
    """
    place = packaged(source) or Path(source)
    if place.is_file():
        if place.suffix in PICKLES:
            refuse_pickle(place)
        place = place.parent if place.suffix == ".safetensors" else place
    if not place.is_dir() or any((place / name).exists() for name in _OURS):
        return None
    named = any((place / name).exists() for name in (CONFIG, MODULES, WEIGHTS))
    return place if named or any(path.suffix in PICKLES for path in place.iterdir()) else None


def open_checkpoint(folder: Path) -> Model:
    """The model in a folder of theirs, as a recipe without stages: nothing was learned here yet.

    BadFolder or BadInput says what is missing, damaged or not known.
    """
    try:
        return _opened(folder)
    except BadFolder:
        raise
    except BadInput as error:
        raise BadFolder(f"{folder} cannot be taken over. {error}") from None


def _opened(folder: Path) -> Model:
    made = pipeline(folder)
    if made.first == "StaticEmbedding" or read(made.home / CONFIG).get("model_type") == "model2vec":
        return _static(made, folder)
    about = config(made.home)
    if about.get("model_type") == "vit":
        return open_image(folder, about)
    if about.get("model_type") in PAIRS:
        made.latent = {"normalize": "unit"} | (made.latent if made.first == "CLIPModel" else {})
        return open_pair(made, folder, about, _words(made, about))
    if about.get("model_type") == "marian":
        return open_translator(folder, about, _translated(folder, about))
    encoder, held = settings_of(about), weights(made.home)
    ours = from_hugging_face(held, about)
    raw = _text(made, ours, longest(made.home, made.max_tokens, encoder["limit"]))
    ours[_TABLE] = without(ours[_TABLE], raw.size)
    named = named_rows(family_of(about, held), layers_of(about))
    what = f"{about['model_type']} checkpoint"
    return _model(made, folder, raw, {"name": "transformer", **encoder}, ours, named, what)


def _static(made: Pipeline, folder: Path) -> Model:
    """A table of vectors whose mean is a text's: sentence-transformers' StaticEmbedding, or model2vec's."""
    held, about = weights(made.home), read(made.home / CONFIG)
    table = held.get("embedding.weight", held.get("embeddings"))
    if table is None:
        raise BadFolder(f"{made.home} lacks the weight 'embedding.weight' or 'embeddings' of a static embedding.")
    if "mapping" in held:
        table = table[held["mapping"].long()]
    if "weights" in held:
        table = table * held["weights"][:, None]
    if about.get("normalize") and not (folder / MODULES).exists():
        made.latent["normalize"] = "unit"
    made.latent.pop("pooling", None)
    most = int(about.get("max_length") or ENDLESS) if about.get("model_type") == "model2vec" else ENDLESS
    raw = _text(made, {_TABLE: table}, most, bag=True)
    encoder = {"name": "dense", "width": table.shape[1], "layers": 0}
    ours = {_TABLE: without(table, raw.size)}
    return _model(made, folder, raw, encoder, ours, {_TABLE: "embedding.weight"}, "static embedding")


def add_golden(parts: Model, encode: Callable[[Sequence[Any], str], NDArray[np.float32]]) -> None:
    """Items for the model to know itself by, words or a picture, and the vectors that it gives of them now."""
    if parts.golden is None:
        items = _first(parts.raw)
        parts.golden = (items, encode(items, "input"))
    if parts.golden_targets is None and parts.recipe.target is not None:
        items = _first(parts.raw.side("target"))
        parts.golden_targets = (items, encode(items, "target"))


def _first(raw: Raw) -> list[Any]:
    return [first_picture()] if isinstance(raw, Image) else list(FIRST_WORDS)


def _words(pipe: Pipeline, about: Mapping[str, Any]) -> Text:
    """What reads the words of a pair."""
    folder, made = pipe.home, PAIRS[str(about["model_type"])]
    held = weights(folder)
    table = held.get("text_model.embeddings.token_embedding.weight")
    if table is None:
        raise BadFolder(f"{folder} lacks the weights of its word embeddings.")
    limit = made.words.settings(about.get("text_config") or {})["limit"]
    most = limit if made.filled else longest(folder, pipe.max_tokens, limit)
    if (folder / _SIGLIP_PIECES).exists() and not (folder / "tokenizer.json").exists():
        pieces = pieces_of(folder / _SIGLIP_PIECES)
        special = {"unknown": "<unk>", "end": "</s>", "padding": "</s>"}
        vocabulary = {name: number for number, name in enumerate(pieces.names)}
        if missing := next((name for name in special.values() if name not in vocabulary), None):
            raise BadFolder(f"{folder / _SIGLIP_PIECES} has no token '{missing}'.")
        found = without_marks(tokenizer_of(pieces, vocabulary, special))
        return text_of(found, folder, len(table), most)
    return text_of(tokenizer(folder, pipe.lower), folder, len(table), most)


def _translated(folder: Path, about: Mapping[str, Any]) -> Text:
    """What reads and writes the texts of a translator, long ones sentence by sentence."""
    rows, found = rows_of(folder), tokenizer_in(folder)
    most = longest(folder, None, int(about.get("max_position_embeddings", 512)))
    if found is None:
        return text_of(tokenizer(folder, False), folder, rows, most, long="chunk")
    return text_of(found, folder, rows, most, long="chunk", beyond=True, written=tokenizer_in(folder, WRITTEN))


def _text(made: Pipeline, ours: Mapping[str, Tensor], most: int, bag: bool = False) -> Text:
    if _TABLE not in ours:
        raise BadFolder(f"{made.home} lacks the weights of its word embeddings.")
    return text_of(tokenizer(made.home, made.lower), made.home, len(ours[_TABLE]), most, bag)


def _model(
    made: Pipeline,
    folder: Path,
    raw: Text,
    encoder: dict[str, Any],
    ours: dict[str, Tensor],
    named: Mapping[str, str],
    what: str,
) -> Model:
    tree = {
        "raw": raw.settings,
        "encoder": encoder,
        "latent": {"name": "point", **made.latent},
        "prompts": made.prompts,
        "default_prompt": made.default_prompt,
    }
    recipe = Recipe.read(tree)
    recipe = recipe.model_copy(update=reads(recipe))
    model = build_model(recipe, raw)
    ours |= {f"latent.project.{name}": value for name, value in made.project.items()}
    loaded(model, ours, named, folder)
    report = report_of("text", f"{what}, with its own tokenizer and weights", folder, made.notes)
    return Model(recipe, raw, model.eval(), nn.ModuleDict(), report=report)


def card_of(parts: Model) -> str:
    """The model card of a checkpoint that was taken over: what it is, and how to use it."""
    model, recipe = parts.model, parts.recipe
    parameters = sum(weight.numel() for weight in model.parameters())
    what = "text" if recipe.kind == "text" else "pictures" if recipe.target is None else "pictures and words"
    title = f"{parts.report.get('checkpoint', 'A checkpoint')}: a {recipe.encoder.name} encoder of {what}"
    about = f"{parameters:,} parameters; vectors of {model.latent.width} numbers. Nothing was trained here."
    return "\n".join([*card_lines(title, about), "", *(f"- {note}" for note in parts.report.get("notes", []))]) + "\n"
