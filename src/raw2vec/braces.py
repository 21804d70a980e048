"""One name for files that go side by side, as a shell writes it: train.{en,fr} is train.en and train.fr."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_BRACES = re.compile(r"([^{}]*)\{([^{}]*,[^{}]*)\}([^{}]*)")
_LAST_WORD = re.compile(r"(.*?[./_-])([^./_-]+)((?:\.txt)?(?:\.gz)?)")


def spread(name: str | Path) -> list[tuple[str, str]]:
    """What stands in the braces of a name, each with the file that it makes; nothing for a name without braces.

    Nor is there anything for a file or folder that is really called so.
    """
    found = _BRACES.fullmatch(str(name))
    if found is None or os.path.exists(name):
        return []
    words = [word.strip() for word in found[2].split(",")]
    return [(word, f"{found[1]}{word}{found[3]}") for word in words]


def files(name: str | Path) -> list[str]:
    """The files that a name stands for: those of its braces, or the one of that name."""
    return [file for _, file in spread(name)] or [str(name)]


def gathered(names: Sequence[str]) -> str | None:
    """The one name in braces of text files that differ in the last word of theirs; None for others.

    A shell takes a name that is not quoted apart into these.
    """
    parts = [found.groups() for name in names if (found := _LAST_WORD.fullmatch(name))]
    words = [word for _, word, _ in parts]
    if len(words) != len(names) or len(set(words)) < len(words) or len({part[::2] for part in parts}) != 1:
        return None
    before, _, after = parts[0]
    return f"{before}{{{','.join(words)}}}{after}"
