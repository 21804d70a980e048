"""What a model makes, from rows to files. It needs PyTorch, Arrow and Pillow: see `base.heavy`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from raw2vec.errors import BadInput
from raw2vec.measure import columns_of
from raw2vec.system import Raw2Vec
from raw2vec.use.generate import seen
from raw2vec.use.show import Shown, write, writer_for

SHOWN = 32  # on one sheet or in one sound, where nobody says how many


class Made(NamedTuple):
    """How many items were written, and how many of those they were made from had been cut."""

    items: int
    truncated: int = 0


def reconstructed(model: Raw2Vec, data: str, column: str | None, items: int | None, out: str) -> Made:
    """Writes the first rows (`items` of them; none: see SHOWN) as they come back, beside themselves where it helps."""
    kind = _writable(model, out)
    one_sheet = Path(out).suffix in (".png", ".wav")
    given = _items(model, data, column, items or (SHOWN if one_sheet else None))
    parts = model.parts_
    made = list(model.reconstruct(given))
    originals = seen(parts, given) if kind in ("image", "audio") else []
    write(kind, out, _shown(model, made, originals=originals))
    return Made(len(made), int((parts.raw.windows(given).truncated > 0).sum()))


def sampled(model: Raw2Vec, count: int, seed: int, like: str | None, column: str | None, out: str) -> Made:
    """Writes `count` drawn items."""
    kind = _writable(model, out)
    given = _items(model, like, column) if like else None
    made = list(model.sample(count, seed, like=given))
    write(kind, out, _shown(model, made))
    return Made(len(made))


def interpolated(model: Raw2Vec, data: str, column: str | None, ends: tuple[int, int], steps: int, out: str) -> Made:
    """Writes the items on the line between two rows: pictures in one row."""
    kind = _writable(model, out)
    given = _items(model, data, column, max(ends) + 1)
    if len(given) <= max(ends):
        raise BadInput(f"{data} has {len(given):,} rows, so there is no row {max(ends)}: they are counted from 0.")
    a, b = (given[row] for row in ends)
    made = list(model.interpolate(a, b, steps))
    write(kind, out, _shown(model, made, columns=steps))
    return Made(len(made), int((model.parts_.raw.windows([a, b]).truncated > 0).sum()))


def _writable(model: Raw2Vec, out: str) -> str:
    """The kind of the model's items; BadInput, before anything slow, where they cannot be written to `out`."""
    kind = "text" if model.parts_.recipe.kind == "pairs" else model.parts_.recipe.kind
    writer_for(kind, out)
    return kind


def _items(model: Raw2Vec, data: str, column: str | None, stop: int | None = None) -> list[Any]:
    """The first `stop` rows as items, or all."""
    rows, columns = columns_of(model.parts_, data, input=column)
    found: list[Any] = []
    for batch in rows.batches(min(stop or 1024, 1024)):
        found += model.parts_.raw.read(batch, columns["input"])
        if stop is not None and len(found) >= stop:
            break
    return found[:stop]


def _shown(model: Raw2Vec, items: Sequence[Any], originals: Sequence[Any] = (), columns: int = 0) -> Shown:
    rate = int(model.parts_.raw.settings.get("rate", Shown.rate))
    return Shown(items, originals, columns, rate)
