"""From arguments to an answer or one sentence: the exit codes, JSON and errors of every command in one place."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from typing import Any, NoReturn, TextIO

import typer
from rich.text import Text
from typer.core import TyperGroup

from raw2vec.addresses import shown
from raw2vec.braces import gathered
from raw2vec.cli.base import QUOTED, Answer, begun, console, one_line, speaks
from raw2vec.errors import BadInput, MissingExtra, Raw2VecError, nearest, plainly

DONE, FAILED, UNUSABLE, STOPPED = 0, 1, 2, 130  # the exit codes; 130 is what a shell gives Ctrl-C
RESUMABLE = ("fit", "distill", "embed", "index")
# The operating system's words, which safetensors and Arrow pass on, and NumPy's for a file that got no more bytes.
DISK_FULL = ("No space left on device", " requested and ")


class Commands(TyperGroup):
    """The commands under one roof: each gives an `Answer`, which is printed here, and every error ends here."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs a command and leaves with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        sys.exit(_run(lambda: super(Commands, self).main(words, "raw2vec", standalone_mode=False), words))


def _run(work: Callable[[], Any], words: list[str]) -> int:
    options = words[: words.index("--")] if "--" in words else words
    out = sys.stdout if "--json" in options else None
    debug = "--debug" in options or os.environ.get("RAW2VEC_DEBUG", "0") not in ("", "0")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows a question mark
    try:
        # In JSON, standard output holds the object and nothing else, whatever a library prints.
        with calm_warnings(), redirect_stdout(sys.stderr) if out else nullcontext():
            given = work()
        if given == STOPPED:
            raise KeyboardInterrupt
        if isinstance(given, Answer) and speaks():
            _print(given, out)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hung_up()
    except (KeyboardInterrupt, typer.Abort):
        return _fail(_stopped(words), STOPPED, out)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _fail(*sentence(error), out)
    return given if isinstance(given, int) else DONE


def sentence(error: Exception) -> tuple[str, int]:
    """What an error says to a person, and its exit code."""
    if isinstance(error, typer.TyperException):
        return _usage(error), UNUSABLE
    if isinstance(error, Raw2VecError):
        return str(error), UNUSABLE if isinstance(error, BadInput | MissingExtra) else FAILED
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; a smaller model or shorter texts need less.", FAILED
    if any(words in str(error) for words in DISK_FULL):
        return "There is no space left on the disk. Make room and try again, with --resume where there is one.", FAILED
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}.", FAILED
    told = str(error).strip().split("\n")[0] or "no reason was given"
    return f"Something went wrong inside: {type(error).__name__}: {told}. --debug shows where.", FAILED


@contextmanager
def calm_warnings() -> Iterator[None]:
    """Python's warnings as one line each on standard error; one of our own kinds is said once."""
    said: set[object] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        kind: object = category if category.__module__.startswith("raw2vec.") else (category, str(message))
        if kind not in said:
            said.add(kind)
            console(stderr=True).print(Text(f"raw2vec: note: {one_line(str(message))}"), soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _usage(error: typer.TyperException) -> str:
    """Typer's complaint, with the nearest option there is, and where to read more."""
    context = getattr(error, "ctx", None)
    told = _typed(error.format_message().strip().rstrip("."))
    unknown = getattr(error, "option_name", None)
    if unknown and "No such option" in told and context is not None:
        known = [name for parameter in context.command.params for name in parameter.opts if name.startswith("-")]
        told = f"There is no option '{unknown}'.{nearest(unknown, known)}"
    extra = re.search(r"extra argument\S* \((.+)\)$", told)
    if extra and context is not None and (name := gathered([str(context.params.get("data")), *extra[1].split()])):
        told = f"{told}. {QUOTED.format(name)}"
    end = "" if told.endswith(("?", ".")) else "."
    more = f" See: {context.command_path} --help" if context is not None else ""
    return f"{told}{end}{more}"


def _typed(told: str) -> str:
    """'--minutes should be a number' for what pydantic, which reads typer's numbers, says of a value and its limits."""
    named = re.sub(r"^Invalid value for '([^']+)': Input should be ", r"\1 should be ", told)
    limited = named.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    return plainly(limited) if named != told else told


def _stopped(words: list[str]) -> str:
    if not words or words[0] not in RESUMABLE:
        return "stopped."
    if not begun(words):
        return "stopped; nothing was written."
    if "--resume" not in words:
        end = words.index("--") if "--" in words else len(words)
        words = [*words[:end], "--resume", *words[end:]]
    return f"stopped; what was done is kept. Go on with: {shlex.join(['raw2vec', *map(shown, words)])}"


def _fail(told: str, code: int, out: TextIO | None) -> int:
    if code == UNUSABLE and not speaks():  # processes that were started together all meet it
        return code
    console(stderr=True).print(Text(f"raw2vec: {one_line(told)}"), soft_wrap=True)
    try:
        if out:
            print(json.dumps({"error": told}), file=out, flush=True)
    except BrokenPipeError:
        return _hung_up()
    return code


def _print(answer: Answer, out: TextIO | None) -> None:
    if out:
        print(answer.json_text(), file=out, flush=True)
        return
    screen = console()
    for part in answer.shown:
        screen.print(part, soft_wrap=isinstance(part, Text))
    if answer.then:
        screen.print(Text(f"\nnext: {shlex.join(['raw2vec', *answer.then])}"), soft_wrap=True)


def _hung_up() -> int:
    """The reader of a pipe has seen enough (`| head`): nobody is left to be told."""
    with suppress(OSError):  # what stands in for standard output in a test has no file number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
