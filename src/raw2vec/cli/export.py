"""`raw2vec export`: a model for another engine, given out once that engine answers as this one does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from raw2vec.cli.base import Answer, Debug, Input, Json, Model, heavy, notes, one_of, pace, there
from raw2vec.errors import BadInput

ENGINES = ("openvino", "onnx", "ctranslate2")
LIBRARIES = ("transformers", "sentence-transformers")
QUANTIZATIONS = ("float32", "bfloat16", "int8")


def export(
    model: Model,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAME",
            callback=one_of(*ENGINES, *LIBRARIES),
            show_default=False,
            help=f"{', '.join((*ENGINES, *LIBRARIES))}.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", show_default=False, help="The folder to write.")],
    quantization: Annotated[
        str,
        typer.Option(
            "--quantization", metavar="TYPE", callback=one_of(*QUANTIZATIONS), help=f"{', '.join(QUANTIZATIONS)}."
        ),
    ] = "float32",
    calibrate: Annotated[
        str | None,
        typer.Option("--calibrate", metavar="DATA", help="Texts for int8 to find its ranges by, as openvino has them."),
    ] = None,
    input: Input = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Write MODEL for another engine or library, once it answers there as here.

    openvino and onnx run encoders of texts, dense ones and transformers;
    `embed` and `index` take what is written as they take a model.
    ctranslate2 runs translators: transformers, as `fit --objective
    translation` makes them. int8 is a quarter of the size, faster, and a
    little off; bfloat16, of openvino alone, is half of it. transformers and
    sentence-transformers open what is built as BERT, MPNet, NomicBERT or
    ModernBERT, with the head for masked words; transformers also what is
    built as ViT, CLIP or SigLIP, and sentence-transformers what is built
    as CLIP.

    raw2vec export tickets --to onnx --out tickets.onnx
    raw2vec export mt --to ctranslate2 --out mt.ct2
    raw2vec export tickets --to sentence-transformers --out tickets.st
    raw2vec export mt --to ctranslate2 --out mt.int8 --quantization int8
    """
    there(model, *([calibrate] if calibrate else []), out=out)
    if calibrate and (to, quantization) != ("openvino", "int8"):
        raise BadInput("--calibrate goes with --to openvino --quantization int8: elsewhere no ranges are to be found.")
    if to in LIBRARIES and quantization != "float32":
        raise BadInput(f"{to} takes weights in float32: leave out --quantization.")
    loaded = heavy().load(model, device="cpu")  # every other engine is held beside it there
    began = time.perf_counter()
    if to == "ctranslate2":
        found = heavy("interchange.ctranslate2").export(loaded.parts_, Path(out), quantization)
        return _translator(found, out, quantization, time.perf_counter() - began)
    if to in LIBRARIES:
        found = heavy("interchange.outward").export(loaded.parts_, Path(out), to)
        return _library(found, to, out, time.perf_counter() - began)
    texts = loaded.first_items(calibrate, heavy("engines").CALIBRATION, input=input) if calibrate else None
    found = heavy("engines.exports").export(loaded.parts_, Path(out), to, quantization, texts)
    return _encoder(found, to, out, quantization, time.perf_counter() - began)


def _encoder(found: Any, to: str, out: str, quantization: str, seconds: float) -> Answer:
    metrics = {"worst_cosine": found.worst, "mean_cosine": found.mean, "difference": found.difference}
    values = _values(metrics, to, out, quantization, found.windows, seconds)
    told = [
        _size(values),
        f"beside the model: of {found.windows} texts the worst vector has a cosine of {found.worst:.6f} with the "
        f"model's own, the mean is {found.mean:.6f}",
    ]
    return Answer(values, [*map(Text, told)], ["embed", out, "DATA", "--out", "vectors"])


def _translator(found: Any, out: str, quantization: str, seconds: float) -> Answer:
    metrics = {"difference": found.difference, "mean_difference": found.mean, "agreement": found.agreement}
    values = _values(metrics, "ctranslate2", out, quantization, found.tokens, seconds)
    told = [
        _size(values),
        f"beside the model: log-likelihoods of {found.tokens:,} tokens are {found.mean:.1g} nats off on average, "
        f"{found.difference:.1g} at most; {found.agreement:.1%} of the tokens that it chooses are the model's own",
    ]
    return Answer(values, [*map(Text, told)], ["translate", out, "FILE"])


def _library(found: Any, to: str, out: str, seconds: float) -> Answer:
    metrics = {"difference": found.difference} | ({"logits": found.logits} if found.logits is not None else {})
    values = _values(metrics, to, out, "float32", found.items, seconds)
    values |= {"family": found.family} | ({"notes": [found.note]} if found.note else {})
    told = f"opened by {to} as {found.family}: of {found.items} items no number is more than {found.difference:.1g} off"
    told += f", and {found.logits:.1g} of its head's logits" if found.logits is not None else ""
    return Answer(values, [Text(_size(values)), Text(told), *notes([found.note] if found.note else [])])


def _values(
    metrics: dict[str, float], to: str, out: str, quantization: str, items: int, seconds: float
) -> dict[str, Any]:
    size = sum(file.stat().st_size for file in Path(out).rglob("*") if file.is_file())
    about = {"metrics": metrics, "engine": to, "quantization": quantization, "bytes": size, "out": out}
    return {**about, "items": items, **pace(items, seconds)}


def _size(values: dict[str, Any]) -> str:
    return f"{values['out']}: {values['bytes'] / 1e6:.1f} MB, weights in {values['quantization']}"
