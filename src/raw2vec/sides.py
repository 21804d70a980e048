"""Which of two encoders reads an item, a column or a question, where the sides of a pair have one each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from raw2vec.folder import Model
from raw2vec.recipe import TEXTS, Role
from raw2vec.rows import Rows, column_kind, item_kind

Side = Literal["input", "target"]


def likely_side(parts: Model, inputs: Any) -> Side:
    """The side whose kind an item, or the first of several, is of; of sides of one kind, and of others, the input's."""
    several = isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes)
    return _of_kind(parts, item_kind(inputs[0] if several and len(inputs) else inputs))


def column_side(parts: Model, rows: Rows, column: str) -> Side:
    """The side that reads a column: by its name, if the model knows it, else by what is in it."""
    recipe = parts.recipe
    if recipe.target is None or column in recipe.columns.values():
        return "target" if recipe.side_of(column) == "target" else "input"
    return _of_kind(parts, column_kind(rows, column))


def sought(parts: Model) -> Role:
    """The role of what is looked for: the target, but where that is words, in which people ask, the input."""
    target = parts.recipe.target
    words = target is not None and target.kind in TEXTS and parts.recipe.kind not in TEXTS
    return "input" if words else "target"


def told(parts: Model) -> Role:
    """The role of what labels are told of: the input, but where that is words and the target something else."""
    return sought(parts) if parts.recipe.target is not None else "input"


def asked_with(parts: Model) -> str:
    """The kind of what a search asks with: words where a side reads words, else the input's kind."""
    recipe = parts.recipe
    kinds = {recipe.kind, recipe.target.kind if recipe.target else recipe.kind}
    return "text" if kinds & set(TEXTS) else recipe.kind


def _of_kind(parts: Model, kind: str) -> Side:
    """Words, where one side reads words, are that side's, and nothing else is."""
    recipe = parts.recipe
    if recipe.target is None:
        return "input"
    input, target = ("text" if name in TEXTS else name for name in (recipe.kind, recipe.target.kind))
    if input == target:
        return "input"
    if "text" in (input, target):
        return "target" if (kind == "text") == (target == "text") else "input"
    return "target" if kind == target else "input"
