"""`raw2vec map`: a file as one page to look at, to search and to listen to."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.text import Text

from raw2vec.cli.base import (
    Answer,
    Counter,
    Data,
    Debug,
    Input,
    Json,
    Label,
    Model,
    Side,
    chosen,
    counted,
    duration,
    heavy,
    notes,
    one_of,
    pace,
    there,
)

PROJECTIONS = ("auto", "pca", "tsne", "umap")


def map_page(
    model: Model,
    data: Data,
    out: Annotated[str, typer.Option("--out", metavar="FILE", show_default=False, help="The page, an .html file.")],
    input: Input = None,
    label: Label = None,
    side: Side = None,
    projection: Annotated[
        str,
        typer.Option(
            "--projection", metavar="|".join(PROJECTIONS), callback=one_of(*PROJECTIONS), help="How points are placed."
        ),
    ] = "auto",
    most: Annotated[int, typer.Option("--most", metavar="N", min=2, help="Of more rows, show a sample.")] = 50_000,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Draw DATA as a map: one page that needs no network.

    Every item is a point near what is like it. Hover to see it, click for
    its neighbours, search its words, colour it by a label.

    raw2vec map digits digits.npy --out digits.html
    raw2vec map tickets tickets.csv --input body --label queue --out map.html
    """
    there(model, data, out=out)
    loaded = heavy().load(model)
    began = time.perf_counter()
    with Counter() as progress:
        options = chosen(input=input, label=label, side=side)
        done = loaded.map(data, out, projection=projection, most=most, progress=progress, **options)
    seconds = time.perf_counter() - began
    values = {"items": done.items, "of": done.of, "projection": done.projection, "bytes": done.size}
    values |= {"notes": done.notes, "out": out}
    told = f"{out}: {counted(done.items, 'item')} by {done.projection.upper()}, {done.size / 1e6:.1f} MB,"
    shown = [Text(f"{told} in {duration(seconds)}"), *notes(done.notes), Text("Open it in a browser.", style="dim")]
    return Answer({**values, **pace(done.items, seconds)}, shown)
