"""Options: the same name means the same thing in every command, and a wrong value is told before the work begins."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from raw2vec.braces import files
from raw2vec.cli.base.base import heavy
from raw2vec.disk import refuse_source
from raw2vec.errors import BadInput, meant, nearest
from raw2vec.packaged import HUB, PACKAGED, packaged

QUOTED = "If they go line by line, put their one name in quotes: '{}'."  # or the shell takes it apart


def one_of(*names: str) -> Callable[[str | None], str | None]:
    """A callback that takes these words only, and names the nearest for any other."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"there is no '{value}', only {', '.join(names)}.{nearest(value, names)}")
        return value

    return check


def above_zero(value: float | None) -> float | None:
    """A callback that takes numbers above zero only."""
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a number above 0.")
    return value


Input = Annotated[str | None, typer.Option("--input", metavar="COL", help="The column that is encoded.")]
Target = Annotated[str | None, typer.Option("--target", metavar="COL", help="The column it is paired with.")]
Label = Annotated[str | None, typer.Option("--label", metavar="COL", help="The column of classes, labels or numbers.")]
Side = Annotated[
    str | None,
    typer.Option(
        "--side",
        metavar="input|target",
        callback=one_of("input", "target"),
        help="Whose encoder reads it, of pairs whose sides have one each; none: by what it is.",
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="For draws: same seed, same result.")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", metavar="M", callback=above_zero, help="Budget in minutes.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", metavar="N", callback=above_zero, help="Budget in steps, instead.")
]
Latent = Annotated[int | None, typer.Option("--latent", metavar="N", callback=above_zero, help="Numbers in a vector.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe.")
]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda or cuda:1.")]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", metavar="WORDS|NAME", help="Before every text: words, or a prompt the model knows."),
]
Resume = Annotated[bool, typer.Option("--resume", metavar="", help="Go on where a run that was stopped left off.")]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", show_default=False, help="A folder that `raw2vec fit` made, or a checkpoint.")
]
Data = Annotated[str, typer.Argument(metavar="DATA", show_default=False, help="A file or a folder, or - for stdin.")]
# `--json` and `--debug` are obeyed by `app.Commands` before a command runs; commands name them so that help shows them.
Json = Annotated[
    bool, typer.Option("--json", metavar="", help="One JSON object on standard output, all else on stderr.")
]
Debug = Annotated[bool, typer.Option("--debug", metavar="", help="Show where an error came from.")]


def chosen(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def there(*places: str, out: str | None = None) -> None:
    """BadInput for a file or folder that is not there, before anything slow begins. '-' and addresses pass.

    out: where the command will write, which must be a place for it, and not what it reads.
    """
    if out is not None:
        _refuse_stream(out)
        refuse_source(out, *places)
    for place in places:
        for file in (named := files(place)):
            _there(file, named)


def _refuse_stream(out: str) -> None:
    """BadInput for standard output, a pipe or a device, which what takes its name in one step would replace."""
    place = os.path.isfile(out) or os.path.isdir(out) or not os.path.exists(out)
    if out == "-" or out.startswith(("/dev/std", "/dev/fd/")) or not place:
        raise BadInput(f"'{out}' is no place to write to: name a file or a folder, as the command's --help has it.")


def _there(place: str, others: Sequence[str]) -> None:
    """`others` stand in one name with the place, and are not what was meant by it."""
    path = Path(place)
    aside = path.parent / f".{path.name}.old"  # a model whose successor was killed as it took the place
    if (place in PACKAGED or place.startswith(HUB)) and packaged(place):
        return
    if place != "-" and "://" not in place and not path.exists() and not aside.is_dir():
        raise BadInput(f"There is no file or folder '{place}'.{meant(path, [*map(Path, others)], PACKAGED)}")


def opened(model: str) -> Any:
    """The model of a folder or of a name; or what was exported for another engine, which gives vectors alone."""
    if (Path(model) / "encode.json").is_file():
        return heavy("system.exported").Exported(model)
    return heavy().load(model)
