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

from raw2vec.errors import BadFolder, BadInput
from raw2vec.folder import Model, card_lines
from raw2vec.interchange.checkpoints.base import CONFIG, MODULES, PICKLES, WEIGHTS, config, read, refuse_pickle, weights
from raw2vec.interchange.checkpoints.marian import WRITTEN, open_translator, rows_of, tokenizer_in
from raw2vec.interchange.checkpoints.modules import Pipeline, pipeline
from raw2vec.interchange.checkpoints.pieces import pieces_of, tokenizer_of, without_marks
from raw2vec.interchange.checkpoints.refusals import refuse_code, refuse_quantised, refuse_strange
from raw2vec.interchange.checkpoints.static import MODEL2VEC, open_static
from raw2vec.interchange.checkpoints.texts import TABLE, model_of
from raw2vec.interchange.checkpoints.vision import first_picture, open_image, open_pair
from raw2vec.interchange.checkpoints.vocabulary import longest, text_of, tokenizer, without
from raw2vec.interchange.hugging_face import family_of, from_hugging_face, layers_of, named_rows, settings_of
from raw2vec.interchange.hugging_face.vision import PAIRS
from raw2vec.packaged import packaged
from raw2vec.raw import Image, Raw, Text

FIRST_WORDS = ["A text of a few words.", "Ein zweiter Text, auf Deutsch, und 数字."]
_SIGLIP_PIECES = "spiece.model"
_MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError)
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
        raise BadFolder(f"{folder} cannot be taken over. {error}") from error
    except _MALFORMED as error:  # what no sentence of its own foresees; the trace tells where
        raise BadFolder(
            f"{folder} cannot be taken over: something in its {CONFIG}, or in a file beside it, is not as its model "
            f"type has it ({type(error).__name__}: {str(error).partition(chr(10))[0]})."
        ) from error


def _opened(folder: Path) -> Model:
    made = pipeline(folder)
    refuse_code(made.home)
    refuse_quantised(made.home)
    if made.first == "StaticEmbedding" or read(made.home / CONFIG).get("model_type") == MODEL2VEC:
        return open_static(made, folder)
    about = config(made.home)
    if about.get("model_type") == "vit":
        return open_image(folder, about)
    if about.get("model_type") in PAIRS:
        made.latent = {"normalize": "unit"} | (made.latent if made.first == "CLIPModel" else {})
        return _pair(made, folder, about)
    if about.get("model_type") == "marian":
        return open_translator(folder, about, _translated(folder, about))
    encoder, held = settings_of(about), weights(made.home)
    ours = from_hugging_face(held, about)
    if TABLE not in ours:
        raise BadFolder(f"{made.home} lacks the weights of its word embeddings.")
    found, rows = tokenizer(made.home, made.lower), len(ours[TABLE])
    refuse_strange(found, made.home, about, rows)
    raw = text_of(found, made.home, rows, longest(made.home, made.max_tokens, encoder["limit"]))
    ours[TABLE] = without(ours[TABLE], raw.size)
    named = named_rows(family_of(about, held), layers_of(about))
    what = f"{about['model_type']} checkpoint"
    return model_of(made, folder, raw, {"name": "transformer", **encoder}, ours, named, what)


def _pair(made: Pipeline, folder: Path, about: Mapping[str, Any]) -> Model:
    """A model of pictures and words. What it does not say of a side is as usual, which is told where it is not so."""
    if not (absent := [name for name in ("text_config", "vision_config") if not about.get(name)]):
        return open_pair(made, folder, about, _words(made, about))
    try:
        return open_pair(made, folder, about, _words(made, about))
    except BadInput as error:
        told = f"{made.home / CONFIG} does not give {' and '.join(absent)}, and what is usual does not fit"
        raise BadFolder(f"{told}: {error}") from error


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
    else:
        found = tokenizer(folder, pipe.lower)
    said = {**(about.get("text_config") or {}), "model_type": about["model_type"]}
    refuse_strange(found, folder, said, len(table))
    return text_of(found, folder, len(table), most)


def _translated(folder: Path, about: Mapping[str, Any]) -> Text:
    """What reads and writes the texts of a translator, long ones sentence by sentence."""
    rows, found = rows_of(folder), tokenizer_in(folder)
    most = longest(folder, None, int(about.get("max_position_embeddings", 512)))
    refuse_strange(own := found or tokenizer(folder, False), folder, about, rows)
    if found is None:
        return text_of(own, folder, rows, most, long="chunk")
    return text_of(found, folder, rows, most, long="chunk", beyond=True, written=tokenizer_in(folder, WRITTEN))


def card_of(parts: Model) -> str:
    """The model card of a checkpoint that was taken over: what it is, and how to use it."""
    model, recipe = parts.model, parts.recipe
    parameters = sum(weight.numel() for weight in model.parameters())
    what = "text" if recipe.kind == "text" else "pictures" if recipe.target is None else "pictures and words"
    title = f"{parts.report.get('checkpoint', 'A checkpoint')}: a {recipe.encoder.name} encoder of {what}"
    about = f"{parameters:,} parameters; vectors of {model.latent.width} numbers. Nothing was trained here."
    return "\n".join([*card_lines(title, about), "", *(f"- {note}" for note in parts.report.get("notes", []))]) + "\n"
