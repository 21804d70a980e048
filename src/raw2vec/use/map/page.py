"""The page itself: points, pictures and words in one file that needs no network."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raw2vec.use.map.base import Sheets

_MOST_NAMES = 60_000  # what 16 bits count, and a little less
_FEW = 16  # names that have a colour of their own


@dataclass(frozen=True)
class Colouring:
    """What points can be coloured by: kind "label" and "cluster" have a name for each value (n,), "number" values."""

    name: str
    kind: Literal["label", "cluster", "number"]
    values: NDArray[Any]
    names: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Colouring:
        """Numbers where all that are there are floats or many whole numbers, else names.

        A few names are in their order; of many the commonest come first.
        """
        there = [value for value in values if value is not None]
        plain = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
        if there and plain and (any(isinstance(v, float) for v in there) or len(set(there)) > 30):
            return cls(name, "number", np.array([np.nan if v is None else v for v in values], np.float32))
        words = ["–" if value is None else str(value) for value in values]
        names = [word for word, _ in Counter(words).most_common(_MOST_NAMES)]
        names = sorted(names, key=_natural) if len(names) <= _FEW else names
        place = {word: number for number, word in enumerate(names)}
        return cls(name, "label", np.array([place.get(w, len(names) - 1) for w in words], np.uint16), names)

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "names": self.names}
        found["values"] = packed(self.values)
        if self.kind == "number":
            there = self.values[np.isfinite(self.values)]
            found |= {"low": float(there.min(initial=np.inf)), "high": float(there.max(initial=-np.inf))}
        return found


@dataclass(frozen=True)
class Content:
    """All that a page shows of n items.

    points (n, 2); neighbours (n, k) and their cosines (n, k); rows (n,) their numbers in the data; texts and names (n,)
    what they say and what they are called, empty where nothing is; sounds by place.
    """

    title: str
    about: str
    points: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    cosines: NDArray[np.float32]
    rows: list[int]
    texts: list[str]
    names: list[str]
    colours: list[Colouring]
    thumbnails: Sheets | None
    sounds: dict[int, str]


def page(content: Content) -> str:
    """The page's HTML."""
    low, high = content.points.min(axis=0), content.points.max(axis=0)
    # One scale for both axes, so that distances mean the same across and up; the narrower lies in the middle.
    wide = float(max((high - low).max(), 1e-9))
    placed = (content.points - (low + high) / 2) / wide + 0.5
    count, k = content.neighbours.shape
    told = {
        "count": count,
        "k": k,
        "about": content.about,
        "points": packed(np.rint(placed.clip(0, 1) * 65535).astype("<u2")),
        "neighbours": packed(content.neighbours.astype("<u4")),
        "cosines": packed(np.rint(content.cosines * 32767).astype("<i2")),
        "rows": content.rows,
        "texts": content.texts,
        "names": content.names,
        "colours": [one.as_dict() for one in content.colours],
        "thumbnails": asdict(content.thumbnails) if content.thumbnails else None,
        "sounds": content.sounds,
    }
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    # Within a script nothing may look like its end, nor like the beginning of a comment.
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    parts = {"title": escape(content.title), "style": _read("page.css"), "data": safe, "script": _read("page.js")}
    head, *rest = _read("page.html").split("{{")
    return head + "".join(parts[name] + after for name, after in (part.split("}}", 1) for part in rest))


def _natural(name: str) -> tuple[float, str]:
    """An order in which 9 comes before 10, and numbers before words."""
    return (float(name), name) if name.isdecimal() else (float("inf"), name)


def packed(values: NDArray[Any]) -> str:
    """Numbers as the page reads them: little-endian bytes in base64."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode("ascii")


def _read(name: str) -> str:
    return files("raw2vec.use.map").joinpath(name).read_text(encoding="utf-8")
