"""`raw2vec predict`: a class, labels or a number for each row, on the terminal or in a file."""

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
    counted,
    grid,
    heavy,
    pace,
    replaced,
    there,
)
from raw2vec.errors import BadInput
from raw2vec.unreadable import as_list, sentence

SHOWN = 20  # rows on a terminal
FORMATS = (".csv", ".jsonl", ".parquet")


def predict(
    model: Model,
    data: Data,
    input: Input = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="A csv, jsonl or parquet file: all rows and columns.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="NAMES", help="Choose among these names, by their meaning: 'a heart, a house'."
        ),
    ] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option("--template", metavar="TEXT", help="What a name stands in, 'an icon of {}'; several: their mean."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Say the class, labels or number of every row of DATA.

    For classes it adds the probability of the one it says. A row that is
    empty gets no prediction. A model of pairs with words needs no labels
    to have been trained on: it takes the nearest of the names in --labels.

    raw2vec predict stars new.tsv --input text
    raw2vec predict stars new.tsv --input text --out predicted.csv
    raw2vec predict clip pictures/ --labels "a heart, a house, a star"
    """
    there(model, data, out=out)
    if templates and not labels:
        raise BadInput("A --template is for the names in --labels, and there are none.")
    if out and not out.endswith(FORMATS):
        raise BadInput(f"{out}: predictions are written to a file that ends in {', '.join(FORMATS)}.")
    loaded = heavy().load(model)
    began = time.perf_counter()
    with Counter() as progress:
        predictions = heavy("cli.predictions")
        teller = predictions.teller(loaded, labels.split(",") if labels else None, templates)
        run = predictions.Predictions(loaded, data, input, teller, progress)
        rows = [] if out else list(run.rows())
        if out:
            run.write(out)
    values: dict[str, Any] = {"items": run.items, "truncated": run.truncated, "empty": run.empty, "out": out}
    values |= {"replaced": run.replaced} if out else {}
    values |= {"unreadable": as_list(run.unreadable)} if run.unreadable else {}
    if not out:
        values["predictions"] = rows
    values |= pace(run.items, time.perf_counter() - began)
    return Answer(values, _shown(run, rows, out))


def _shown(run: Any, rows: list[dict[str, Any]], out: str | None) -> list[RenderableType]:
    told: list[RenderableType] = []
    if out:
        told += [Text(f"{out}: {counted(run.items, 'row')}"), *replaced(run.replaced)]
    elif rows:
        cells = [[_cell(value) for value in row.values()] for row in rows[:SHOWN]]
        told.append(grid([list(rows[0]), *cells], shrink=1))
        if len(rows) > SHOWN:
            told.append(Text(f"… and {len(rows) - SHOWN:,} more: add --out FILE", style="dim"))
    if run.truncated:
        told.append(Text(f"{counted(run.truncated, 'item', 'were')} longer than the model takes, and cut"))
    if run.unreadable:
        told.append(Text(f"{sentence(as_list(run.unreadable), 'file', ', and got no prediction')}; --json lists all"))
    if run.empty:
        told.append(Text(f"{counted(run.empty, 'row', 'are')} empty and got no prediction"))
    return told


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return "|".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)[:160]
