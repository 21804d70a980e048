"""`raw2vec embed` and `raw2vec index`: every row of a file to its vector, in files or in a store to search."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.text import Text

from raw2vec.addresses import shown
from raw2vec.cli.base import (
    Answer,
    Counter,
    Data,
    Debug,
    Input,
    Json,
    Model,
    Prompt,
    Resume,
    Side,
    chosen,
    counted,
    duration,
    notes,
    one_of,
    opened,
    pace,
    there,
)
from raw2vec.unreadable import sentence

ENGINES = ("auto", "torch", "openvino", "onnx")
PRECISIONS = ("float32", "bfloat16", "int8")
KINDS = ("float32", "float16", "int8", "binary")
# What became of a file that cannot be read, and of several.
ZEROS = ", and got a vector of zeros", ", and got vectors of zeros"
LEFT_OUT = ", and was left out", ", and were left out"
# What a search asks with, by its kind; none: a table's rows have no place on a command line.
QUESTIONS = {"text": "a few words", "image": "PICTURE", "audio": "SOUND", "series": "SERIES.npy"}
Truncate = Annotated[
    int | None,
    typer.Option("--truncate", metavar="N", min=1, help="Keep the first N numbers of each vector (Matryoshka)."),
]
Written = Annotated[
    str | None,
    typer.Option(
        "--vectors",
        metavar="TYPE",
        callback=one_of(*KINDS),
        help="What numbers are written as: float32, float16, int8, or binary, a bit each.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        callback=one_of(*ENGINES),
        help="torch, openvino, onnx, or auto: the fastest here that is as near as 0.9999.",
    ),
]


def embed(
    model: Model,
    data: Data,
    out: Annotated[
        str,
        typer.Option("--out", metavar="DIR|FILE", show_default=False, help="A folder, a .npy or a .parquet file."),
    ],
    input: Input = None,
    side: Side = None,
    prompt: Prompt = None,
    engine: Engine = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="NAME",
            callback=one_of(*PRECISIONS),
            help="float32, bfloat16 or int8.",
        ),
    ] = None,
    truncate: Truncate = None,
    vectors: Written = None,
    calibrate: Annotated[
        str | None,
        typer.Option("--calibrate", metavar="FILE", help="Find int8's ranges in these items, or take a ranges.npy."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="local|ray", callback=one_of("local", "ray"), help="Where: here, or by Ray."),
    ] = None,
    resume: Resume = False,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Encode every row of DATA to a vector.

    A folder gets Parquet shards that a crash cannot tear; --resume goes on
    after the last whole one. Without --engine it is `auto`, and of fewer
    than a thousand rows torch.

    raw2vec embed tickets tickets.csv --input body --out vectors.npy
    raw2vec embed tickets tickets.csv --input body --out vectors --resume
    raw2vec embed tickets tickets.csv --out exact.npy --engine torch
    raw2vec embed tickets tickets.csv --out small.npy --vectors int8
    """
    there(model, data, *([calibrate] if calibrate else []), out=out)
    loaded = opened(model)
    began = time.perf_counter()
    options = chosen(side=side, prompt=prompt, engine=engine, precision=precision, truncate_dim=truncate, on=on)
    options |= chosen(vectors=vectors, calibrate=calibrate)
    with Counter() as progress:
        done = loaded.embed(data, out, input=input, resume=resume, progress=progress, **options)
    answer = _answer(done, out, time.perf_counter() - began, [], ZEROS, input)
    return replace(answer, values={**answer.values, "vectors": vectors or "float32"})


def index(
    model: Model,
    data: Data,
    store: Annotated[
        str, typer.Option("--store", metavar="STORE", show_default=False, help="A folder, s3://… or postgresql://….")
    ],
    input: Input = None,
    side: Side = None,
    resume: Resume = False,
    engine: Engine = None,
    truncate: Truncate = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors",
            metavar="TYPE",
            callback=one_of("float32", "int8", "binary"),
            help="What a search reads first, int8 or binary, before it scores the best by whole vectors.",
        ),
    ] = None,
    approximate: Annotated[
        bool, typer.Option("--approximate", metavar="", help="Also build an approximate index, and measure its recall.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Encode every row of DATA into a store, with its columns beside it.

    raw2vec index tickets tickets.csv --input body --store tickets.store
    raw2vec index tickets tickets.csv --store s3://bucket/tickets
    """
    there(model, data, out=store)
    loaded = opened(model)
    began = time.perf_counter()
    options = chosen(side=side, approximate=approximate or None, engine=engine, truncate_dim=truncate)
    options |= chosen(vectors=vectors)
    with Counter() as progress:
        done = loaded.index(data, store, input=input, resume=resume, progress=progress, **options)
    place, question = shown(store), QUESTIONS.get(getattr(done, "question", "text"))
    then = ["search", place, question] if question else []
    return _answer(done, place, time.perf_counter() - began, then, LEFT_OUT, input)


def _answer(done: Any, out: str, seconds: float, then: list[str], fates: tuple[str, str], asked: str | None) -> Answer:
    """What an embedding or indexing run did, and how fast its own rows were. `fates` of unreadable ones. asked: the
    column that was named; one that was chosen is told."""
    more = {
        name: value for name in ("empty", "first_empty", "recall") if (value := getattr(done, name, None)) is not None
    }
    said = getattr(done, "note", None)
    more |= {"recall": None, "notes": [said]} if said else {}
    ranges = getattr(done, "ranges", None)
    more |= {"ranges": ranges} if ranges else {}
    unreadable = list(getattr(done, "unreadable", ()))
    more |= {"unreadable": unreadable} if unreadable else {}
    engine = getattr(done, "engine", "torch")
    column = getattr(done, "input", asked)
    more |= {"engine": engine, "input": column}
    values = {"items": done.items, "new": done.new, "truncated": done.truncated, "out": out, **more}
    before = done.items - done.new
    told = [
        f"{out}: {counted(done.items, 'row')} in {duration(seconds)}" + (f", {before:,} from before" if before else "")
    ]
    told += [f"of the column '{column}'"] if column not in (asked, "*") else []
    told += [f"by {engine}"]
    told += [f"within {ranges}"] if ranges else []
    if done.truncated:
        told.append(f"{counted(done.truncated, 'text', 'were')} longer than the model takes, and cut")
    if more.get("empty"):
        told.append(f"{counted(done.empty, 'row', 'are')} empty, the first is row {done.first_empty}, counted from 0")
    if unreadable:
        told.append(f"{sentence(unreadable, 'file', fates[len(unreadable) > 1])}; --json lists all")
    if more.get("recall") is not None:
        told.append(f"the approximate index finds {more['recall']:.1%} of what an exact search finds")
    shown = [*(Text(line) for line in told), *notes([said] if said else [])]
    return Answer({**values, **pace(done.new, seconds)}, shown, then)
