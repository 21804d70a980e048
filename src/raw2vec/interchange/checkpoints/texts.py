"""A checkpoint of texts as an ordinary model: its tokenizer, its encoder's settings and its weights put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.build import build_model
from raw2vec.folder import Model
from raw2vec.interchange.checkpoints.base import compared, loaded, report_of
from raw2vec.interchange.checkpoints.modules import Pipeline
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.resolve import reads

TABLE = "embedding.table.weight"
"""What we call the vectors of tokens."""


def model_of(
    made: Pipeline,
    folder: Path,
    raw: Text,
    encoder: dict[str, Any],
    ours: dict[str, Tensor],
    named: Mapping[str, str],
    what: str,
) -> Model:
    """The model of weights under our names. named: what they are called there. what: it was, for the report."""
    made.fit(int(encoder["width"]))
    tree = {
        "raw": raw.settings,
        "encoder": encoder,
        "latent": {"name": "point", **made.latent},
        "prompts": made.prompts,
        "default_prompt": made.default_prompt,
    }
    recipe = Recipe.read(tree)
    recipe = recipe.model_copy(update=reads(recipe))
    if made.project is not None:
        ours |= {"latent.project.weight": made.project.weight, "latent.project.bias": made.project.bias}
    with torch.device("meta"):
        compared(build_model(recipe, raw), ours, named, folder)
    model = build_model(recipe, raw)
    loaded(model, ours, named, folder)
    report = report_of("text", f"{what}, with its own tokenizer and weights", folder, made.notes)
    return Model(recipe, raw, model.eval(), nn.ModuleDict(), report=report)
