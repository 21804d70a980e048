"""Items whose files could not be read: as JSON lists them, and in a sentence that names the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raw2vec.errors import BadInput, Unreadable

_NAMED = 3


def as_list(found: Mapping[int, Unreadable]) -> list[dict[str, Any]]:
    """Each one's row, counted from 0, its path if it has one (`item`), and the reason."""
    return [{"row": row, "item": error.path, "reason": error.reason} for row, error in sorted(found.items())]


def sentence(told: Sequence[Mapping[str, Any]], what: str, fate: str = "") -> str:
    """'3 pictures that cannot be read: a.jpg (truncated), b.jpg (empty), row 7 (truncated)'. what: one of them; fate:
    what became of them."""
    named = [f"{each['item'] or 'row {}'.format(each['row'])} ({each['reason']})" for each in told[:_NAMED]]
    more = f" and {len(told) - _NAMED:,} more" if len(told) > _NAMED else ""
    return f"{len(told):,} {what}{'s' * (len(told) != 1)} that cannot be read{fate}: {', '.join(named)}{more}"


def refuse_most(found: Mapping[int, Unreadable], count: int, what: str, name: str) -> None:
    """BadInput where more than half of `count` items cannot be read: then something else is wrong than a few files."""
    if 2 * len(found) > count:
        told = sentence(as_list(found), what)
        raise BadInput(f"{name} has {told}. That is more than half of the {count:,} that were looked at.")
