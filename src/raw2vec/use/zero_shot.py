"""Zero-shot classification: an item is what the nearest of some words says, though nobody trained on these classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.objectives import InfoNCE
from raw2vec.raw import Text
from raw2vec.sides import Side, likely_side
from raw2vec.use.classify import Predicted

PLAIN = ("{}",)
"""A class called by its name alone."""


@dataclass(frozen=True)
class Classes:
    """Classes by their names, and where each lies: unit vectors (C, L). scale: of cosines, as training learned it."""

    names: list[str]
    vectors: NDArray[np.float32]
    scale: float

    def predicted(self, vectors: NDArray[np.float32]) -> Predicted:
        """The class nearest to each of vectors (n, L), and how sure it is of every one, (n, C)."""
        scores = torch.from_numpy(_unit(vectors) @ self.vectors.T)
        shares = (scores * self.scale).softmax(dim=1).numpy()
        return Predicted(np.array(self.names)[np.asarray(scores.argmax(dim=1))], shares)


def word_side(parts: Model) -> Side:
    """The side that reads words; BadInput where none does."""
    side = likely_side(parts, "a word")
    if not isinstance(parts.raw.side(side), Text):
        raise BadInput(
            "Classes by their names need a model that reads words as well: fit pairs, with the column of words as "
            "--target."
        )
    return side


def classes(
    parts: Model,
    names: Sequence[str],
    encode: Callable[[list[str], str], NDArray[np.float32]],
    templates: Sequence[str] = PLAIN,
) -> Classes:
    """Classes of these names, each the mean over what the `templates` make of it: "an icon of {}".

    encode: words and their side to vectors (n, L). BadInput for fewer than two names, one twice, or a template that
    has no place for a name.
    """
    names = [name.strip() for name in names if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadInput(f"Give two labels or more, each once, not {', '.join(names) or 'none'}.")
    for template in templates:
        if "{}" not in template:
            raise BadInput(f"The template '{template}' has no {{}} where a label would go.")
    side = word_side(parts)
    drawn = [_unit(encode([template.replace("{}", name) for name in names], side)) for template in templates]
    return Classes(names, _unit(np.mean(drawn, axis=0)), _scale(parts))


def _scale(parts: Model) -> float:
    """What cosines are multiplied by before they are chances; of a model that never learned one, 20."""
    found = [one.log_scale for one in parts.objectives.values() if isinstance(one, InfoNCE)]
    return float(found[-1].detach().exp().clamp(max=100)) if found else 20.0


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)
