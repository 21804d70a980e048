"""`raw2vec demo`: real examples from data that every machine has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from raw2vec.cli.base import Answer, Debug, Json, Minutes, Seed, Training, console, grid, heavy, pace
from raw2vec.errors import BadInput, nearest


def demo(
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False, help="None: list them.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Where it writes; none: raw2vec-demo-NAME.")
    ] = None,
    minutes: Minutes = None,
    seed: Seed = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Run a real example from beginning to end.

    raw2vec demo
    raw2vec demo code
    raw2vec demo code --minutes 1 --out my-demo
    """
    demos = heavy("demos").DEMOS
    if name is None:
        about = {known: (run.__doc__ or "").strip().split("\n")[0] for known, run in demos.items()}
        rows = [["demo", ""], *([known, line] for known, line in about.items())]
        return Answer({"demos": about}, [grid(rows)], ["demo", next(iter(demos))])
    if name not in demos:
        raise BadInput(f"There is no demo '{name}', only {', '.join(demos)}.{nearest(name, demos)}")
    place = Path(out or f"raw2vec-demo-{name}")
    began = time.perf_counter()
    with Training() as listener:
        # With --json, standard output stands for standard error while a command runs: a demo may print as it likes.
        values = demos[name](place, minutes, seed or 0, console(markup=True), listener)
    speed = pace(listener.items, listener.seconds)
    return Answer({**speed, **values, "seconds": round(time.perf_counter() - began, 3), "out": str(place)})
