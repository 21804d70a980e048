"""A student before its first lesson: a table of what the teacher's tokens say, or some of the teacher's layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raw2vec.build import build_model, build_objectives
from raw2vec.embedding import TokenEmbedding
from raw2vec.errors import BadInput
from raw2vec.folder import Model, embedder
from raw2vec.latents import Point
from raw2vec.models import AnyModel, Embedder
from raw2vec.objectives import Distillation
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.resolve import reads

RARE_BY_RANK, RARE_BY_COUNT = 1e-5, 1e-4
"""How rare a token is (its share of all) that counts half: by its place in the vocabulary, or as texts have it."""


def refuse_no_teacher(parts: Model) -> None:
    """BadInput for a model that reads no texts, or reads them by two encoders: a student learns from one."""
    recipe = parts.recipe
    if recipe.target is not None:
        raise BadInput("This model has an encoder for each side of a pair: a student learns from one.")
    if not isinstance(parts.raw, Text):
        raise BadInput(f"This model reads the kind '{recipe.kind}': students learn from teachers of texts alone.")
    if parts.raw.separate:
        raise BadInput("This model has a vocabulary for each of two languages: a student's is one.")


def reader_of(teacher: Model, recipe: Recipe) -> Text:
    """What reads a student's texts: the teacher's tokenizer, with what the student's recipe sets otherwise."""
    with TemporaryDirectory() as place:
        teacher.raw.save(place)
        return Text.load(place, {**teacher.raw.settings, **recipe.raw})


def lift_of(vectors: Tensor, width: int, kept: bool = False) -> Tensor:
    """(width, D): the directions along which vectors (n, D) are longest, the longest first.

    kept: the axes instead, where all D of them are wanted.
    """
    made = Distillation(width, vectors.shape[1])
    if width < vectors.shape[1] or not kept:
        made.follow(vectors)
    return made.lift


def inherits(teacher: Model, recipe: Recipe) -> bool:
    """Whether a student has the teacher's own layers, which give each number its place."""
    return recipe.encoder.name == teacher.recipe.encoder.name and not static(recipe)


class Tokens(NamedTuple):
    """What each token says, (V, L), and how much it weighs, (V,)."""

    vectors: Tensor
    weights: Tensor


def begun(teacher: Model, recipe: Recipe, lift: Tensor, tokens: Tokens | None) -> Model:
    """The student of a recipe: a table of `tokens` where they are given, else whatever it can take over."""
    recipe = recipe.model_copy(update=reads(recipe))
    raw = reader_of(teacher, recipe)
    model = build_model(recipe, raw)
    objectives = build_objectives(recipe, raw, model, "vectors", lift.shape[1])
    for objective in objectives.values():
        if isinstance(objective, Distillation):
            objective.lift.copy_(lift)
    if tokens is None:
        _inherit(model, teacher, lift)
    else:
        _put(model, tokens)
    return Model(recipe, raw, model.eval(), objectives.eval())


def static(recipe: Recipe) -> bool:
    """Whether a student is a table of vectors and nothing else that could come from a teacher's layers."""
    return recipe.encoder.name == "dense" and recipe.encoder.settings.get("layers", 1) == 0


def tokens_of(lone: Tensor, lift: Tensor, raw: Text, counts: NDArray[np.int64] | None) -> Tokens:
    """What lone tokens (V, D) say, less what all of them say, in fewer numbers; and how rare each of them is.

    Smooth inverse frequency (Arora et al. 2017), by `counts` (V,) of the texts to learn from, else by the vocabulary's
    own order, frequent tokens first, in which Zipf's law tells shares. What stands for no text says nothing.
    """
    vectors = (lone - lone.mean(dim=0)) @ lift.T
    vectors = vectors / vectors.norm(dim=1).mean().clamp(min=1e-9)
    vectors[sorted({raw.pad, raw.start, raw.end, raw.mask, raw.unknown})] = 0.0
    return Tokens(vectors, torch.from_numpy(rarity(len(vectors), counts)).float())


def rarity(size: int, counts: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """The weight of each of so many tokens, from 0 for those that are everywhere to 1 for those that are nowhere."""
    shares = 1 / np.arange(1, size + 1) if counts is None else counts + 1.0
    half = RARE_BY_RANK if counts is None else RARE_BY_COUNT
    return np.asarray(half / (half + shares / shares.sum()))


def _put(model: AnyModel, tokens: Tokens) -> None:
    embedding = model.embedding
    assert isinstance(embedding, TokenEmbedding), "it reads texts"
    with torch.no_grad():
        embedding.table.weight.copy_(tokens.vectors)
        if embedding.log_weights is not None:
            embedding.log_weights.copy_(tokens.weights.log())
        else:
            embedding.table.weight.mul_(tokens.weights[:, None])


def _inherit(model: AnyModel, teacher: Model, lift: Tensor) -> None:
    """The weights of the same name and shape; of fewer layers those of the teacher's that stand evenly apart."""
    held = embedder(teacher.model).state_dict()
    own = model.state_dict()
    layers = {name: _depth(weights) for name, weights in (("own", own), ("teacher", held))}
    begun = {}
    for name, value in own.items():
        theirs = held.get(_source(name, layers["own"], layers["teacher"]))
        if theirs is not None and theirs.shape == value.shape:
            begun[name] = theirs
    if isinstance(model, Embedder) and _projects(model, teacher, lift):
        begun |= {"latent.project.weight": lift, "latent.project.bias": torch.zeros(len(lift))}
    model.load_state_dict(begun, strict=False)


def _projects(model: Embedder, teacher: Model, lift: Tensor) -> bool:
    """Whether the student's last map goes from vectors like the teacher's to fewer numbers: it begins as the lift."""
    plain = isinstance(teacher.model.latent, Point) and isinstance(teacher.model.latent.project, nn.Identity)
    project = getattr(model.latent, "project", None)
    return plain and isinstance(project, nn.Linear) and project.weight.shape == lift.shape


def _depth(weights: Mapping[str, Tensor]) -> int:
    found = (re.match(r"encoder\.layers\.(\d+)\.", name) for name in weights)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _source(name: str, own: int, teacher: int) -> str:
    """Of which of the teacher's weights this one is made: layer i of n is the one in the middle of the ith nth."""
    match = re.match(r"encoder\.layers\.(\d+)\.(.*)", name)
    if match is None or own > teacher:
        return name
    return f"encoder.layers.{(int(match[1]) * teacher + teacher // 2) // own}.{match[2]}"
