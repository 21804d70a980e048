"""What a student learns from: texts of its teacher's kind, each once, and perhaps what the teacher said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.labels import cells
from raw2vec.measure import columns_of
from raw2vec.rows import Rows
from raw2vec.seeding import permutation
from raw2vec.use.encode import encode
from raw2vec.use.prompt import prompt_for, prompted

SOME, SAME = 32, 0.98  # vectors that are compared with the teacher's own, and the least cosine of such


@dataclass(frozen=True)
class Lesson:
    """Texts to learn from, and their column's name. given: their rows, where these hold the teacher's vectors."""

    texts: list[str]
    column: str
    fingerprint: str
    given: Rows | None = None


def lesson_of(parts: Model, data: Any, input: str | None, vectors: str | None, seed: int) -> Lesson:
    """The texts of the data, each once, in an order drawn by the seed; BadInput where there are none.

    vectors: the column of what the teacher says of them.
    """
    rows, columns = columns_of(parts, data, input=input)
    name = columns["input"]
    if vectors is not None:
        vectors = rows.column(vectors)
        _refuse_another_s(parts, rows, name, vectors)
    batches = rows.batches(columns=[name])
    found = dict.fromkeys(text for batch in batches for text in parts.raw.column(batch, name) if text and text.strip())
    if not found:
        raise BadInput(f"{rows.name} has no text to learn from in '{name}'.")
    texts = list(found)
    order = permutation(len(texts), seed, "taught")
    return Lesson([texts[place] for place in order], name, rows.fingerprint(), rows if vectors else None)


def _refuse_another_s(parts: Model, rows: Rows, column: str, vectors: str) -> None:
    """BadInput for vectors that are not this teacher's, by the first of them."""
    batch = next(rows.batches(SOME, [column, vectors]))
    said = cells(batch.column(batch.schema.get_field_index(vectors)))
    if not all(isinstance(each, np.ndarray) and len(each) == parts.model.latent.width for each in said):
        raise BadInput(
            f"{rows.name} has no vectors of {parts.model.latent.width} numbers in '{vectors}', as raw2vec embed writes "
            "them for this model."
        )
    own = encode(parts.model, parts.raw, prompted(parts.raw.read(batch, column), prompt_for(parts.recipe))).vectors
    lengths = np.linalg.norm(said, axis=1) * np.linalg.norm(own, axis=1)
    cosines = (own * np.stack(said)).sum(axis=1)[lengths > 0] / lengths[lengths > 0]
    if len(cosines) and cosines.min() < SAME:
        row = int(np.flatnonzero(lengths > 0)[cosines.argmin()])
        raise BadInput(
            f"The vector in '{vectors}' of {rows.where(row)} is not what this model says of its text (cosine "
            f"{cosines.min():.2f}): embed the texts with the teacher itself."
        )
