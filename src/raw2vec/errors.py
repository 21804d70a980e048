"""What goes wrong, in sentences: every error says what, where and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any


class Raw2VecError(Exception):
    """The base of every error raised on purpose. Its message is one clear sentence or two, meant for the user."""


class BadInput(Raw2VecError, ValueError):
    """Unusable data, arguments or options. The command line answers it with exit code 2."""


class BadFolder(BadInput):
    """A model folder, checkpoint or store that is absent, damaged or not ours."""


class Unreadable(BadInput):
    """An item whose file cannot be read. `path`: where it is, if it has a place; `reason`: why, in a few words.

    Where there are so many items that a broken one must not cost a long run, it is noted instead: see `spared`.
    """

    def __init__(self, sentence: str, item: Any, reason: str):
        super().__init__(sentence)
        self.path, self.reason = _path_of(item), reason


class Unwritable(BadInput):
    """A file, folder or store that cannot be written: the disk is full, or the place is not to be written to."""


class Unreachable(BadInput):
    """A bucket or a server that does not answer, or does not let one in."""


class WrongSpace(BadInput):
    """Vectors, a store or a model of another space (their fingerprints differ)."""


class MissingExtra(Raw2VecError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'raw2vec[{extra}]'")


class NonFinite(Raw2VecError, ArithmeticError):
    """A loss, gradient or vector is NaN or infinite; the message names the item, the layer and the step."""


class TruncationWarning(UserWarning):
    """Some texts were longer than the model takes and were cut."""


class EmptyTextWarning(UserWarning):
    """Some texts hold nothing that can be read; their vectors are zeros."""


class Numbered:
    """Items with the numbers that an error is to name them by, as rows have them when some are left out.

    unreadable: where those are noted, by their numbers, that cannot be read; None: the first of them is an error.
    """

    def __init__(self, pairs: Iterable[tuple[int, Any]], unreadable: dict[int, Unreadable] | None = None):
        self.pairs, self.unreadable = pairs, unreadable

    def __iter__(self) -> Iterator[Any]:
        return (item for _, item in self.pairs)


class NumberedList(list[Any]):
    """The same of items in memory: some of a file's rows, with the numbers that these have in the whole of it."""

    def __init__(self, numbers: Sequence[int], items: Iterable[Any], unreadable: dict[int, Unreadable] | None = None):
        super().__init__(items)
        self.numbers, self.unreadable = numbers, unreadable

    def part(self, start: int, stop: int) -> NumberedList:
        """Some of them, which note what cannot be read where all do."""
        return NumberedList(self.numbers[start:stop], self[start:stop], self.unreadable)


def numbered(items: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    """Every item after its number: its own where it has one, else its place."""
    if isinstance(items, NumberedList):
        return zip(items.numbers, items, strict=True)
    return items.pairs if isinstance(items, Numbered) else enumerate(items)


def spare(items: Iterable[Any], number: int, error: Unreadable) -> None:
    """Notes that this one of the items cannot be read, where they may hold such; else raises the error."""
    unreadable: dict[int, Unreadable] | None = getattr(items, "unreadable", None)
    if unreadable is None:
        raise error
    unreadable[number] = error


def spared(items: Iterable[Any]) -> list[int]:
    """The places of the items that were noted as unreadable."""
    unreadable = getattr(items, "unreadable", None)
    return [place for place, (number, _) in enumerate(numbered(items)) if number in unreadable] if unreadable else []


def place_of(item: Any) -> str:
    """' (cat.png)' of an item that has a path, to stand after what it is called; else ''."""
    path = _path_of(item)
    return "" if path is None else f" ({path})"


def _path_of(item: Any) -> str | None:
    path = item.get("path") if isinstance(item, Mapping) else item
    return os.fspath(path) if isinstance(path, str | os.PathLike) else None


def called(items: Sequence[Any], *places: int) -> str:
    """What to call items in an error: 'row 16390, 16391' where it is known which ones they are, else 'item 5, 6'."""
    if isinstance(items, NumberedList):
        return f"row {', '.join(str(items.numbers[place]) for place in places)}"
    return f"item {', '.join(map(str, places))}"


def plainly(complaint: str) -> str:
    """Pydantic's complaint about a value that is not of its type, in fewer and plainer words."""
    for told, plain in (("integer", "a whole number"), ("number", "a number"), ("boolean", "true or false")):
        complaint = re.sub(rf"a valid {told}\b.*", plain, complaint)
    return complaint


def nearest(word: str, known: Iterable[str]) -> str:
    """' Did you mean 'body'?' for the known name nearest to `word`, or '' when none is near."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def meant(path: Path, others: Iterable[Path] = (), known: Iterable[str] = ()) -> str:
    """What was meant by a path that is not there, as ' Did you mean 'data/body.csv'?', or how to name what a pattern
    stands for; '' where nothing is near. `others` beside it are not what was meant; `known` are names of no folder."""
    if set(str(path)) & set("*?"):
        folder = next(folder for folder in path.parents if not set(str(folder)) & set("*?"))
        files = folder / f"{{a,b}}{path.suffix}"
        return f" A pattern is not read: name the folder {folder}, which is read whole, or files of it as '{files}'."
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    names = {found.name: str(found) for found in beside if found not in others} | {name: name for name in known}
    close = get_close_matches(path.name, list(names), n=1, cutoff=0.6)
    return f" Did you mean '{names[close[0]]}'?" if close else ""
