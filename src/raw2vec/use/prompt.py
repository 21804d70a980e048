"""What stands before a text by its purpose, of models that were trained with such words: 'query: ', 'passage: '."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from raw2vec.errors import BadInput, NumberedList, nearest
from raw2vec.raw import Raw, Text
from raw2vec.recipe import Recipe
from raw2vec.use.base import is_empty

Purpose = Literal["query", "document"]
_NAMES: dict[Purpose, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}


def prompt_called(recipe: Recipe, name: str) -> str:
    """The prompt of this name; BadInput names those that there are."""
    if name not in recipe.prompts:
        known = f"it has {', '.join(recipe.prompts)}" if recipe.prompts else "it has none"
        raise BadInput(
            f"This model has no prompt named '{name}', {known}; give the words themselves in its place."
            f"{nearest(name, recipe.prompts)}"
        )
    return recipe.prompts[name]


def prompt_meant(recipe: Recipe, words: str) -> str:
    """The prompt of this name ("query"), or the words themselves ("query: "). BadInput for a name that is not known."""
    return prompt_called(recipe, words) if words in recipe.prompts or words.isidentifier() else words


def prompt_for(recipe: Recipe, purpose: Purpose | None = None) -> str:
    """What stands before a text of this purpose: its own prompt, else the default one, else nothing."""
    own = (recipe.prompts[name] for name in (_NAMES[purpose] if purpose else ()) if name in recipe.prompts)
    return next(own, recipe.prompts.get(recipe.default_prompt or "", ""))


def prompted(items: Sequence[Any], prompt: str, raw: Raw | None = None) -> Sequence[Any]:
    """The items after the prompt; an empty text stays empty, and every item keeps its number.

    raw: what is to read them. BadInput where that reads no texts: a path with words before it would be another path.
    """
    if not prompt:
        return items
    if raw is not None and not isinstance(raw, Text):
        raise BadInput(
            f"A prompt ({prompt!r}) stands before texts, and what is to be encoded here is none: leave it out."
        )
    made = [prompt + item if isinstance(item, str) and not is_empty(item) else item for item in items]
    return NumberedList(items.numbers, made) if isinstance(items, NumberedList) else made
