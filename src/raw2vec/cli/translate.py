"""`raw2vec translate`: lines to their translations, one for one."""

from __future__ import annotations

import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO

import typer
from rich.text import Text

from raw2vec.braces import spread
from raw2vec.cli.base import Answer, Counter, Debug, Json, Model, Seed, counted, heavy, one_of, pace, there
from raw2vec.disk import replacing
from raw2vec.errors import BadInput

LINES = 512  # translated at a time; of what comes through a pipe as many of them as are there
_PIECE = 1 << 16  # bytes of a pipe that are read at once: what it holds
ENGINES = ("auto", "torch", "ctranslate2")
PRECISIONS = ("float32", "int8")
Source = Annotated[str, typer.Argument(metavar="[FILE]", help="A text a line, or - for standard input.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="The file to write, a line for each.")]
Beam = Annotated[
    int | None, typer.Option("--beam", metavar="N", min=1, help="Drafts that are followed at a time (5); 1: greedily.")
]
Best = Annotated[int, typer.Option("--best", metavar="N", min=1, help="Give N drafts of each, with their scores.")]
LengthPenalty = Annotated[
    float, typer.Option("--length-penalty", metavar="A", help="Scores are nats over length to this power.")
]
Temperature = Annotated[
    float, typer.Option("--temperature", metavar="T", min=0.0, help="Above 0: draw tokens, one draft at a time.")
]
CoveragePenalty = Annotated[
    float, typer.Option("--coverage-penalty", metavar="B", min=0.0, help="Above 0: nothing may be left untold.")
]
Beside = Annotated[
    list[str], typer.Option("--with", metavar="MODEL", help="Another that writes with it; more than once.")
]
Begin = Annotated[str | None, typer.Option("--begin", metavar="TEXT", help="How every translation begins.")]
Explain = Annotated[
    str | None, typer.Option("--explain", metavar="TEXT", help="Show how this text is translated; --out: a .png.")
]
Among = Annotated[
    str | None, typer.Option("--among", metavar="FILE", help="Lines; --explain shows which are near a fixed vector.")
]
Engine = Annotated[
    str, typer.Option("--engine", metavar="NAME", callback=one_of(*ENGINES), help="torch, ctranslate2, or auto.")
]
Precision = Annotated[
    str, typer.Option("--precision", metavar="NAME", callback=one_of(*PRECISIONS), help="float32, or int8: faster.")
]


def translate(
    model: Model,
    data: Source = "-",
    out: Out = None,
    beam: Beam = None,
    best: Best = 1,
    length_penalty: LengthPenalty = 1.0,
    temperature: Temperature = 0.0,
    coverage_penalty: CoveragePenalty = 0.0,
    beside: Beside = [],  # noqa: B006
    begin: Begin = None,
    explain: Explain = None,
    among: Among = None,
    engine: Engine = "auto",
    precision: Precision = "float32",
    seed: Seed = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Translate every line of FILE.

    As many lines come out as go in, in their order; an empty line stays
    empty. Lines longer than what was learned from are translated sentence by
    sentence. Where MODEL was exported, CTranslate2 runs it.

    raw2vec translate mt news.en --out news.fr
    echo "a red car" | raw2vec translate mt
    raw2vec translate mt news.en --beam 10 --best 3 --json
    raw2vec translate mt news.en --with mt.second --with mt.third
    raw2vec translate mt news.en --precision int8
    raw2vec translate mt news.en --engine ctranslate2
    raw2vec translate mt --explain "a red car" --out looks.png
    """
    if explain is not None and data != "-":
        raise BadInput(f"--explain takes the text itself: give either that or the file {data}.")
    if among is not None and explain is None:
        raise BadInput("--among is of --explain TEXT: the lines of which the nearest to its vector are shown.")
    there(model, data, *([among] if among else []), out=out)
    if spread(data) or Path(data).is_dir():
        raise BadInput(f"{data} is not one file, and translate reads one, a text a line: name that of the source.")
    write = heavy("use.write")
    if explain is not None:
        lines = [line for block in _blocks(among) for line in block] if among else []
        answer: Answer = heavy("cli.explained").explained(heavy().load(model), explain, beam or write.BEAM, out, lines)
        return answer
    beam = write.beam_for(best, temperature) if beam is None else beam
    manner = write.Manner(beam, length_penalty, best, temperature, seed or 0, coverage_penalty=coverage_penalty)
    return _translated([model, *beside], data, out, manner, begin, engine, precision, as_json)


def _translated(
    models: list[str],
    data: str,
    out: str | None,
    manner: Any,
    begin: str | None,
    engine: str,
    precision: str,
    as_json: bool,
) -> Answer:
    """Every line of `data`, written by the first of these models and those beside it."""
    rounded = heavy("use.translate").rounded if precision == "int8" else lambda parts: parts
    others = [rounded(heavy().load(each).parts_) for each in models[1:]]
    with _opened(models[0], engine, precision) as (parts, engine):
        work = _Work(parts, others, manner, begin, kept=as_json and out is None)
        began = time.perf_counter()
        with replacing(Path(out)) if out else nullcontext() as partial, Counter(doing="translating") as progress:
            if partial is None:
                work.run(data, _said if not as_json else lambda line: None, progress)
            else:
                with open(partial, "w", encoding="utf-8") as file:
                    work.run(data, lambda line: file.write(line + "\n"), progress)
    values = {**work.values(), "engine": engine, "out": out, **pace(work.lines, time.perf_counter() - began)}
    if out is None:  # the lines themselves are on standard output
        for told in _told(work):
            warnings.warn(told, stacklevel=2)
        return Answer(values, [])
    return Answer(values, [Text(told) for told in (f"{out}: {counted(work.lines, 'line')}", *_told(work))])


@contextmanager
def _opened(model: str, engine: str, precision: str) -> Iterator[tuple[Any, str]]:
    """What `use.translate` takes, and the name of the engine that runs it. BadInput where that one cannot."""
    theirs, place = heavy("interchange.ctranslate2"), Path(model)
    if theirs.is_export(place):
        if engine == "torch":
            raise BadInput(f"{model} was exported for CTranslate2, and PyTorch cannot run it: name the model itself.")
        if precision == "int8":
            raise BadInput(f"{model} keeps the precision it was exported in: export with --quantization int8.")
        yield theirs.Exported(place), "ctranslate2"
        return
    parts = heavy().load(model).parts_
    if engine != "ctranslate2":
        yield heavy("use.translate").rounded(parts) if precision == "int8" else parts, "torch"
        return
    with TemporaryDirectory() as temporary:
        theirs.export(parts, Path(temporary, "exported"), precision)
        yield theirs.Exported(Path(temporary, "exported")), engine


class _Work:
    """Lines in, lines out; and what there is to say of them afterwards."""

    def __init__(self, parts: Any, others: list[Any], manner: Any, begin: str | None, kept: bool):
        self.model, self.others, self.manner, self.begin, self.kept = parts, others, manner, begin, kept
        self.lines = self.parts = self.truncated = self.lost = 0
        self.made: list[Any] = []

    def run(self, data: str, write: Callable[[str], object], progress: Callable[[int], None]) -> None:
        translate = heavy("use.translate").translate
        for block in _blocks(data):
            prefixes = None if self.begin is None else [self.begin] * len(block)
            for found in translate(self.model, block, self.manner, prefixes, beside=self.others, first=self.lines):
                self._add(found, write)
            progress(len(block))

    def _add(self, found: Any, write: Callable[[str], object]) -> None:
        self.lines += 1
        self.parts += found.parts > 1
        self.truncated += found.truncated > 0
        self.lost += bool(found.lost)
        drafts = list(zip(found.scores, found.texts, strict=True))
        one = self.manner.best == 1
        if self.kept:  # or else memory would grow with the file
            self.made.append(found.text if one else [{"text": text, "score": score} for score, text in drafts])
        for score, text in drafts:
            line = re.sub(r"[\r\n]+", " ", text)  # or it would be two
            write(line if one else f"{self.lines}\t{score:.4f}\t{line}")

    def values(self) -> dict[str, Any]:
        """What a program is told."""
        counts = {"items": self.lines, "parts": self.parts, "truncated": self.truncated, "lost": self.lost}
        return counts | ({"translations": self.made} if self.kept else {})


def _blocks(data: str) -> Iterator[list[str]]:
    """The lines of a file, perhaps gzipped, or of standard input, some at a time. BadInput, by its number, for one that
    is no text."""
    name, first = "standard input" if data == "-" else data, 1
    with nullcontext(sys.stdin.buffer) if data == "-" else heavy("rows.base").opened(Path(data), name) as stream:
        for block in _arriving(stream) if data == "-" else iter(lambda: list(islice(stream, LINES)), []):
            yield [_text(line, name, number) for number, line in enumerate(block, first)]
            first += len(block)


def _arriving(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a stream as they come: whoever writes one and waits for its answer gets it."""
    begun: list[bytes] = []
    while piece := stream.read1(_PIECE):  # type: ignore[attr-defined]
        *lines, rest = piece.split(b"\n")
        if lines:
            lines[0], begun = b"".join([*begun, lines[0]]), []
            turns = -(-len(lines) // LINES)
            yield from (lines[len(lines) * turn // turns : len(lines) * (turn + 1) // turns] for turn in range(turns))
        begun.append(rest)
    if last := b"".join(begun):
        yield [last]


def _text(line: bytes, name: str, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{name} line {number} is not UTF-8: convert the file first.") from None
    if "\0" in text:
        raise BadInput(f"{name} line {number} holds a NUL, which no text does: mend or leave out the line.")
    return text.rstrip("\r\n")


def _said(line: str) -> None:
    print(line, flush=True)


def _told(work: _Work) -> list[str]:
    """What there is to say of how the lines were translated."""
    told = []
    if work.parts:
        told.append(f"{counted(work.parts, 'line', 'were')} longer than what was learned from: by sentences")
    if work.truncated:
        told.append(f"{counted(work.truncated, 'line', 'were')} longer than the model takes, and cut")
    if work.lost:
        told.append(f"in {counted(work.lost, 'line')} the model left out placeholders: they are at the end now")
    return told
