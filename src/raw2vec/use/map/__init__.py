"""A map of a file: every item a point of one page, near what is like it, to look at, to search and to listen to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.disk import replacing
from raw2vec.errors import BadInput, NumberedList
from raw2vec.neighbours import nearest
from raw2vec.raw import Raw
from raw2vec.rows import Rows, text_column
from raw2vec.seeding import permutation
from raw2vec.use.base import BLOCK_ROWS, Encode, blocks
from raw2vec.use.group import cluster
from raw2vec.use.map.page import Colouring, Content, page
from raw2vec.use.map.pictures import Small, playable, sheets, side_for, small
from raw2vec.use.map.projection import Projection, project

NEIGHBOURS = 10
LONGEST = 240  # letters of a text
CROWDED = 5000  # items of which no single sound is kept in memory to be played
__all__ = ["Mapped", "Projection", "Seen", "map_of"]


@dataclass(frozen=True)
class Mapped:
    """What a map shows: how many items of how many, by which projection, bytes of its file, and what had no room."""

    items: int
    of: int
    projection: str
    size: int
    notes: list[str]


@dataclass(frozen=True)
class Seen:
    """What is read of a file: the column that is encoded, of which kind, by what, and the columns beside it."""

    rows: Rows
    column: str
    kind: str
    raw: Raw
    caption: str | None = None
    label: str | None = None


@dataclass
class _Gathered:
    """What the blocks of a file leave behind."""

    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    pictures: list[Small] = field(default_factory=list)
    sounds: list[Any] = field(default_factory=list)


def map_of(
    seen: Seen,
    encode: Encode,
    out: Path,
    *,
    title: str,
    projection: str = "auto",
    most: int = 50_000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda items: None,
) -> Mapped:
    """Writes the page, whole or not at all. Of more rows than `most` a sample that the seed draws is shown.

    Raises BadInput for fewer than two items, which have no neighbours.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f"{out}: a map is a page, so its name ends in .html.")
    total = sum(len(batch) for batch in seen.rows.batches(BLOCK_ROWS, seen.rows.columns[:1]))
    chosen = np.ones(total, np.bool_)
    if total > most:
        chosen[permutation(total, seed, "map")[most:]] = False
    if chosen.sum() < 2:
        raise BadInput(f"{seen.rows.name} has {total} rows; a map needs two items at least.")
    found = _gathered(seen, encode, chosen, progress)
    vectors = np.concatenate(found.vectors)
    points, used = project(vectors, projection, seed)
    sounds, silent = playable(found.sounds, getattr(seen.raw, "rate", 16_000))
    notes = [f"{silent:,} sounds had no room, and cannot be played"] if silent else []
    notes += [f"a sample: {most:,} of {total:,} rows"] if total > most else []
    about = f"{len(vectors):,} items by {seen.column}, projected by {used.upper()}"
    places, cosines = nearest(vectors, NEIGHBOURS)
    small_ones = seen.kind == "image" and seen.raw.form.shape is not None and max(seen.raw.form.shape) <= 40
    content = Content(
        title,
        " · ".join([about, *notes]),
        points,
        places,
        cosines,
        found.places,
        found.texts,
        found.names,
        _colours(seen, found.labels, vectors, seed),
        sheets(found.pictures, small_ones),
        sounds,
    )
    with replacing(out) as partial_file:
        partial_file.write_text(page(content), encoding="utf-8")
    return Mapped(len(vectors), total, used, out.stat().st_size, notes)


def _gathered(seen: Seen, encode: Encode, chosen: NDArray[np.bool_], progress: Callable[[int], None]) -> _Gathered:
    found, side = _Gathered(), side_for(int(chosen.sum()))
    draw = partial(small, seen.kind, seen.raw, side=side) if seen.kind in ("image", "audio", "series") else None
    for start, items, table in blocks(seen.rows, seen.column, seen.raw.read):
        here = np.flatnonzero(chosen[start : start + len(items)])
        if not len(here):
            continue
        some = NumberedList([start + place for place in here.tolist()], [items[place] for place in here])
        found.vectors.append(encode(some)[0])
        found.places += some.numbers
        part = table.take(pa.array(here))
        found.texts += _texts(seen, some, part)
        found.names += [Path(item).name if draw and isinstance(item, str) else "" for item in some]
        found.labels += part.column(seen.label).to_pylist() if seen.label else []
        found.pictures += draw(some) if draw else []
        found.sounds += some if seen.kind == "audio" and chosen.sum() <= CROWDED else []
        progress(len(some))
    return found


def _texts(seen: Seen, items: Sequence[Any], table: pa.Table) -> list[str]:
    """What each item says: itself, a row's columns, or the caption beside it."""
    if seen.kind == "table":
        told: list[str] = [_row(item) for item in items]
    elif seen.kind in ("image", "audio", "series"):
        told = [text or "" for text in text_column(table, seen.caption)] if seen.caption else [""] * len(items)
    else:
        told = [str(item) for item in items]
    return [text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in told]


def _row(item: Any) -> str:
    pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
    return "\n".join(
        f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}" for name, value in pairs
    )


def _colours(seen: Seen, labels: list[Any], vectors: NDArray[np.float32], seed: int) -> list[Colouring]:
    """The label's, where there is one, and clusters."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    clusters = cluster(unit, None, seed)
    names = [f"cluster {number + 1}" for number in range(int(clusters.max()) + 1)]
    found = [Colouring("cluster", "cluster", clusters.astype(np.uint16), names)]
    return [Colouring.of(seen.label, labels), *found] if seen.label else found
