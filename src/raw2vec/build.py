"""From a recipe to its parts: the only tables from names to classes."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Convolutional, Dense, Encoder, Recurrent, Transformer
from raw2vec.errors import BadInput
from raw2vec.latents import Point
from raw2vec.models import Embedder
from raw2vec.objectives import Contrastive, Masked, Objective, Supervised
from raw2vec.raw import Text
from raw2vec.recipe import Part, Recipe
from raw2vec.seeding import key
from raw2vec.settings import checked, construct, known

RAWS = {"text": Text, "pairs": Text}
ENCODERS: dict[str, Callable[..., Encoder]] = {
    "dense": Dense,
    "recurrent": Recurrent,
    "convolutional": Convolutional,
    "transformer": Transformer,
}
LATENTS = {"point": Point}
OBJECTIVES: dict[str, type[Objective]] = {"masked": Masked, "contrastive": Contrastive, "supervised": Supervised}

# What parts are given by their neighbours: never a setting of a recipe.
_GIVEN = ("inputs", "width", "vocabulary", "latent", "mask_id", "ordinary", "outcomes", "task")


def resolve(recipe: Recipe) -> Recipe:
    """The recipe with every name known and every setting checked and written out: later defaults change nothing.

    An encoder's own width is a setting; what it takes (`inputs`) follows from the embedding.
    """
    if recipe.training.minutes is None and recipe.training.steps is None:
        raise BadInput("The recipe has no budget: give it training.minutes or training.steps.")
    raw = checked(known(RAWS, recipe.kind, "kind of data"), recipe.raw, f"The {recipe.kind}", {})
    encoder = _part(ENCODERS, recipe.encoder, "encoder", {"inputs": 0})
    width = {"width": encoder.settings["width"]} | recipe.embedding
    embedding = checked(TokenEmbedding, width, "The embedding", {"vocabulary": 0})
    latent = _part(LATENTS, recipe.latent, "latent", {"inputs": 0})
    stages = [
        stage.model_copy(update={"objectives": tuple(_objective(part) for part in stage.objectives)})
        for stage in recipe.stages
    ]
    parts = {"raw": raw, "encoder": encoder, "embedding": embedding, "latent": latent, "stages": tuple(stages)}
    return recipe.model_copy(update=parts)


def build_raw(recipe: Recipe) -> Text:
    """The raw kind of the recipe, not yet learned."""
    made: Text = RAWS[recipe.kind](**recipe.raw)
    return made


def build_model(recipe: Recipe, raw: Text) -> Embedder:
    """The model of a resolved recipe, its weights drawn from the recipe's seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(key(recipe.seed, "weights"))
        embedding = TokenEmbedding(vocabulary=raw.size, **recipe.embedding)
        encoder = ENCODERS[recipe.encoder.name](inputs=recipe.embedding["width"], **recipe.encoder.settings)
        latent = LATENTS[recipe.latent.name](inputs=encoder.width, **recipe.latent.settings)
        return Embedder(embedding, encoder, latent)


def build_objectives(recipe: Recipe, raw: Text, model: Embedder, task: str | None, outcomes: int) -> nn.ModuleDict:
    """Each objective of the recipe, by stage and name ("1/contrastive"). `task` and `outcomes` are the labels' own."""
    given = {
        "width": model.encoder.width,
        "vocabulary": raw.size,
        "latent": model.latent.width,
        "mask_id": raw.mask,
        "ordinary": raw.ordinary,
        "outcomes": outcomes,
        "task": task or "classes",
    }
    made = nn.ModuleDict()
    with torch.random.fork_rng([]):
        torch.manual_seed(key(recipe.seed, "heads"))
        for place, stage in enumerate(recipe.stages):
            for part in stage.objectives:
                where = f"The objective '{part.name}'"
                made[f"{place}/{part.name}"] = construct(OBJECTIVES[part.name], part.settings, where, **given)
    return made


def _part(table: Mapping[str, Callable[..., Any]], part: Part, what: str, given: Mapping[str, Any]) -> Part:
    constructor = known(table, part.name, what)
    settings = checked(constructor, part.settings, f"The {what} '{part.name}'", given)
    return type(part)(name=part.name, **settings)


def _objective(part: Part) -> Part:
    made = _part(OBJECTIVES, part, "objective", dict.fromkeys(_GIVEN))
    return type(part)(**{**made.model_dump(), "weight": getattr(part, "weight", 1.0)})
