"""Checkpoints of others become ordinary models: transformers' and sentence-transformers' folders, static embeddings.

Weights come from safetensors and sizes from JSON; nothing that a checkpoint brings is run. What is not known in every
detail is refused: a model that almost gives its vectors is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from raw2vec.build import build_model
from raw2vec.errors import BadFolder, BadInput
from raw2vec.folder import Model, card_lines
from raw2vec.interchange.checkpoints.base import CONFIG, MODULES, PICKLES, WEIGHTS, config, read, refuse_pickle, weights
from raw2vec.interchange.checkpoints.modules import Pipeline, pipeline
from raw2vec.interchange.checkpoints.vocabulary import ENDLESS, longest, text_of, tokenizer, without
from raw2vec.interchange.hugging_face import family_of, from_hugging_face, layers_of, rows, settings_of
from raw2vec.packaged import packaged
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.resolve import reads

_TABLE = "embedding.table.weight"
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
    encoder, held = settings_of(about), weights(made.home)
    ours = from_hugging_face(held, about)
    raw = _text(made, ours, longest(made.home, made.max_tokens, encoder["limit"]))
    ours[_TABLE] = without(ours[_TABLE], raw.size)
    named = {own: " and ".join(theirs) for own, theirs in rows(family_of(about, held), layers_of(about))}
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
    _refuse_unlike(model.state_dict(), ours, named, folder)
    model.load_state_dict(ours)
    notes = [f"taken over from a {what}, with its own tokenizer and weights", *made.notes]
    report: dict[str, Any] = {
        "kind": "text",
        "task": None,
        "metrics": {},
        "baselines": {},
        "notes": notes,
        "checkpoint": folder.name,
    }
    return Model(recipe, raw, model.eval(), nn.ModuleDict(), report=report)


def _refuse_unlike(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], named: Mapping[str, str], folder: Path
) -> None:
    """BadFolder, in the checkpoint's own names, for a weight that is not there or of another shape."""
    for name, value in wanted.items():
        theirs = named.get(name, name)
        if name not in found:
            raise BadFolder(f"{folder} lacks the weight '{theirs}', which its {CONFIG} calls for.")
        if found[name].shape != value.shape:
            has, needs = (" × ".join(map(str, shape)) for shape in (found[name].shape, value.shape))
            raise BadFolder(f"The weight '{theirs}' of {folder} is {has}, and its {CONFIG} calls for {needs}.")
    if extra := next((name for name in found if name not in wanted), None):
        raise BadFolder(f"{folder} holds the weight '{named.get(extra, extra)}', which its {CONFIG} does not call for.")


def card_of(parts: Model) -> str:
    """The model card of a checkpoint that was taken over: what it is, and how to use it."""
    model, recipe = parts.model, parts.recipe
    parameters = sum(weight.numel() for weight in model.parameters())
    title = f"{parts.report.get('checkpoint', 'A checkpoint')}: a {recipe.encoder.name} encoder of text"
    about = f"{parameters:,} parameters; vectors of {model.latent.width} numbers. Nothing was trained here."
    return "\n".join([*card_lines(title, about), "", *(f"- {note}" for note in parts.report.get("notes", []))]) + "\n"
