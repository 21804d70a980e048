"""`raw2vec search`: questions in words to the nearest rows of a store."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import (
    Answer,
    Debug,
    Json,
    Side,
    chosen,
    console,
    grid,
    heavy,
    one_line,
    one_of,
    opened,
    pace,
    there,
)
from raw2vec.errors import BadInput

MODES = ("exact", "approximate", "hybrid", "rescored")
LONGEST = 160  # letters of a cell that are shown
LEAST = 20  # letters of a column that are shown where there are so many
GAP = 3  # spaces between columns
TELLING = ("text", "body", "title", "name", "file", "path")  # columns that say what a row is, by their usual names


def search(
    store: Annotated[
        str,
        typer.Argument(metavar="STORE", show_default=False, help="What `raw2vec index` made: a folder or an address."),
    ],
    queries: Annotated[
        list[str], typer.Argument(metavar="QUERY", show_default=False, help="Questions, or - for one a line.")
    ],
    k: Annotated[int, typer.Option("-k", metavar="K", min=1, help="Rows for each question.", show_default=True)] = 10,
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="Only rows for which this holds.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode", metavar="|".join(MODES), callback=one_of(*MODES), help="hybrid: words and vectors together."
        ),
    ] = None,
    rescore: Annotated[
        int | None,
        typer.Option("--rescore", metavar="N", min=1, help="Rows scored again, in times K, where small vectors are."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Where the model is, if it has moved since.")
    ] = None,
    side: Side = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Find the rows of a store that are nearest to each QUERY.

    raw2vec search tickets.store "the printer is on fire" -k 5
    raw2vec search tickets.store "refund" --where "year = 2024" --mode hybrid
    """
    there(store, *([model] if model else []))
    asked = _asked(queries)
    system = heavy()
    loaded = opened(model or system.model_of(store))
    began = time.perf_counter()
    found = loaded.search(store, asked, k=k, where=where, **chosen(mode=mode, side=side, rescore=rescore))
    seconds = time.perf_counter() - began
    results = [
        {"query": query, "hits": [{"row": hit.row, "score": hit.score, **_columns(hit)} for hit in hits]}
        for query, hits in zip(asked, found, strict=True)
    ]
    shown: list[RenderableType] = []
    for query, hits in zip(asked, found, strict=True):
        if len(asked) > 1:
            shown.append(Text(("\n" if shown else "") + one_line(query), style="bold"))
        shown += _tables(hits) if hits else [Text("nothing was found")]
    return Answer(
        {
            "items": len(asked),
            **pace(len(asked), seconds),
            "mode": mode or system.usual_mode(store),
            "results": results,
        },
        shown,
    )


def _asked(queries: list[str]) -> list[str]:
    lines = [line.strip() for query in queries for line in (sys.stdin if query == "-" else [query])]
    asked = [line for line in lines if line]
    if not asked:
        raise BadInput("There is nothing to search for: give a few words, or one question a line on standard input.")
    return asked


def _columns(hit: Any) -> dict[str, Any]:
    return {"columns": dict(hit.columns)}


def _tables(hits: list[Any]) -> list[RenderableType]:
    """Scores and columns of the rows found, nearest first; where not all have room those that tell most, and a note of
    the others. Long columns share the room that the short ones leave."""
    names = list(hits[0].columns)
    cells = {name: [name, *(_cell(hit.columns[name]) for hit in hits)] for name in names}
    longest = {name: max(map(len, column)) for name, column in cells.items()}
    room, kept = console().width - len("score"), set[str]()
    for name in sorted(names, key=lambda name: name.lower() not in TELLING):
        need = min(longest[name], LEAST) + GAP
        if need <= room or not kept:
            kept.add(name)
            room -= need
    most = LEAST + max(room, 0) // max(sum(longest[name] > LEAST for name in kept), 1)
    shown = [[_cut(cell, most) for cell in cells[name]] for name in names if name in kept]
    table = grid(zip(["score", *(f"{hit.score:.3f}" for hit in hits)], *shown, strict=True))
    left_out = ", ".join(name for name in names if name not in kept)
    return [table, Text(f"not shown: {left_out} (--json has all columns)", style="dim")] if left_out else [table]


def _cell(value: Any) -> str:
    return one_line(str("" if value is None else value)[:LONGEST])


def _cut(cell: str, most: int) -> str:
    return cell if len(cell) <= most else cell[: most - 1] + "…"
