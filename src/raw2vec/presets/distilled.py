"""Good recipes for a student, which learns to give a teacher's vectors: static, or the teacher with less depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.presets.base import Start, sized
from raw2vec.recipe import Recipe

STATIC_WIDTH = 256  # numbers in the vector of a static encoder, where nobody says: of MiniLM's 384 it loses nothing
SHARE = 3  # of so many of the teacher's layers a student has one, where nobody says
ENDLESS = 1 << 20  # tokens in a text that is read as a bag, which has no places to run out of


def student(
    teacher: Start, columns: Mapping[str, str], encoder: str = "dense", latent: int | None = None, **training: Any
) -> Recipe:
    """The recipe of a student of texts; `training` is its budget. Without a label among the columns nothing is learned.

    encoder: dense, without layers: a table of vectors whose mean is a text's. The teacher's own: fewer of its layers.
    BadInput for vectors of more numbers than the teacher's.
    """
    if latent is not None and latent > teacher.width:
        raise BadInput(
            f"The teacher's vectors have {teacher.width} numbers, and a student has none to learn beyond them: give a "
            f"latent of 1 to {teacher.width}, not {latent}."
        )
    static = encoder == "dense"
    made = _static(teacher, latent) if static else _smaller(teacher, encoder, latent)
    bag = {"batch_items": 1024}  # steps of fewer items forget rare tokens, of more take longer
    stage = {"objectives": ["distillation"], **(bag if static else {"batch_tokens": 2048})}
    tree = {"kind": "text", "columns": dict(columns), **made}
    if "label" not in columns:
        return Recipe.read(tree)
    tree["training"] = {**(_QUICK if static else _rates(teacher, encoder)), **training}
    return Recipe.read({**tree, "stages": [stage]})


_QUICK = {"learning_rate": 5e-3, "optimizer": {"name": "adamw", "weight_decay": 0.0}, "precision": "float32"}
"""A table has nothing to lose by large steps: 2e-2 was 0.009 worse on STS-B (docs/log.md)."""


def _static(teacher: Start, latent: int | None) -> dict[str, Any]:
    width = latent or min(STATIC_WIDTH, teacher.width)
    return {
        "raw": {**teacher.recipe.raw, "boundaries": "none", "max_tokens": ENDLESS, "long": "truncate"},
        "embedding": {"width": width, "weights": "learned"},
        "encoder": {"name": "dense", "width": width, "layers": 0},
        "latent": {"name": "point", "normalize": "unit"},
    }


def _smaller(teacher: Start, encoder: str, latent: int | None) -> dict[str, Any]:
    own, tree = teacher.recipe.encoder, teacher.recipe.model_dump(mode="json")
    embedding = {"width": tree["embedding"]["width"]}
    if encoder != own.name:
        point = {"name": "point", "width": latent or teacher.width}
        made = {"encoder": sized({"name": encoder}, "small"), "latent": point}
    else:
        layers = max(1, own.settings["layers"] // SHARE)
        made = {"encoder": {**tree["encoder"], "layers": layers}, "latent": tree["latent"]}
        if latent is not None or tree["latent"]["name"] != "point":
            pooling = tree["latent"].get("pooling", "mean")
            made["latent"] = {"name": "point", "width": latent or teacher.width, "pooling": pooling}
    made["latent"] |= {"normalize": "unit"}
    return {"raw": dict(teacher.recipe.raw), "embedding": embedding, **made}


def _rates(teacher: Start, encoder: str) -> dict[str, Any]:
    """Smaller steps where the weights are the teacher's own, and fewer checks, which read hundreds of texts."""
    rate = 3e-4 if encoder == teacher.recipe.encoder.name else 1e-3
    return {"learning_rate": rate, "warmup": 0.1, "checks": 4}
