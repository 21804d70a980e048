"""Files into a store: every row's vector with its columns beside it, each once, however often it is cut short."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from raw2vec.addresses import shown
from raw2vec.disk import Kept, room, writing
from raw2vec.errors import BadInput, Unreachable, Unwritable, WrongSpace, spared
from raw2vec.interchange.checkpoints import checkpoint_at
from raw2vec.rows import NUMBERS, Rows, Typed
from raw2vec.unreadable import as_list, sentence
from raw2vec.use.base import Column, Encode, blocks, empty, texts
from raw2vec.use.stores import LEAST_ROWS, Misfit, VectorStore, create_store, is_store, open_store


class Space(NamedTuple):
    """Whose vectors: their width, their model's fingerprint, and the folder it is in."""

    width: int
    fingerprint: str
    model: str


@contextmanager
def store_for(
    place: str | Path, space: Space, text: str | None, resume: bool = False, vectors: str | None = None
) -> Iterator[VectorStore]:
    """A new store, or with `resume` the one that is there if it is of the same space. `text`: its column of words.
    vectors: what a search reads first, float32 unless said; of a store that is there, as it has it.

    Where the block fails, a new store without rows goes with the folders that were made for it; Unwritable or
    Unreachable says how many rows there are to go on with.
    """
    store, there = None, is_store(place)
    if there and not resume:
        raise BadInput(f"{shown(place)} is a store already; add --resume to go on with it, or name another --store.")

    def kept() -> str:
        return f"{len(store):,} rows are in it" if store else ""

    with _far(kept) if "://" in str(place) else _near(Path(place), kept):
        width, mark, model = space
        store = (
            open_store(place, mark)
            if there
            else create_store(place, width, mark, model=model, text=text, vectors=vectors or "float32")
        )
        refuse_width(store, width, place)
        if vectors not in (None, store.vectors):
            raise BadInput(
                f"{shown(place)} is searched by vectors of {store.vectors}, not {vectors}: name another --store."
            )
        try:
            yield store
        except BaseException:
            if not there:
                with suppress(Unreachable):  # what ended the block is the one to tell of
                    store.discard()
            raise


def refuse_width(store: VectorStore, width: int, place: str | Path) -> None:
    """WrongSpace for vectors cut elsewhere than those that are in the store."""
    if store.width != width:
        raise WrongSpace(
            f"{shown(place)} holds the first {store.width} numbers of each vector, and these are {width}: "
            f"go on with --truncate {store.width}, or name another --store."
        )


@contextmanager
def _near(folder: Path, kept: Kept) -> Iterator[None]:
    with writing(folder, kept), room(folder / "store.json"):
        yield


@contextmanager
def _far(kept: Kept) -> Iterator[None]:
    try:
        yield
    except (Unreachable, Unwritable) as error:
        if not (rows := kept()):
            raise
        raise type(error)(f"{error} {rows}: go on with --resume.") from error


@dataclass(frozen=True)
class Indexed:
    """What an indexing run did: rows of this source so far, those of this run, texts cut, texts empty and the
    first of those rows, counted from 0; and the recall@10 of the approximate index where one was built, or why not.
    unreadable: the pictures or sounds of this run that could not be read and are not in the store, each with its `row`,
    its path (`item`) and the `reason`. engine: what ran the model. input: the column. question: the kind of
    item that a search asks with."""

    items: int
    new: int
    truncated: int
    empty: int
    recall: float | None = None
    first_empty: int | None = None
    note: str | None = None
    unreadable: Sequence[dict[str, Any]] = ()
    engine: str = "torch"
    input: str | None = None
    question: str = "text"


def index(
    rows: Rows,
    column: str,
    encode: Encode,
    store: VectorStore,
    *,
    read: Column = texts,
    side: str | None = None,
    progress: Callable[[int], None] = lambda items: None,
) -> Indexed:
    """Adds the rows' vectors to the store, block by block; rows of this source that it holds are passed over, and
    BadInput says so where they were made of another column, by another side of a model of pairs, or of the same file
    when it held something else.

    A csv's columns of numbers, those that are so to the last row, are stored as numbers for filters to compare. Dates
    stay texts: Lance takes no '2024-01-27' for a date, and written like that they are in order as they are.
    """
    source, name = rows.fingerprint(), str(Path(rows.name).resolve()) if os.path.exists(rows.name) else ""
    rows = Typed(rows, [column], NUMBERS) if rows.written else rows
    store.settle(source, f"the column '{column}'" + (f" as {side}" if side else ""), name)
    done = at = store.resume_point(source)
    truncated = new = 0
    blank: list[int] = []
    unreadable: list[dict[str, Any]] = []
    for start, items, block in blocks(rows, column, read, done):
        vectors, cut = encode(items)
        gone = set(spared(items))
        kept = [place for place in range(len(items)) if place not in gone]
        if kept:
            there = block.take(kept) if gone else block
            places = [start + place for place in kept]
            try:
                new += store.add(vectors[kept], there, source=source, positions=places)
            except Misfit as error:
                raise BadInput(f"{rows.name} does not go with the rows of the store. {error}") from error
        unreadable += as_list(items.unreadable or {})
        truncated += int((cut > 0).sum())
        blank += [start + place for place in empty(items)]
        at = start + len(items)
        progress(len(items))
    if not at:
        raise BadInput(f"{rows.name} has no rows to index.")
    if unreadable and not len(store):
        raise BadInput(f"{rows.name} has nothing to index but {sentence(unreadable, 'file')}.")
    store.finish()
    first = min(blank, default=None)
    return Indexed(store.count(source), new, truncated, len(blank), first_empty=first, unreadable=tuple(unreadable))


def approximated(done: Indexed, store: VectorStore, seed: int) -> Indexed:
    """The same with an approximate index built, or a note where the store is too small to gain by one."""
    if len(store) < LEAST_ROWS:
        told = f"exact search is faster below {LEAST_ROWS:,} rows, so no approximate index was built"
        return replace(done, note=told)
    return replace(done, recall=store.build_approximate_index(seed=seed).recall)


def model_of(store: str | Path) -> Path:
    """Where the model that filled a store was; BadInput when it is there no longer."""
    place = Path(open_store(store).model)
    if not (place / "recipe.json").exists() and checkpoint_at(place) is None:
        raise BadInput(
            f"The model that filled {shown(store)} was at {place}, and is not there now; name it with --model."
        )
    return place


def usual_mode(store: str | Path) -> str:
    """How a store is searched unless it is said."""
    return open_store(store).usual_mode
