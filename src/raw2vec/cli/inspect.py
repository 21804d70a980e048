"""`raw2vec inspect`: a model from inside, its parts and what goes through them, forward and back."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import Answer, Debug, Input, Json, Label, Model, Target, grid, heavy, notes, pace, there


def inspect(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", show_default=False, help="A file or a folder, or - for stdin.")
    ] = None,
    input: Input = None,
    target: Target = None,
    label: Label = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Look inside MODEL: its parts, their states and their gradients.

    raw2vec inspect tickets
    raw2vec inspect tickets tickets.csv --input body
    """
    there(model, *([data] if data else []))
    loaded = heavy().load(model)
    began = time.perf_counter()
    found = loaded.inspect(data, input=input, target=target, label=label)
    values = {"items": 0, **found.as_dict()}
    shown: list[RenderableType] = []
    for title, rows in found.tables():
        shown += [Text(f"\n{title}" if shown else title, style="bold"), grid(rows)]
    return Answer({**values, **pace(values["items"], time.perf_counter() - began)}, [*shown, *notes(found.notes)])
