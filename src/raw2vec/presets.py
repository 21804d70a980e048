"""Good recipes for what one is handed: by the kind of data, the objective, the encoder and the size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raw2vec.errors import BadInput, nearest
from raw2vec.recipe import Recipe, Role
from raw2vec.rows import Rows, guess_text_column
from raw2vec.settings import known

SIZES: dict[str, dict[str, dict[str, int]]] = {
    "tiny": {
        "dense": {"width": 256, "layers": 0},
        "recurrent": {"width": 128, "layers": 1},
        "convolutional": {"width": 128, "layers": 2},
        "transformer": {"width": 128, "layers": 2, "heads": 2},
    },
    "small": {
        "dense": {"width": 512, "layers": 0},
        "recurrent": {"width": 256, "layers": 1},
        "convolutional": {"width": 256, "layers": 3},
        "transformer": {"width": 256, "layers": 4, "heads": 4},
    },
    "base": {
        "dense": {"width": 1024, "layers": 0},
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
            views=source_views(rows, columns),
            encoder=dict(encoder) if isinstance(encoder, Mapping) else encoder,
            **{name: options[name] for name in ("objective", "latent", "size", "minutes", "steps", "seed")},
        )
    return made.changed(options["settings"]) if options["settings"] else made


def recipe(
    kind: str,
    columns: dict[Role, str],
    *,
    views: Sequence[Mapping[str, Any]] = (),
    objective: str | None = None,
    encoder: str | dict[str, Any] | None = None,
    latent: int | None = None,
    size: str = "small",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> Recipe:
    """The default recipe. Without an objective: `supervised` where there are labels, `contrastive` otherwise.

    Without an encoder: a bag of subwords that weighs tokens and places, which nothing beats in minutes on a CPU
    (docs/log.md); for masked prediction a transformer. `views` are further pairs of columns to learn from.
    """
    known(SIZES, size, "size")
    objective = objective or ("supervised" if "label" in columns else "contrastive")
    if objective not in OBJECTIVES:
        raise BadInput(
            f"There is no objective '{objective}'.{nearest(objective, OBJECTIVES)} There are: {', '.join(OBJECTIVES)}."
        )
    part = _encoder(encoder, objective)
    part = {**SIZES[size].get(str(part.get("name")), {}), **part}
    bag = part.get("name") == "dense"
    minutes = 5.0 if minutes is None and steps is None else minutes
    return Recipe.read(
        {
            "kind": kind,
            "columns": columns,
            "raw": {"case": "lower", "words": "identifiers", "boundaries": "none" if bag else "cls-sep"},
            "embedding": {"weights": "learned"} if bag else {},
            "encoder": part,
            "latent": {"name": "point", "width": latent or 0, "normalize": "unit"},
            "stages": _stages(objective, bag, views),
            "training": {"minutes": minutes, "steps": steps, **_training(objective, bag)},
            "seed": seed,
        }
    )


def _encoder(asked: str | dict[str, Any] | None, objective: str) -> dict[str, Any]:
    if asked is not None:
        return {"name": asked} if isinstance(asked, str) else dict(asked)
    return {"name": "transformer"} if objective == "masked" else {"name": "dense", "positions": "learned"}


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


def source_views(rows: Rows, columns: Mapping[Role, str]) -> list[dict[str, Any]]:
    """What else tells of a function in a source tree, beside its docstring's first sentence: worth 0.02 of MRR."""
    if dict(columns) != {"input": "query", "target": "code"} or not {"title", "body"} <= set(rows.columns):
        return []
    pairs = (("query", "code", 1.0), ("details", "code", 0.5), ("comments", "body", 0.5), ("title", "body", 0.3))
    return [{"columns": {"input": a, "target": b}, "weight": weight} for a, b, weight in pairs]


def _stages(objective: str, bag: bool, views: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    masked = {"objectives": [{"name": "masked"}], "batch_tokens": 4096}
    if objective == "masked":
        return [masked]
    if objective == "supervised":
        return [{"objectives": [{"name": "supervised"}], "batch_tokens": 4096}]
    if bag:
        return [{"objectives": [{"name": "contrastive", "drop": 0.2}], "batch_items": 1024, "views": views}]
    contrastive = {"objectives": [{"name": "contrastive"}], "batch_items": 256, "views": views}
    return [{**masked, "share": 0.5}, contrastive]


def _training(objective: str, bag: bool) -> dict[str, Any]:
    if not bag:
        return {"learning_rate": 1e-3}
    optimizer = {"name": "adamw", "weight_decay": 0.0}
    rates = {"learning_rate": 3e-3, "warmup": 0.15, "full_steps": 100}
    return {"start": "lsa", **rates, "optimizer": optimizer, "precision": "float32"}
