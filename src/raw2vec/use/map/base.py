"""What the parts of a map hand each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheets:
    """Small pictures side by side: `columns` by `rows` on each of `sheets`, which are addresses that hold the data."""

    wide: int
    high: int
    columns: int
    rows: int
    sheets: list[str]
    drawn: bool
    """Whether they are to be enlarged pixel by pixel."""
