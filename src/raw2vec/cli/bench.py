"""`raw2vec bench`: how fast a model encodes here, beside what the machine could do."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import Answer, Counter, Debug, Device, Input, Json, Model, Side, chosen, grid, heavy, notes, there


def bench(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", show_default=False, help="A file or a folder, or - for stdin.")
    ] = None,
    input: Input = None,
    side: Side = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", metavar="N", min=5, help="Medians of N rounds, 5 unless said.")
    ] = None,
    device: Device = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Measure how fast MODEL encodes on this machine.

    Items and tokens a second, from items to vectors in memory, in float32
    and where the hardware has them in bfloat16 and int8, and as a share of
    the rate at which this machine multiplies matrices. Without DATA texts
    are made up, of mixed and of short lengths, and of other kinds the golden
    inputs taken.

    raw2vec bench tickets
    raw2vec bench tickets tickets.csv --input body --rounds 9
    """
    there(model, *([data] if data else []))
    loaded = heavy().Raw2Vec.load(model, device=device)
    began = time.perf_counter()
    with Counter(doing="measuring") as progress:
        options = chosen(input=input, side=side, rounds=rounds)
        found = heavy("benching").bench(loaded, data, progress=progress, **options).as_dict()
    seconds = round(time.perf_counter() - began, 3)
    first = found["speeds"][0]
    values = {**found, "items": first["items"], "seconds": seconds, "items_per_s": first["items_per_s"]}
    return Answer(values, _shown(found))


def _shown(found: dict[str, Any]) -> list[RenderableType]:
    rates = ", ".join(f"{rate:,.0f} in {name}" for name, rate in found["gemm_gflops"].items())
    heading = ["items", "precision", "items/s", "slowest–fastest", "tokens/s", "share of GEMM"]
    rows = [
        [
            speed["lengths"],
            speed["precision"],
            f"{speed['items_per_s']:,.0f}",
            f"{speed['slowest']:,.0f}–{speed['fastest']:,.0f}",
            f"{speed['tokens_per_s']:,.0f}",
            "–" if speed["share_of_gemm"] is None else f"{speed['share_of_gemm']:.2f}",
        ]
        for speed in found["speeds"]
    ]
    machine = Text(f"{found['machine']}; matrix products: {rates} GFLOP/s\n")
    return [machine, grid([heading, *rows], strong=2), *notes(found["notes"])]
