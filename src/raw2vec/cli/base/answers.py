"""A command's answer: one JSON object for a program, a short table and the next command for a person."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from raw2vec.cli.base.base import one_line


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
