"""Good recipes for what one is handed: by the kind of data, the objective, the encoder and the size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.errors import BadInput, nearest
from raw2vec.raw import Rows, guess_text_column
from raw2vec.recipe import Recipe, Role

SIZES: dict[str, dict[str, dict[str, int]]] = {
    "tiny": {
        "dense": {"width": 128, "layers": 0},
        "recurrent": {"width": 128, "layers": 1},
        "convolutional": {"width": 128, "layers": 2},
        "transformer": {"width": 128, "layers": 2, "heads": 2},
    },
    "small": {
        "dense": {"width": 256, "layers": 0},
        "recurrent": {"width": 256, "layers": 1},
        "convolutional": {"width": 256, "layers": 3},
        "transformer": {"width": 256, "layers": 4, "heads": 4},
    },
    "base": {
        "dense": {"width": 512, "layers": 1},
        "recurrent": {"width": 512, "layers": 2},
        "convolutional": {"width": 512, "layers": 6},
        "transformer": {"width": 512, "layers": 8, "heads": 8},
    },
}

OBJECTIVES = ("contrastive", "masked", "supervised")


def chosen(rows: Rows, asked: Mapping[Role, str | None], options: Mapping[str, Any]) -> Recipe:
    """The recipe that Raw2Vec's constructor `options` ask for: their own recipe, or the default one for these rows."""
    given = options["recipe"]
    if given is not None:
        made = given if isinstance(given, Recipe) else Recipe.read(given)
        made = made.changed({f"columns.{role}": name for role, name in asked.items() if name is not None})
    else:
        kind, encoder = options["kind"], options["encoder"]
        columns = roles(rows, kind, asked)
        made = recipe(
            kind or ("pairs" if "target" in columns else "text"),
            columns,
            encoder=dict(encoder) if isinstance(encoder, Mapping) else encoder,
            **{name: options[name] for name in ("objective", "latent", "size", "minutes", "steps", "seed")},
        )
    return made.changed(options["settings"]) if options["settings"] else made


def recipe(
    kind: str,
    columns: dict[Role, str],
    *,
    objective: str | None = None,
    encoder: str | dict[str, Any] | None = None,
    latent: int | None = None,
    size: str = "small",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> Recipe:
    """The default recipe. Without an objective: `supervised` where there are labels, `contrastive` otherwise."""
    if size not in SIZES:
        raise BadInput(f"There is no size '{size}'.{nearest(size, SIZES)} There are: {', '.join(SIZES)}.")
    objective = objective or ("supervised" if "label" in columns else "contrastive")
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise BadInput(f"There is no objective '{objective}'.{nearest(objective, OBJECTIVES)} There are: {known}.")
    part = (
        {"name": encoder}
        if isinstance(encoder, str)
        else dict(encoder or {"name": "transformer" if objective == "masked" else "dense"})
    )
    part = {**SIZES[size].get(str(part.get("name")), {}), **part}
    budget = {"steps": steps} if steps else {"minutes": minutes or 5.0}
    return Recipe.read(
        {
            "kind": kind,
            "columns": columns,
            "raw": _raw(part),
            "encoder": part,
            "latent": {"name": "point", "width": latent or 0, "normalize": "unit"},
            "stages": _stages(objective, part, columns),
            "training": {**budget, **_training(part)},
            "seed": seed,
        }
    )


def roles(rows: Rows, kind: str | None, asked: Mapping[Role, str | None]) -> dict[Role, str]:
    """Which column plays which role, where the user did not say: the longest text is input, two columns are a pair."""
    named: dict[Role, str] = {role: rows.column(name) for role, name in asked.items() if name is not None}
    if "input" not in named and "target" not in named:
        pair = next((pair for pair in (("query", "code"), ("0", "1")) if list(pair) == rows.columns[:2]), None)
        if pair and kind != "text" and "label" not in named:
            return {"input": pair[0], "target": pair[1], **named}
        plain = next((name for name in ("input", "text") if name in rows.columns), None)
        named = {"input": plain or guess_text_column(rows), **named}
    if kind == "pairs" and ("input" not in named or "target" not in named):
        columns = ", ".join(rows.columns)
        raise BadInput(f"Pairs need two columns: name them with --input and --target. {rows.name} has: {columns}.")
    return named


def _raw(encoder: dict[str, Any]) -> dict[str, Any]:
    bag = encoder.get("name") == "dense"
    return {"case": "lower", "words": "identifiers", "boundaries": "none" if bag else "cls-sep"}


def _stages(objective: str, encoder: dict[str, Any], columns: dict[Role, str]) -> list[dict[str, Any]]:
    masked = {"objectives": [{"name": "masked"}], "batch_tokens": 8192}
    if objective == "masked":
        return [masked]
    if objective == "supervised":
        return [{"objectives": [{"name": "supervised"}], "batch_tokens": 4096}]
    contrastive = {"objectives": [{"name": "contrastive"}], "batch_items": 512}
    return [contrastive] if encoder.get("name") == "dense" else [{**masked, "share": 0.5}, contrastive]


def _training(encoder: dict[str, Any]) -> dict[str, Any]:
    return {"learning_rate": 5e-3 if encoder.get("name") == "dense" else 1e-3}
