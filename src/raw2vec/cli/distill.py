"""`raw2vec distill`: a large encoder to a small, fast one, beside what of the teacher it has kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import (
    Answer,
    Debug,
    Device,
    Input,
    Json,
    Latent,
    Minutes,
    Model,
    Resume,
    Seed,
    Settings,
    Steps,
    Training,
    counted,
    duration,
    heavy,
    one_of,
    pace,
    scores,
    there,
)
from raw2vec.errors import BadInput
from raw2vec.settings import worded

ENCODERS = ("dense", "recurrent", "convolutional", "transformer")


def distill(
    model: Model,
    out: Annotated[str, typer.Option("--out", metavar="DIR", show_default=False, help="The model folder to write.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", show_default=False, help="Texts to learn from: a file, or -.")
    ] = None,
    input: Input = None,
    vectors: Annotated[
        str | None, typer.Option("--vectors", metavar="COL", help="MODEL's vectors of DATA, where embed wrote them.")
    ] = None,
    encoder: Annotated[
        str,
        typer.Option("--encoder", metavar="NAME", callback=one_of(*ENCODERS), help="What learns; dense is a table."),
    ] = "dense",
    latent: Latent = None,
    settings: Settings = None,
    minutes: Minutes = None,
    steps: Steps = None,
    seed: Seed = None,
    device: Device = None,
    resume: Resume = False,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Make a small, fast encoder that gives the vectors of MODEL.

    By itself a table of what MODEL says of every token, whose mean is a
    text's vector: some hundred times as fast. With DATA the table learns
    MODEL's vectors of these texts as well, for five minutes unless told
    otherwise; any other encoder learns from DATA alone, MODEL's own kind
    from a third of its layers.

    raw2vec distill minilm --out static
    raw2vec distill minilm notes.txt --minutes 2 --latent 128 --out static
    raw2vec distill tickets tickets.csv --encoder transformer --out small
    """
    there(model, *([data] if data else []), out=out)
    if minutes and steps:
        raise BadInput("A budget is --minutes or --steps, not both.")
    options: dict[str, Any] = {"input": input, "vectors": vectors, "encoder": encoder, "latent": latent}
    options |= {"settings": worded(settings or []), "seed": seed or 0, "device": device}
    options |= {"minutes": minutes, "steps": steps, "resume": resume}
    with Training() as listener:
        report = heavy("distilling").distill(model, data, out=out, listener=listener, **options).report
    return _answer(report, listener.finished_already, model, out, data, input)


def _answer(
    report: dict[str, Any], already: bool, teacher: str, out: str, data: str | None, input: str | None
) -> Answer:
    """already: the run was at its end before."""
    values = {key: value for key, value in report.items() if key != "history"} | {"finished_already": already}
    taught = report.get("taught", 0)
    told = f"{out}: made of {teacher}"
    told += f", which was asked for {counted(taught, 'text')}" if taught else "'s tokens"
    told += f", in {duration(report['seconds'])}"
    told += f", {counted(report['steps'], 'step')}" if report["steps"] else ""
    shown: list[RenderableType] = [Text(told)]
    shown += [Text("it was finished already, and nothing was trained")] if already else []
    if report.get("held_out"):
        shown.append(Text(f"how far it agrees with its teacher on {counted(report['held_out'], 'text')} held out:\n"))
    if report.get("passages"):
        where = f"on {counted(report['passages'], 'passage')} of Python's manual"
        shown.append(Text(f"how far it agrees with its teacher {where}:\n"))
    reading = [out.rstrip("/"), data, *(["--input", input] if input else [])] if data and data != "-" else []
    then = ["index", *reading, "--store", f"{out.rstrip('/')}.store"] if reading else []
    return Answer(
        {**values, **pace(taught or report.get("tokens", 0), report["seconds"]), "out": out},
        [*shown, *scores(report)],
        then,
    )
