"""A protocol run on a model and a file: which protocol, which columns, and the model as the protocol wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.evaluate import Encode, Guesses, Report, protocol
from raw2vec.folder import Model
from raw2vec.objectives import Masked
from raw2vec.raw import Rows, text_column
from raw2vec.recipe import Role
from raw2vec.use.fill import fill


def measure(
    parts: Model, encode: Encode, rows: Rows, columns: Mapping[Role, str], name: str | None, seed: int = 0
) -> Report:
    """The report of the protocol `name`, or of the one that the columns call for."""
    chosen = protocol(name or _fitting(parts, columns))
    held = read_columns(rows, columns)
    for row, text in enumerate(held.get("input", [])):
        if text is None:
            raise BadInput(
                f"{rows.where(row)} has nothing in '{columns['input']}'; an evaluation needs every row whole."
            )
    if chosen.name == "masked":
        return chosen.run(lambda texts: Guesses(*fill(parts, texts, seed)), held, seed)
    return chosen.run(encode, held, seed)


def read_columns(rows: Rows, columns: Mapping[Role, str]) -> dict[str, list[Any]]:
    """The named columns in memory, by role: sides as texts, labels as they are."""
    held: dict[str, list[Any]] = {str(role): [] for role in columns}
    for batch in rows.batches():
        for role, name in columns.items():
            values = batch.column(name).to_pylist() if role == "label" else text_column(batch, name)
            held[role].extend(values)
    return held


def _fitting(parts: Model, columns: Mapping[Role, str]) -> str:
    if "label" in columns:
        return "sts" if "target" in columns else "classification"
    if "target" in columns:
        return "retrieval"
    return "masked" if any(isinstance(o, Masked) for o in parts.objectives.values()) else "space"
