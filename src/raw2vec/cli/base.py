"""What every command shares: its options, its answer for a person or a program, progress, and the way to PyTorch."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Self

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from raw2vec.braces import files
from raw2vec.disk import refuse_source
from raw2vec.errors import BadInput, nearest
from raw2vec.packaged import HUB, PACKAGED, packaged

LINE_EVERY = 10.0  # seconds between lines where progress cannot be drawn over itself
QUOTED = "If they go line by line, put their one name in quotes: '{}'."  # or the shell takes it apart


def heavy(module: str = "system") -> ModuleType:
    """A module of raw2vec that brings PyTorch along.

    PyTorch takes a second or more to import, and `--help` and wrong arguments have to be answered at once: this is the
    only place where the command line reaches it, and it is reached when a command runs.
    """
    return import_module(f"raw2vec.{module}")


def opened(model: str) -> Any:
    """The model of a folder or of a name; or what was exported for another engine, which gives vectors alone."""
    if (Path(model) / "encode.json").is_file():
        return heavy("exported").Exported(model)
    return heavy().load(model)


# -- options: the same name means the same thing in every command -------------------------------------------------


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

    out: where the command will write, which must not be what it reads.
    """
    if out is not None:
        refuse_source(out, *places)
    for place in places:
        for file in (named := files(place)):
            _there(file, named)


def _there(place: str, others: Sequence[str]) -> None:
    """`others` stand in one name with the place, and are not what was meant by it."""
    path = Path(place)
    aside = path.parent / f".{path.name}.old"  # a model whose successor was killed as it took the place
    if (place in PACKAGED or place.startswith(HUB)) and packaged(place):
        return
    if place != "-" and "://" not in place and not path.exists() and not aside.is_dir():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest(path.name, [*(found.name for found in beside if found not in map(Path, others)), *PACKAGED])
        raise BadInput(f"There is no file or folder '{place}'.{near}")


# -- answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a command has found: `values` for a program, `shown` for a person, `then` what to type after `raw2vec`."""

    values: dict[str, Any]
    shown: list[RenderableType] = field(default_factory=list)
    then: Sequence[str] = ()

    def json_text(self) -> str:
        """One JSON object. Every command's has the same keys first."""
        keys = {"metrics": {}, "baselines": {}, "items": 0, "seconds": 0.0, "items_per_s": 0.0}
        keys |= {"engine": "torch", "truncated": 0, "out": None}
        return json.dumps(plain({**keys, **self.values}), allow_nan=False)


def plain(value: Any) -> Any:
    """The value as JSON can hold it: numbers that are not finite become null, NumPy's become Python's."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def pace(items: int, seconds: float) -> dict[str, Any]:
    """The keys that say how fast it went."""
    return {"seconds": round(seconds, 3), "items_per_s": round(items / seconds, 1) if seconds > 0 else 0.0}


def grid(rows: Iterable[Sequence[str]], strong: int | None = None, shrink: int | None = None) -> Table:
    """Rows of strings under the first one as a heading. Column `strong` stands out; column `shrink` gives way to the
    others on a narrow terminal. Columns in which every cell begins with a digit are set right."""
    heading, *body = [[one_line(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for place, title in enumerate(heading):
        numbers = bool(body) and all(row[place][:1].isdigit() or row[place][:1] in "-–" for row in body)
        side = {"overflow": "ellipsis", "no_wrap": True} if place == shrink else {"no_wrap": shrink is not None}
        style = "bold" if place == strong else None
        table.add_column(Text(title), justify="right" if numbers else "left", style=style, **side)
    for row in body:
        table.add_row(*map(Text, row))
    return table


def scores(report: dict[str, Any]) -> list[RenderableType]:
    """The model beside its baselines, and a sentence for each that it does not clearly beat."""
    metrics, intervals = report.get("metrics") or {}, report.get("intervals") or {}
    contestants = {"this model": metrics, **(report.get("baselines") or {})}
    heading = [report.get("protocol") or "", *contestants]
    rows = [[metric, *(_figure(found.get(metric)) for found in contestants.values())] for metric in metrics]
    if intervals:
        heading.insert(2, "95% interval")
        for row in rows:
            row.insert(2, _span(intervals.get(row[0])))
    table = [grid([heading, *rows], strong=1)] if rows else []
    signature = [Text(report["signature"], style="dim")] if report.get("signature") else []
    return [*table, *_lengths(report.get("by_length") or []), *signature, *notes(report.get("notes") or [])]


def _lengths(brackets: Sequence[dict[str, Any]]) -> list[RenderableType]:
    """How a translation's score fares with the length of the source."""
    heading = ["words of the source", "bleu", "95% interval", "items"]
    rows = [
        [found["words"], _figure(found["bleu"]), _span(found["interval"]), f"{found['items']:,}"] for found in brackets
    ]
    return [Text(), grid([heading, *rows], strong=1)] if rows else []


def notes(sentences: Iterable[str]) -> list[RenderableType]:
    """What a reader must know, a line each."""
    return [Text(f"note: {one_line(note)}", style="yellow") for note in sentences]


def replaced(names: Sequence[str]) -> list[RenderableType]:
    """A word on columns of DATA that gave way to new ones of the same names."""
    return notes([f"DATA's own {' and '.join(map(repr, names))} gave way to what was found"] if names else [])


def one_line(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return "".join(mark if mark.isprintable() else " " for mark in " ".join(text.split()))


def _span(interval: Sequence[float | None] | None) -> str:
    """From where to where; a single dash where there is no interval, or one without ends."""
    ends = {_figure(end) for end in interval or ()}
    return "–" if ends <= {"–"} else "–".join(map(_figure, interval or ()))


def _figure(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    small = 0 < abs(value) < 0.1  # of a squared error of 0.00662, too, three digits are to be seen
    return f"{value:.{min(2 - math.floor(math.log10(abs(value))), 6) if small else 3}f}"


# -- progress -----------------------------------------------------------------------------------------------------


def console(stderr: bool = False, markup: bool = False) -> Console:
    """Where to print: words are taken as they are, and nothing is cut to 80 columns where no terminal is."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else 200
    return Console(stderr=stderr, markup=markup, emoji=False, highlight=False, width=width)


def speaks() -> bool:
    """Whether it is this process that tells of the work: of those that torchrun has started together the first."""
    return os.environ.get("RANK", "0") == "0"


class Reporter:
    """Shows how work goes on standard error: one line drawn over itself on a terminal, else a line at times."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.began = clock, clock()
        self.console = console(stderr=True)
        self.live = speaks() and sys.stderr.isatty() and not self.console.is_dumb_terminal
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24))
        status = TextColumn("{task.fields[status]}", markup=False)
        self.bar = Progress(
            *columns, TaskProgressColumn(show_speed=False), status, console=self.console, transient=True
        )
        self.task = self.bar.add_task("Reading", total=None, status="") if self.live else None
        self.last = self.began

    def __enter__(self) -> Self:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bar.stop()

    def show(self, what: str, status: str = "", share: float | None = None, now: bool = False) -> None:
        """`share` (0 to 1) of `what` is done. Without a terminal it is a line when `now`, or when one is due."""
        if self.task is not None:
            done = None if share is None else min(share, 1.0)
            total = None if share is None else 1.0
            self.bar.update(self.task, description=what, status=status, completed=done, total=total)
        elif now or self.clock() - self.last >= LINE_EVERY:
            self.last = self.clock()
            told = [duration(self.last - self.began), what, "" if share is None else f"{min(share, 1.0):.0%}", status]
            self.console.print("  ".join(filter(None, told)))


class Counter(Reporter):
    """Hears how many items were just done: the `progress` of embedding, indexing and all that is one long `doing`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, doing: str = "encoding"):
        super().__init__(clock)
        self.items, self.doing = 0, doing

    def __call__(self, items: int) -> None:
        self.items += items
        seconds = max(self.clock() - self.began, 1e-9)
        self.show(self.doing, f"{self.items:,} items  {self.items / seconds:,.0f} items/s")


class Training(Reporter):
    """Hears the events of a fit: its phases, each step's losses, each check's held-out loss."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        super().__init__(clock)
        self.first: tuple[float, float] | None = None
        self.stage, self.loss, self.items, self.seconds = "", math.nan, 0, 0.0
        self.held_out: float | None = None
        self.scores: dict[str, float] = {}
        self.finished_already = False

    def __call__(self, event: Any) -> None:
        if isinstance(event, heavy("train.base").Phase):
            self.finished_already = event == heavy("train.base").FINISHED
            self.show(event.name, now=True)
            return
        if event.stage != self.stage:
            self.stage, self.loss, self.held_out, self.scores = event.stage, math.nan, None, {}
        if event.held_out is not None:
            self.held_out, self.scores = event.held_out, event.scores
        if event.losses:
            value = next(iter(event.losses.values()))
            self.loss = value if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * value
        self.items, self.seconds = self.items + event.items, self.seconds + event.seconds
        self.first = self.first or (self.clock(), event.share)
        self.show(event.stage, self._status(event), event.share, now=event.held_out is not None)

    def _status(self, event: Any) -> str:
        parts = [f"step {event.step:,}"]
        if not math.isnan(self.loss):
            parts.append(f"loss {self.loss:.3f}")
        if self.held_out is not None:
            parts.append(f"held out {self.held_out:.3f}")
        parts += [f"{name} {score:.1f}" for name, score in self.scores.items()]
        if self.seconds:
            parts.append(f"{self.items / self.seconds:,.0f} items/s")
        since, share = self.first or (0.0, 0.0)
        if event.share > share:
            left = (self.clock() - since) / (event.share - share) * max(1 - event.share, 0)
            parts.append(f"{duration(left)} left")
        return "  ".join(parts)


def counted(number: int, noun: str, verb: str = "") -> str:
    """'1 row', '1,200 rows'; with the verb of several, 'are' or 'were', '1 row is', '3 rows are'."""
    said = f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
    alone = {"are": " is", "were": " was"}
    return said + (alone[verb] if verb and number == 1 else f" {verb}" if verb else "")


def duration(seconds: float) -> str:
    """0:07, 12:30 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
