"""What the command line says in the same words everywhere, and its way to PyTorch."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def heavy(module: str = "system") -> ModuleType:
    """A module of raw2vec that brings PyTorch along.

    PyTorch takes a second or more to import, and `--help` and wrong arguments have to be answered at once: this is the
    only place where the command line reaches it, and it is reached when a command runs.
    """
    return import_module(f"raw2vec.{module}")


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


def one_line(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return "".join(mark if mark.isprintable() else " " for mark in " ".join(text.split()))
