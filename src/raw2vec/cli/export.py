"""`raw2vec export`: a model for another engine, given out once that engine answers as this one does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from raw2vec.cli.base import Answer, Debug, Json, Model, heavy, one_of, pace, there

ENGINES = ("ctranslate2",)
QUANTIZATIONS = ("float32", "int8")


def export(
    model: Model,
    to: Annotated[
        str, typer.Option("--to", metavar="ENGINE", callback=one_of(*ENGINES), show_default=False, help="ctranslate2.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", show_default=False, help="The folder to write.")],
    quantization: Annotated[
        str,
        typer.Option("--quantization", metavar="TYPE", callback=one_of(*QUANTIZATIONS), help="float32, or int8."),
    ] = "float32",
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Write MODEL for another engine, once it answers there as it does here.

    ctranslate2 runs translators on a CPU without PyTorch: transformers, as
    `fit --objective translation` makes them. int8 is a quarter of the size
    and two or three times as fast as here, and a little off.

    raw2vec export mt --to ctranslate2 --out mt.ct2
    raw2vec export mt --to ctranslate2 --out mt.int8 --quantization int8
    """
    there(model)
    loaded = heavy().load(model)
    began = time.perf_counter()
    found = heavy(f"interchange.{to}").export(loaded.parts_, Path(out), quantization)
    seconds = time.perf_counter() - began
    size = sum(file.stat().st_size for file in Path(out).iterdir())
    metrics = {"difference": found.difference, "mean_difference": found.mean, "agreement": found.agreement}
    values = {"metrics": metrics, "engine": to, "quantization": quantization, "bytes": size, "out": out}
    told = [
        f"{out}: {size / 1e6:.1f} MB, weights in {quantization}",
        f"beside the model: log-likelihoods of {found.tokens:,} tokens are {found.mean:.1g} nats off on average, "
        f"{found.difference:.1g} at most; {found.agreement:.1%} of the tokens that it chooses are the model's own",
    ]
    values |= {"items": found.tokens, **pace(found.tokens, seconds)}
    return Answer(values, [*map(Text, told)], ["translate", out, "FILE"])
