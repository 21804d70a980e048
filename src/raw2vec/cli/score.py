"""`raw2vec score`: how normal every row is, and which are anomalies."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.text import Text

from raw2vec.cli.base import Answer, Counter, Data, Debug, Input, Json, Model, counted, heavy, pace, replaced, there
from raw2vec.errors import BadInput
from raw2vec.unreadable import sentence

FORMATS = (".csv", ".parquet", ".npy")


def score(
    model: Model,
    data: Data,
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE", show_default=False, help="A csv or parquet file; or npy: scores alone."),
    ],
    input: Input = None,
    contamination: Annotated[
        float | None,
        typer.Option("--contamination", metavar="SHARE", help="Call this share of DATA anomalies; else by the model."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Score every row of DATA in nats, the higher the more normal.

    The columns score and anomaly are written beside DATA's own. What is below
    the threshold is an anomaly: the one the model found when it was fitted,
    or the score below which the --contamination of DATA lies. Where items
    are of different sizes, scores are nats an element: pixel, frame, token.

    raw2vec score sensors readings.parquet --out scored.parquet
    raw2vec score sensors readings.parquet --out s.csv --contamination 0.05
    """
    there(model, data, out=out)
    if not out.endswith(FORMATS):
        raise BadInput(f"{out}: scores are written to a file that ends in {', '.join(FORMATS)}.")
    loaded = heavy().load(model)
    began = time.perf_counter()
    with Counter() as progress:
        done = heavy("cli.scored").scored(loaded, data, input, contamination, out, progress)
    values = {**done._asdict(), "out": out, **pace(done.items, time.perf_counter() - began)}
    told = [Text(f"{out}: {done.items:,} rows, {done.anomalies:,} anomalies below {done.threshold:,.3f} {done.unit}")]
    if done.truncated:
        told.append(Text(f"{counted(done.truncated, 'item', 'were')} longer than the model takes, and cut"))
    if done.unreadable:
        told.append(Text(f"{sentence(done.unreadable, 'file', ', and got no score')}; --json lists all"))
    if done.empty:
        told.append(Text(f"{counted(done.empty, 'row', 'are')} empty and got no score"))
    return Answer(values, [*told, *replaced(done.replaced)])
