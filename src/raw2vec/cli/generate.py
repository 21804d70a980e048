"""`raw2vec reconstruct`, `sample` and `interpolate`: what a model makes, in files to look at or listen to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.text import Text

from raw2vec.cli.base import Answer, Data, Debug, Input, Json, Model, Seed, counted, heavy, pace, there

Out = Annotated[
    str,
    typer.Option(
        "--out", metavar="FILE|DIR", show_default=False, help="png, wav, csv, parquet, npy or txt; or a folder."
    ),
]


def reconstruct(
    model: Model,
    data: Data,
    out: Out,
    input: Input = None,
    items: Annotated[
        int | None,
        typer.Option("--items", metavar="N", min=1, help="The first N rows; else all, of one png or wav 32."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Send every row of DATA through its code and back.

    Pictures become one sheet, originals above what was made of them, or a
    folder; sounds a wav or a folder; rows of numbers a table like DATA.

    raw2vec reconstruct digits digits.npy --out pairs.png
    raw2vec reconstruct digits digits.npy --out pairs --items 100
    """
    there(model, data, out=out)
    return _made(model, out, lambda loaded, work: work.reconstructed(loaded, data, input, items, out))


def sample(
    model: Model,
    out: Out,
    count: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many.", show_default=True)] = 16,
    seed: Seed = None,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="DATA", help="Draw where the codes of these rows are, not from the prior."),
    ] = None,
    input: Input = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Make items that nobody has seen.

    raw2vec sample digits --out new.png -n 64 --seed 1
    raw2vec sample digits --out new.png --like digits.npy
    """
    there(model, *([like] if like else []), out=out)
    return _made(model, out, lambda loaded, work: work.sampled(loaded, count, seed or 0, like, input, out))


def interpolate(
    model: Model,
    data: Data,
    out: Out,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=2, help="Items in all.", show_default=True)] = 8,
    begin: Annotated[int, typer.Option("--from", metavar="ROW", min=0, help="Counted from 0.", show_default=True)] = 0,
    end: Annotated[int, typer.Option("--to", metavar="ROW", min=0, help="Counted from 0.", show_default=True)] = 1,
    input: Input = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Walk from the code of one row of DATA to that of another.

    raw2vec interpolate digits digits.npy --out walk.png --from 3 --to 12
    """
    there(model, data, out=out)
    return _made(model, out, lambda loaded, work: work.interpolated(loaded, data, input, (begin, end), steps, out))


def _made(model: str, out: str, make: Callable[[Any, Any], Any]) -> Answer:
    """The answer of a command that wrote what `make`, handed the model and the work's module, counts."""
    loaded = heavy().load(model)
    began = time.perf_counter()
    made = make(loaded, heavy("cli.generated"))
    told = [Text(f"{out}: {counted(made.items, 'item')}")]
    if made.truncated:
        told.append(Text(f"{counted(made.truncated, 'item', 'were')} longer than the model takes, and cut"))
    values = {"items": made.items, "truncated": made.truncated, "out": out}
    return Answer({**values, **pace(made.items, time.perf_counter() - began)}, list(told))
