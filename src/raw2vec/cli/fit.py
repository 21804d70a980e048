"""`raw2vec fit`: data to a model folder, with its progress, its scores beside the baselines, and what to type next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from raw2vec.braces import gathered
from raw2vec.cli.base import (
    QUOTED,
    Answer,
    Debug,
    Device,
    Input,
    Json,
    Label,
    Latent,
    Minutes,
    Resume,
    Seed,
    Settings,
    Steps,
    Target,
    Training,
    counted,
    duration,
    heavy,
    one_of,
    scores,
    there,
)
from raw2vec.errors import BadInput
from raw2vec.settings import worded

KINDS = ("text", "pairs", "image", "audio", "series", "table")
_WITHOUT_A_WAY_BACK = ("contrastive", "vicreg", "masked", "supervised", "distillation")
OBJECTIVES = (*_WITHOUT_A_WAY_BACK, "reconstruction", "variational", "translation")
ENCODERS = ("dense", "recurrent", "convolutional", "transformer")
SIZES = ("tiny", "small", "base")


def _choice(option: str, names: tuple[str, ...], what: str) -> Any:
    return typer.Option(option, metavar="NAME", callback=one_of(*names), help=f"{what}: {', '.join(names)}.")


def fit(
    data: Annotated[
        list[str], typer.Argument(metavar="DATA", show_default=False, help="Files of the same columns, a folder, or -.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", show_default=False, help="The model folder to write.")],
    input: Input = None,
    target: Target = None,
    label: Label = None,
    dev: Annotated[
        str | None,
        typer.Option("--dev", metavar="FILE", help="Rows to judge by, instead of some that are held out of DATA."),
    ] = None,
    kind: Annotated[str | None, _choice("--kind", KINDS, "What the data are")] = None,
    objective: Annotated[str | None, _choice("--objective", OBJECTIVES, "What is learned")] = None,
    encoder: Annotated[str | None, _choice("--encoder", ENCODERS, "What learns it")] = None,
    decoder: Annotated[str | None, _choice("--decoder", ENCODERS, "What leads back from a vector")] = None,
    size: Annotated[str | None, _choice("--size", SIZES, "How large it is")] = None,
    latent: Latent = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--from", metavar="CHECKPOINT", help="Begin from the weights of a model folder, or of minilm."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="FILE", help="A recipe.json, instead of the choices above.")
    ] = None,
    settings: Settings = None,
    minutes: Minutes = None,
    steps: Steps = None,
    seed: Seed = None,
    device: Device = None,
    resume: Resume = False,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Learn an encoder from DATA and save it.

    What is not said is chosen by the data: labels are learned, pairs find
    each other, and other texts find their own other half. It takes five
    minutes unless told otherwise.

    raw2vec fit tickets.csv --input body --out tickets
    raw2vec fit pairs.jsonl --input query --target code --out finder
    raw2vec fit reviews.tsv --label stars --encoder transformer --out stars
    raw2vec fit notes.txt --minutes 1 --set encoder.layers=2 --out notes
    raw2vec fit pairs.jsonl --from tickets --input query --target code --out finer
    """
    there(*data, *filter(None, (recipe, checkpoint, dev)), out=out)
    chosen = {"kind": kind, "objective": objective, "encoder": encoder, "decoder": decoder, "latent": latent}
    options, changes = _asked({**chosen, "size": size}, {"minutes": minutes, "steps": steps, "seed": seed}, recipe)
    options |= {"checkpoint": checkpoint} if checkpoint else {}
    changes |= worded(settings or [])
    older = (Path(out) / "recipe.json").exists()
    made = heavy().Raw2Vec(**options, settings=changes or None, device=device)
    with Training() as listener:
        rows = data[0] if len(data) == 1 else _together(data, [name for name in (input, target, label) if name])
        columns = {"input": input, "target": target, "label": label}
        made.fit(rows, **columns, dev=dev, out=out, resume=resume, listener=listener)
    return _answer(made.report, listener, out, older, _reading(made.report, out, data[0], input, target))


def _reading(report: dict[str, Any], out: str, data: str, input: str | None, target: str | None) -> list[str]:
    """The model, the data and their column, as further commands take them; none where the data are gone."""
    words = report.get("kind", "text") in ("text", "pairs")
    column = (words and target) or input  # of pairs the targets are indexed, but words look for what is none
    return [out, data, *(["--input", column] if column else [])] if data != "-" else []


def _asked(chosen: dict[str, Any], budget: dict[str, Any], recipe: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said, as Raw2Vec's own options; and what it changes of a recipe, where one is given."""
    if budget["minutes"] and budget["steps"]:
        raise BadInput("A budget is --minutes or --steps, not both.")
    options = {name: value for name, value in chosen.items() if value is not None}
    if recipe:
        return {"recipe": recipe}, _beside_recipe(options, budget)
    return options | {name: value for name, value in budget.items() if value is not None}, {}


def _together(data: list[str], columns: list[str]) -> Any:
    """Several files as one, in the order they were named."""
    name = gathered(data)
    if name and name.removesuffix(".gz").endswith("}"):  # a language each, which are hardly meant to be one text
        raise BadInput(f"{' and '.join(data)} would be read one after the other. {QUOTED.format(name)}")
    rows = heavy("rows")
    try:
        return rows.Joined(f"{data[0]} and {len(data) - 1} more", [rows.open_rows(place, columns) for place in data])
    except BadInput as error:
        if name:
            raise BadInput(f"{error} {QUOTED.format(name)}") from None
        raise


def _beside_recipe(options: dict[str, Any], budget: dict[str, Any]) -> dict[str, Any]:
    """The settings that a budget or a seed beside a recipe stands for; the recipe chooses everything else itself."""
    if options:
        name = next(iter(options))
        raise BadInput(f"--{name} has no say beside --recipe: change the recipe, or one of its settings with --set.")
    if budget["minutes"]:
        return {"training.steps": None, "training.minutes": budget["minutes"]} | _seed(budget)
    if budget["steps"]:
        return {"training.minutes": None, "training.steps": budget["steps"]} | _seed(budget)
    return _seed(budget)


def _seed(budget: dict[str, Any]) -> dict[str, Any]:
    return {} if budget["seed"] is None else {"seed": budget["seed"]}


def _answer(report: dict[str, Any], heard: Training, out: str, older: bool, reading: list[str]) -> Answer:
    """`older`: there was a model in `out` before. `reading` is the model, the data and its column, as the next command
    takes them; none: the data are gone."""
    speed = round(heard.items / heard.seconds, 1) if heard.seconds else 0.0
    values = {key: value for key, value in report.items() if key != "history"}
    told = f"{out}: learned from {counted(report['items'], 'row')} ({report['held_out']:,} held out)"
    told += f" in {duration(report['seconds'])}, {counted(report['steps'], 'step')}"
    shown: list[RenderableType] = [Text(told)]
    values |= {"replaced": older and not heard.finished_already, "finished_already": heard.finished_already}
    if heard.finished_already:
        shown.append(Text("it was finished already, and nothing was trained: without --resume it is trained anew"))
    elif older:
        shown.append(Text(f"it replaced the model that was in {out}"))
    if report["truncated"]:
        fate = "left out" if report.get("task") == "translation" else "cut"
        shown.append(Text(f"{counted(report['truncated'], 'text', 'were')} longer than the model takes, and {fate}"))
    then: list[str] = []
    if reading:
        then = _next(report, out.rstrip("/"), reading)
    return Answer({**values, "items_per_s": speed, "out": out}, [*shown, Text(""), *scores(report)], then)


def _next(report: dict[str, Any], out: str, reading: list[str]) -> list[str]:
    """The command that shows what such a model is for: `reading` are its arguments."""
    if report.get("task") == "translation":
        return ["translate", out, "FILE"]
    if report.get("task"):  # it was trained on labels
        return ["predict", *reading]
    if report.get("threshold") is not None:  # there is a way back
        return ["reconstruct", *reading, "--out", f"{out}-back{_SHOWN.get(report['kind'], '.txt')}"]
    return ["index", *reading, "--store", f"{out}.store"]


_SHOWN = {"image": ".png", "audio": ".wav", "series": ".csv", "table": ".csv"}
