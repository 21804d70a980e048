"""Other people's formats: their checkpoints as models, names for our weights, and the files they need beside ours."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.folder import Dialect, Model, load
from raw2vec.interchange import sentence_transformers
from raw2vec.interchange.checkpoints import add_golden, card_of, checkpoint_at, open_checkpoint
from raw2vec.interchange.hugging_face import config_of, family, from_hugging_face, to_hugging_face
from raw2vec.raw import Text
from raw2vec.recipe import Recipe

__all__ = [
    "add_golden",
    "card_of",
    "config_of",
    "dialect_of",
    "family",
    "from_hugging_face",
    "model_at",
    "refusal",
    "to_hugging_face",
    "write_extras",
]

_OWN = ("latent.", "embedding.log_weights")  # what they have no name for: zeros, and what other files hold for them
_STATIC = {"embedding.table.weight": "embedding.weight"}


def model_at(source: str | Path) -> Model:
    """The model of a name or a folder: our own, or a checkpoint of others. BadFolder where it is neither."""
    found = checkpoint_at(source)
    return load(Path(source), dialect_of) if found is None else open_checkpoint(found)


def refusal(recipe: Recipe) -> str | None:
    """Why a folder of this recipe does not open in sentence-transformers, or None where it does."""
    if recipe.target is not None:
        return "it has an encoder for each side of a pair"
    if recipe.kind not in ("text", "pairs"):
        return f"its data are no texts but of the kind '{recipe.kind}'"
    if recipe.raw.get("vocabularies") == "separate":
        return "raw.vocabularies is separate"
    if recipe.embedding.get("filled"):
        return "its texts are filled up to one length (embedding.filled)"
    if recipe.raw.get("boundaries") == "sep":
        return "its texts begin with no token of their own (raw.boundaries is sep)"
    if recipe.encoder.name == "transformer":
        try:
            family(recipe.encoder.settings)
        except BadInput as error:
            return str(error)
    return sentence_transformers.refusal(recipe)


def dialect_of(recipe: Recipe) -> Dialect | None:
    """The names under which this recipe's weights are stored, where another library knows its architecture."""
    settings = recipe.encoder.settings
    if refusal(recipe):
        return None
    if recipe.encoder.name == "dense":
        back = {theirs: ours for ours, theirs in _STATIC.items()}
        return Dialect("static", lambda weights: _renamed(weights, _STATIC), lambda weights: _renamed(weights, back))
    if recipe.embedding["width"] != settings["width"]:
        return None  # the map between the two would be worked into the table, and could not be had back

    def write(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        own = {name: weights.pop(name) for name in list(weights) if name.startswith(_OWN)}
        return {**to_hugging_face(weights, settings), **own}

    def read(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        own = {name: weights.pop(name) for name in list(weights) if name.startswith(_OWN)}
        return {**from_hugging_face(weights, config_of(settings, 0, 0)), **own}

    return Dialect(family(settings), write, read)


def write_extras(folder: Path, parts: Model) -> None:
    """Beside our own files, what sentence-transformers and transformers need to open the folder; nothing where they
    cannot."""
    raw, settings = parts.raw, parts.recipe.encoder.settings
    if dialect_of(parts.recipe) is None or not isinstance(raw, Text):
        return
    if settings.get("positions") == "learned-relative" and raw.pad != 1:
        return  # MPNet takes token 1 for padding whatever its config.json says
    if parts.recipe.encoder.name == "transformer":
        tokens = {"pad_token_id": raw.pad, "bos_token_id": raw.start, "eos_token_id": raw.end}
        tokens |= {"cls_token_id": raw.start, "sep_token_id": raw.end}
        config = config_of(settings, raw.size, raw.max_tokens, tokens)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    sentence_transformers.write(folder, parts)


def _renamed(weights: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    return {names.get(name, name): value for name, value in weights.items()}
