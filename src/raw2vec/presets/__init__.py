"""Good recipes for what one is handed: by the kind of data, the objective, the encoder and the size."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from raw2vec.errors import BadInput, nearest
from raw2vec.presets import arrays, pairs, texts
from raw2vec.presets.base import SIZES
from raw2vec.presets.base import Start as Start
from raw2vec.presets.continued import Which as Which
from raw2vec.presets.continued import begun, continued
from raw2vec.presets.continued import sides_begun as sides_begun
from raw2vec.presets.distilled import student as student
from raw2vec.raw import WHOLE_ROW, Image, Raw, Series, are_drawings
from raw2vec.recipe import RETURNING, SIDES, TEXTS, Recipe, Role
from raw2vec.rows import Rows, Typed, column_kind, content_kind, guess_text_column, located, one_value, text_columns
from raw2vec.settings import known

OBJECTIVES = ("contrastive", "vicreg", "masked", "supervised", "distillation", *RETURNING, "translation")
PAIRS = (("query", "code"), ("source", "target"), ("0", "1"))
"""First columns that are a pair though nobody names them: of source trees, of catalogues, of tables without names."""
MESSAGES = ["source", "target", "context", "file"]
"""The columns of catalogues, whose messages have placeholders."""
KINDS = ("text", "pairs", "image", "audio", "series", "table")


def chosen(
    rows: Rows, asked: Mapping[Role, str | None], options: Mapping[str, Any], start: Start | None = None
) -> Recipe:
    """The recipe that Raw2Vec's constructor `options` ask for: their own recipe, or the default one for these rows.

    start: the checkpoint that it begins from.
    """
    given = options["recipe"]
    if given is not None:
        made = given if isinstance(given, Recipe) else Recipe.read(given)
        changes: dict[str, Any] = {f"columns.{role}": name for role, name in asked.items() if name is not None}
        budget = {name: options[name] for name in ("minutes", "steps")}
        if any(value is not None for value in budget.values()):
            changes |= {f"training.{name}": value for name, value in budget.items()}
        made = made.changed(changes)
    else:
        kind = _kind(rows, asked, options)
        columns = roles(rows, kind, asked)
        sides = _sides(rows, columns, "table" if kind == "table" else options["kind"], options["objective"])
        if start is not None and sides is None:
            options = {**options, **begun(start.recipe, options, kind or "text")}
        encoder = options["encoder"]
        made = recipe(
            kind or ("pairs" if "target" in columns else "text"),
            columns,
            sides=sides,
            shapes=_shapes(rows, columns, sides) if sides else {},
            alike=kind == "table" or rows.alike,
            drawn=kind == "image" and _drawn(located(rows, columns["input"]), columns["input"]),
            large=kind == "image" and _large(located(rows, columns["input"]), columns["input"]),
            gaps=kind == "series" and _gaps(rows, columns["input"]),
            views=source_views(rows, columns),
            encoder=dict(encoder) if isinstance(encoder, Mapping) else encoder,
            **{name: options[name] for name in ("objective", "decoder", "latent", "size", "minutes", "steps", "seed")},
        )
    if start is not None:
        made = continued(made, start, str(options["checkpoint"]), given is not None, options["latent"])
    objectives = {part.name for stage in made.stages for part in stage.objectives}
    if asked.get("target") is not None and objectives == {"supervised"}:
        raise BadInput(
            f"The objective 'supervised' learns the labels of one column: leave out --target {asked['target']}."
        )
    if asked.get("label") is not None and objectives == {"translation"}:
        raise BadInput(f"The objective 'translation' learns pairs, not labels: leave out --label {asked['label']}.")
    share = options["contamination"]
    wished = {"placeholders": "protect"} if given is None and made.translates and rows.columns == MESSAGES else {}
    wished |= {} if share is None else {"training.contamination": share}
    wished |= options["settings"] or {}
    return made.changed(wished) if wished else made


def _sides(rows: Rows, columns: Mapping[Role, str], kind: str | None, objective: str | None) -> tuple[str, str] | None:
    """The kinds of both columns of a pair, where these are two; None where one encoder reads both, or writes.

    kind: what the inputs are, where that is said; else they are what is in their column.
    """
    if "target" not in columns or objective not in (None, "contrastive"):
        return None
    target = column_kind(rows, columns["target"])
    input = kind if kind not in (None, *TEXTS) else column_kind(rows, columns["input"])
    return None if input == target else (input, target)


def _shapes(rows: Rows, columns: Mapping[Role, str], sides: tuple[str, str]) -> dict[str, tuple[int, ...] | None]:
    """The one shape of the first pictures of each side; None where they differ, or cannot be read."""
    found: dict[str, tuple[int, ...] | None] = {}
    for column, role, kind in zip((columns["input"], columns["target"]), ("input", "target"), sides, strict=True):
        with contextlib.suppress(BadInput):
            if kind == "image":
                raw = Image()
                raw.learn(_first(located(rows, column), column, raw, 64))
                found[role] = raw.form.shape
    return found


def opened(rows: Rows, recipe: Recipe) -> Rows:
    """The rows with the paths of pictures or sounds as files: see rows.Located."""
    kinds = {"input": recipe.kind, "target": recipe.target.kind if recipe.target is not None else recipe.kind}
    sides = [name for role, name in recipe.columns.items() if role in SIDES]
    return located(rows, *(name for name in sides if kinds[recipe.side_of(name)] in ("image", "audio")))


def _drawn(rows: Rows, column: str) -> bool:
    """Whether the first pictures are drawings; pictures that cannot be read are refused in their turn."""
    with contextlib.suppress(BadInput):
        pictures = _first(rows, column, Image(), 64)
        return bool(pictures) and are_drawings(pictures)
    return False


def _large(rows: Rows, column: str) -> bool:
    """Whether the first pictures are mostly more than 64 pixels high or wide."""
    with contextlib.suppress(BadInput):
        kind = Image()
        kind.learn(_first(rows, column, Image(), 64))
        return max(kind.form.usual or (0,)) > 64
    return False


def _gaps(rows: Rows, column: str) -> bool:
    """Whether something is missing in one of the first series."""
    with contextlib.suppress(BadInput):
        series = Series(scale="none")
        found = _first(rows, column, series, 1024)
        series.learn(found)
        return bool(series.windows(found).ragged.values.isnan().any())
    return False


def _first(rows: Rows, column: str, raw: Raw, most: int) -> list[Any]:
    batch = next(iter(rows.batches(most, [column])), None)
    return [] if batch is None else [item for item in raw.column(batch, column) if item is not None]


def _kind(rows: Rows, asked: Mapping[Role, str | None], options: Mapping[str, Any]) -> str | None:
    """What the data are, where nobody says: as their source knows, else texts, or a table where there are none.

    Several columns that are to come back are a table, too, and files' bytes are what they begin as.
    """
    if options["kind"] or rows.kind:
        return str(options["kind"] or rows.kind)
    if not asked.get("target") and (files := _files(rows, roles(rows, "image", asked)["input"])):
        return files
    if asked.get("input") or asked.get("target"):
        return None
    several = options["objective"] in RETURNING and len(rows.columns) > 1
    tabular = several or not text_columns(Typed(rows) if rows.written else rows)
    return "table" if tabular else None


def _files(rows: Rows, column: str) -> str | None:
    """'image' or 'audio' for a column of files' bytes, or of structures that hold them, by the first that is there."""
    if column == WHOLE_ROW:
        return None
    values = next(rows.batches(64, [column])).column(0).drop_null()
    first = values[0].as_py() if len(values) and not one_value(values.type) else None
    content = first.get("bytes") if isinstance(first, Mapping) else first
    return content_kind(content) if isinstance(content, bytes) else None


def recipe(
    kind: str,
    columns: dict[Role, str],
    *,
    views: Sequence[Mapping[str, Any]] = (),
    objective: str | None = None,
    encoder: str | dict[str, Any] | None = None,
    decoder: str | None = None,
    latent: int | None = None,
    size: str = "small",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    sides: tuple[str, str] | None = None,
    shapes: Mapping[str, tuple[int, ...] | None] | None = None,
    alike: bool = True,
    drawn: bool = False,
    gaps: bool = False,
    large: bool = False,
) -> Recipe:
    """The default recipe for the kind; see `texts.tree`, `arrays.tree` and, for pairs of two kinds, `pairs.tree`.

    sides: what inputs and targets are, where these are of two kinds; shapes: of each side's items, where they have one,
    by role. alike: all items are of one size. drawn: pictures are drawings or writing, mostly black or white. gaps:
    something is missing in series. large: pictures are more than 64 pixels high or wide.
    """
    known(SIZES, size, "size")
    known(dict.fromkeys(KINDS), kind, "kind of data")
    if objective is not None and objective not in OBJECTIVES:
        raise BadInput(
            f"There is no objective '{objective}'.{nearest(objective, OBJECTIVES)} There are: {', '.join(OBJECTIVES)}."
        )
    part = {"name": encoder} if isinstance(encoder, str) else encoder
    named = {str(role): name for role, name in columns.items()}
    if sides is not None:
        if decoder is not None:
            raise BadInput(f"Pairs of {sides[0]} and {sides[1]} find each other: there is no decoder for them.")
        tree = pairs.tree(sides, named, part, latent, size, shapes or {})
    elif kind in ("text", "pairs"):
        tree = texts.tree(kind, named, objective, part, decoder, latent, size, views)
    else:
        tree = arrays.tree(kind, named, objective, part, decoder, latent, size, alike, drawn, gaps, large)
    budget = {"minutes": 5.0 if minutes is None and steps is None else minutes, "steps": steps}
    return Recipe.read({**tree, "columns": columns, "training": {**budget, **tree["training"]}, "seed": seed})


def roles(rows: Rows, kind: str | None, asked: Mapping[Role, str | None]) -> dict[Role, str]:
    """Which column plays which role, where the user did not say: the longest text is input, two columns are a pair."""
    named: dict[Role, str] = {
        role: name if name == WHOLE_ROW else rows.column(name) for role, name in asked.items() if name is not None
    }
    if kind not in (None, "text", "pairs"):
        first = next((name for name in rows.columns if name not in named.values()), rows.columns[0])
        return {"input": WHOLE_ROW if kind == "table" else first, **named}
    if "input" not in named and "target" not in named:
        pair = next((pair for pair in PAIRS if list(pair) == rows.columns[:2]), None)
        if pair and kind != "text" and "label" not in named:
            return {"input": pair[0], "target": pair[1], **named}
        usual = ("code",) if pair == ("query", "code") else ("input", "text")
        plain = next((name for name in usual if name in rows.columns), None)
        named = {"input": plain or guess_text_column(rows), **named}
    if "input" not in named or (kind == "pairs" and "target" not in named):
        columns = ", ".join(rows.columns)
        raise BadInput(f"Pairs need two columns: name them with --input and --target. {rows.name} has: {columns}.")
    return named


def source_views(rows: Rows, columns: Mapping[Role, str]) -> list[dict[str, Any]]:
    """What else tells of a function in a source tree, beside its docstring's first sentence: worth 0.02 of MRR."""
    if dict(columns) != {"input": "query", "target": "code"} or not {"title", "body"} <= set(rows.columns):
        return []
    pairs = (("query", "code", 1.0), ("details", "code", 0.5), ("comments", "body", 0.5), ("title", "body", 0.3))
    return [{"columns": {"input": a, "target": b}, "weight": weight} for a, b, weight in pairs]
