"""`raw2vec calibrate`: how far a model's numbers go, once and for all, so that they fit 8 bits."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.text import Text

from raw2vec.cli.base import Answer, Data, Debug, Input, Json, Model, Prompt, Side, chosen, counted, opened, pace, there


def calibrate(
    model: Model,
    data: Data,
    input: Input = None,
    side: Side = None,
    prompt: Prompt = None,
    items: Annotated[
        int, typer.Option("--items", metavar="N", min=2, help="So many of the first of DATA are looked at.")
    ] = 2000,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="A copy of the model with its ranges; none: into MODEL itself."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Find the ranges of int8 in DATA, and keep them in MODEL.

    `embed --vectors int8` then takes them for any data, and `encode` in
    Python gives int8 and uint8 by them; whole vectors and such as are cut to
    their first numbers have ranges of their own. Of texts the levels of int8
    arithmetic are kept as well: `embed --precision int8` starts at once.
    Nothing else of MODEL changes. A checkpoint of others stays as it is:
    give --out.

    raw2vec calibrate tickets tickets.csv --input body
    raw2vec calibrate minilm notes.txt --out calibrated
    """
    there(model, data, out=out)
    loaded = opened(model)
    began = time.perf_counter()
    options = chosen(input=input, side=side, prompt=prompt)
    found = loaded.calibrate(data, items=items, out=out or loaded.source_, **options)
    seconds = time.perf_counter() - began
    place = out or model
    told = f"{place}: the ranges of {counted(found.width, 'number')}, found in {found.told}"
    levels = [Text(f"and the levels of int8 arithmetic, of {counted(found.maps, 'map')}")] if found.maps else []
    values = {"items": found.items, "ranges": found.told, "width": found.width, "maps": found.maps, "out": place}
    then = ["embed", place, "DATA", "--out", "vectors", "--vectors", "int8"]
    return Answer({**values, **pace(found.items, seconds)}, [Text(told), *levels], then)
