"""`raw2vec search`: questions in words to the nearest rows of a store."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import Answer, Debug, Json, console, grid, heavy, one_line, one_of, pace, there
from raw2vec.errors import BadInput

MODES = ("exact", "approximate", "hybrid")
LONGEST = 160  # letters of a cell that are shown
SHORT = 16  # letters of a column that never gives way


def search(
    store: Annotated[str, typer.Argument(metavar="STORE", show_default=False, help="The folder `raw2vec index` made.")],
    queries: Annotated[
        list[str], typer.Argument(metavar="QUERY", show_default=False, help="Questions, or - for one a line.")
    ],
    k: Annotated[int, typer.Option("-k", metavar="K", min=1, help="Rows for each question.", show_default=True)] = 10,
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="Only rows for which this holds.")
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode", metavar="|".join(MODES), callback=one_of(*MODES), help="hybrid: words and vectors together."
        ),
    ] = "exact",
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Where the model is, if it has moved since.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Find the rows of a store that are nearest to each QUERY.

    raw2vec search tickets.store "the printer is on fire" -k 5
    raw2vec search tickets.store "refund" --where "year = '2024'" --mode hybrid
    """
    there(store, *([model] if model else []))
    asked = _asked(queries)
    system = heavy()
    loaded = system.load(model or system.model_of(store))
    began = time.perf_counter()
    found = loaded.search(store, asked, k=k, where=where, mode=mode)
    seconds = time.perf_counter() - began
    results = [
        {"query": query, "hits": [{"row": hit.row, "score": hit.score, **_columns(hit)} for hit in hits]}
        for query, hits in zip(asked, found, strict=True)
    ]
    shown: list[RenderableType] = []
    for query, hits in zip(asked, found, strict=True):
        if len(asked) > 1:
            shown.append(Text(("\n" if shown else "") + one_line(query), style="bold"))
        shown.append(_table(hits) if hits else Text("nothing was found"))
    return Answer({"items": len(asked), **pace(len(asked), seconds), "mode": mode, "results": results}, shown)


def _asked(queries: list[str]) -> list[str]:
    lines = [line.strip() for query in queries for line in (sys.stdin if query == "-" else [query])]
    asked = [line for line in lines if line]
    if not asked:
        raise BadInput("There is nothing to search for: give a few words, or one question a line on standard input.")
    return asked


def _columns(hit: Any) -> dict[str, Any]:
    return {"columns": dict(hit.columns)}


def _table(hits: list[Any]) -> RenderableType:
    """Scores and columns of the rows found, nearest first; long columns share the room that the short ones leave."""
    names = list(hits[0].columns)
    cells = [
        [one_line(str("" if (cell := hit.columns[name]) is None else cell)[:LONGEST]) for name in names] for hit in hits
    ]
    rows = [["score", *names], *([f"{hit.score:.3f}", *row] for hit, row in zip(hits, cells, strict=True))]
    longest = [max(len(row[place]) for row in rows) for place in range(len(names) + 1)]
    short = [length for length in longest if length <= SHORT]
    left = console().width - sum(short) - 3 * len(longest)
    room = max(SHORT, left // max(len(longest) - len(short), 1))
    return grid([[cell if len(cell) <= room else cell[: room - 1] + "…" for cell in row] for row in rows])
