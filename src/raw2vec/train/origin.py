"""What a run is of, its recipe and its data: two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What sets the recipe and the data of one run off from another's, to follow its name."""
    if old["data"] != new["data"]:
        return "was begun on other data"
    before, now = (dict(_flat(origin["recipe"])) for origin in (old, new))
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return "has another recipe: " + ", ".join(f"{name} was {before.get(name)}, now {now.get(name)}" for name in changed)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in pairs:
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value
