"""The command line, `raw2vec`: arguments to the facade, what it finds to a person or, with --json, to a program."""

from importlib.metadata import version
from typing import Annotated

import typer

from raw2vec.cli.app import Commands
from raw2vec.cli.bench import bench
from raw2vec.cli.calibrate import calibrate
from raw2vec.cli.demo import demo
from raw2vec.cli.distill import distill
from raw2vec.cli.evaluate import evaluate
from raw2vec.cli.export import export
from raw2vec.cli.fit import fit
from raw2vec.cli.generate import interpolate, reconstruct, sample
from raw2vec.cli.group import group
from raw2vec.cli.inspect import inspect
from raw2vec.cli.map import map_page
from raw2vec.cli.predict import predict
from raw2vec.cli.score import score
from raw2vec.cli.search import search
from raw2vec.cli.translate import translate
from raw2vec.cli.vectors import embed, index

app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode="rich")
COMMANDS = (
    fit,
    embed,
    index,
    search,
    predict,
    map_page,
    group,
    translate,
    reconstruct,
    sample,
    interpolate,
    score,
    evaluate,
    inspect,
    bench,
    distill,
    calibrate,
    export,
    demo,
)
for command in COMMANDS:
    app.command("map" if command is map_page else None)(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"raw2vec {version('raw2vec')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    wanted: Annotated[
        bool, typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Encoders of your own data: train them, run them, search with them. Offline, on a CPU or a GPU.

    raw2vec fit tickets.csv --input body --out tickets
    raw2vec index tickets tickets.csv --store tickets.store
    raw2vec search tickets.store "the printer is on fire"

    DATA is a csv, tsv, jsonl, parquet or txt file, a folder of files, texts
    that go line by line ('train.{en,fr}'), or - for standard input. Exit
    codes: 0 done, 1 failed while working, 2 unusable data or arguments, 130
    stopped by Ctrl-C.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """What the installed `raw2vec` runs."""
    typer.main.get_command(app).main()


__all__ = ["app", "main"]
