"""`raw2vec group`: what is nearly the same, and what belongs together."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import (
    Answer,
    Counter,
    Data,
    Debug,
    Input,
    Json,
    Model,
    Side,
    chosen,
    counted,
    grid,
    heavy,
    one_line,
    pace,
    there,
)
from raw2vec.errors import BadInput

FORMATS = (".csv", ".jsonl", ".parquet")
SHOWN = 10  # groups on a terminal


def group(
    model: Model,
    data: Data,
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", show_default=False, help="A csv, jsonl or parquet file.")
    ],
    input: Input = None,
    side: Side = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="COSINE", help="Items at least so alike are near-duplicates (0.97)."),
    ] = None,
    clusters: Annotated[
        int | None, typer.Option("--clusters", metavar="N", min=1, help="How many clusters; none: as many as fit.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Find near-duplicates and clusters among the rows of DATA.

    Each row gets the number of its group of near-duplicates, none where
    nothing is like it, and of its cluster; the largest are numbered first.

    raw2vec group digits digits.npy --out groups.csv
    raw2vec group tickets tickets.csv --input body --threshold 0.95 --out g.csv
    """
    there(model, data, out=out)
    if not out.endswith(FORMATS):
        raise BadInput(f"{out}: groups are written to a file that ends in {', '.join(FORMATS)}.")
    loaded = heavy().load(model)
    began = time.perf_counter()
    with Counter() as progress:
        options = chosen(input=input, side=side, threshold=threshold, clusters=clusters)
        table = heavy("cli.grouped").Grouped(loaded, data, options, progress)
        table.write(out)
    values = {"items": table.items, "groups": table.groups, "in_groups": table.in_groups, "clusters": table.clusters}
    values |= {"out": out, "largest": table.largest(SHOWN)}
    return Answer({**values, **pace(table.items, time.perf_counter() - began)}, _shown(values, out))


def _shown(values: dict[str, Any], out: str) -> list[RenderableType]:
    found = f"{counted(values['groups'], 'group')} of near-duplicates, {values['in_groups']:,} rows in all"
    told: list[RenderableType] = [
        Text(f"{out}: {counted(values['items'], 'row')}; {found}; {counted(values['clusters'], 'cluster')}")
    ]
    if values["largest"]:
        rows = [[str(one["group"]), str(one["size"]), one_line(one["representative"])] for one in values["largest"]]
        told += [Text(""), grid([["group", "rows", "such as"], *rows], shrink=2)]
    return told
