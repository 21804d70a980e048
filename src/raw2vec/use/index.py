"""Files into a store: every row's vector with its columns beside it, each once, however often it is cut short."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from raw2vec.errors import BadInput
from raw2vec.rows import NUMBERS, Rows, Typed
from raw2vec.use.base import Column, Encode, blocks, empty, texts
from raw2vec.use.stores import VectorStore, create_store, open_store


class Space(NamedTuple):
    """Whose vectors: their width, their model's fingerprint, and the folder it is in."""

    width: int
    fingerprint: str
    model: str


def store_for(place: str | Path, space: Space, text: str, resume: bool = False) -> VectorStore:
    """A new store, or with `resume` the one that is there if it is of the same space. `text`: its column of texts."""
    if "://" not in str(place) and (Path(place) / "store.json").exists():
        if not resume:
            raise BadInput(f"{place} is a store already; add --resume to go on with it, or name another --store.")
        return open_store(place, space.fingerprint)
    return create_store(place, space.width, space.fingerprint, model=space.model, text=text)


@dataclass(frozen=True)
class Indexed:
    """What an indexing run did: rows of this source in the store, those of this run, texts cut, texts empty and the
    first of those rows, counted from 0; and the recall@10 of the approximate index, where one was built."""

    items: int
    new: int
    truncated: int
    empty: int
    recall: float | None = None
    first_empty: int | None = None


def index(
    rows: Rows,
    column: str,
    encode: Encode,
    store: VectorStore,
    *,
    read: Column = texts,
    progress: Callable[[int], None] = lambda items: None,
) -> Indexed:
    """Adds the rows' vectors to the store, block by block; rows of this source that it holds are passed over.

    A csv's columns of numbers, those that are so to the last row, are stored as numbers for filters to compare. Dates
    stay texts: Lance takes no '2024-01-27' for a date, and written like that they are in order as they are.
    """
    source = rows.fingerprint()
    done = at = store.resume_point(source)
    truncated = 0
    blank: list[int] = []
    for start, items, block in blocks(rows, column, read, done):
        vectors, cut = encode(items)
        store.add(vectors, block, source=source, positions=range(start, start + len(items)))
        truncated += int((cut > 0).sum())
        blank += [start + place for place in empty(items)]
        at = start + len(items)
        progress(len(items))
    if not at:
        raise BadInput(f"{rows.name} has no rows to index.")
    store.finish()
    return Indexed(at, at - done, truncated, len(blank), first_empty=min(blank, default=None))


def model_of(store: str | Path) -> Path:
    """Where the model that filled a store was; BadInput when it is there no longer."""
    place = Path(open_store(store).model)
    if not (place / "recipe.json").exists():
    rows = Typed(rows, [column], NUMBERS) if rows.written else rows
        raise BadInput(f"The model that filled {store} was at {place}, and is not there now; name it with --model.")
    return place
