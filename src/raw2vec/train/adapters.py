"""A stage that leaves the encoder's maps alone and learns low-rank ones beside them, worked into them at its end."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from raw2vec.errors import BadInput
from raw2vec.layers import adapt, merge
from raw2vec.models import AnyModel
from raw2vec.recipe import Recipe
from raw2vec.seeding import key


def adapting(place: int, recipe: Recipe, model: AnyModel) -> tuple[Callable[[], object], Callable[[], object]]:
    """What a stage with adapters begins and ends with: see Adapters. BadInput where an encoder has no maps for them."""
    stage = recipe.stages[place]
    asked = stage.adapters
    if asked is None:
        return (lambda: None, lambda: None)
    roles = [role for role in ("input", "target") if role not in stage.frozen]
    sides = {id(side): side for side in (model.side(role) for role in roles)}.values()
    for side in sides:
        if not any(isinstance(inner, nn.Linear) for inner in side.encoder.modules()):
            raise BadInput(f"Adapters stand beside linear maps, and the encoder '{recipe.encoder.name}' has none.")

    def enter() -> None:
        with torch.random.fork_rng([]):
            torch.manual_seed(key(recipe.seed, "adapters", place))
            for side in sides:
                side.embedding.requires_grad_(False)
                adapt(side.encoder, asked.rank, asked.alpha, asked.dropout, asked.rate)

    def leave() -> None:
        for side in sides:
            side.embedding.requires_grad_(True)
            merge(side.encoder)

    return enter, leave
