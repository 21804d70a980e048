"""Stores of vectors, by their address: on LanceDB in a folder or a bucket, and the door to those on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from raw2vec.addresses import shown
from raw2vec.errors import BadFolder, BadInput
from raw2vec.use.stores import about, exact
from raw2vec.use.stores.base import (
    LEAST_ROWS,
    Approximate,
    Hit,
    Home,
    Mode,
    VectorStore,
    checked,
    fuse,
    no_index,
    refuse_few,
    refuse_search,
    refuse_texts,
    writing,
)
from raw2vec.use.stores.columns import Misfit, fitted, joined, rising, words
from raw2vec.use.stores.first_pass import FirstPass, refuse_vectors
from raw2vec.use.stores.folder import Folder
from raw2vec.use.stores.homes import home, on_server
from raw2vec.use.stores.postgres import PostgresStore
from raw2vec.use.stores.recall import held_out, measured
from raw2vec.use.stores.table import Table

__all__ = [
    "LEAST_ROWS",
    "Approximate",
    "Hit",
    "Misfit",
    "Mode",
    "PostgresStore",
    "Store",
    "VectorStore",
    "create_store",
    "is_store",
    "open_store",
]

_TIDY_EVERY = 100  # adds; each one leaves a file and a version behind
_DEPTH = 100  # how far down each ranking a fusion looks
_WIDEN = 10  # an approximate index is asked for this many times k rows, which are then scored exactly
_Answer = TypeVar("_Answer")


def open_store(address: str | Path, fingerprint: str | None = None) -> VectorStore:
    """The store at an address, which must hold the space `fingerprint` when one is given."""
    if on_server(address):
        return PostgresStore.open(str(address), fingerprint)
    return Store.open(home(address), fingerprint)


def create_store(
    address: str | Path,
    width: int,
    fingerprint: str,
    *,
    model: str = "",
    text: str | None = None,
    vectors: str = "float32",
) -> VectorStore:
    """A new store at an address; see `Store.create`."""
    refuse_vectors(vectors)
    if on_server(address):
        if vectors != "float32":
            raise BadInput(f"{shown(address)}: a store on PostgreSQL searches whole vectors, none of {vectors}.")
        return PostgresStore.create(str(address), width, fingerprint, model=model, text=text)
    return Store.create(home(address), width, fingerprint, model=model, text=text, vectors=vectors)


def is_store(address: str | Path) -> bool:
    """Whether there is a store at an address."""
    if on_server(address):
        return PostgresStore.exists(str(address))
    return home(address).told() is not None


class Store(VectorStore):
    """A store on LanceDB: a Lance table in a folder or a bucket, and its unit vectors as one matrix.

    A handle reads one version of the table, the newest when it was opened, refreshed or last added to.
    """

    def __init__(self, home: Home, known: dict[str, Any], table: Table):
        self._home, self._table = home, table
        self._identity: str = known["id"]
        self.width, self.fingerprint = known["width"], known["fingerprint"]
        self.model, self.text = known["model"], known["text"]
        self.vectors = known["vectors"]
        self._small = FirstPass(home.cache(self._identity), self._identity, self.width, self.vectors)
        self._matrix = exact.Matrix(home.cache(self._identity), self._identity, self.width)
        self._rows = len(table)
        self._adds = 0
        self._next: dict[str, int] = {}
        self._next_version = table.version

    @classmethod
    def create(
        cls,
        place: str | Path | Home,
        width: int,
        fingerprint: str,
        *,
        model: str = "",
        text: str | None = None,
        vectors: str = "float32",
    ) -> Store:
        """An empty store for vectors (n, width) of the model with this fingerprint; `model` names it in messages.

        `text` names the column that hybrid search reads. vectors: float32, or the small ones that a search reads first,
        int8 or binary, beside the whole ones. BadInput when the place holds anything already.
        """
        refuse_vectors(vectors)
        there = place if isinstance(place, Home) else Folder(Path(place))
        known = about.new(width, fingerprint, model, text, vectors)
        return cls(there, known, Table.create(there, about.worded(known), width, known["id"]))

    @classmethod
    def open(cls, place: str | Path | Home, fingerprint: str | None = None) -> Store:
        """The store there; WrongSpace when it holds another model's vectors, BadFolder when it is not whole."""
        there = place if isinstance(place, Home) else Folder(Path(place))
        known = about.read(there)
        about.refuse_other(known, fingerprint, there)
        return cls(there, known, Table.open(there, known["id"]))

    def __len__(self) -> int:
        return self._rows

    @property
    def folder(self) -> Path:
        """Where the matrix is kept: the store's own folder, or one in this machine's cache."""
        return self._home.cache(self._identity)

    @property
    def columns(self) -> list[str]:
        """The names of the metadata columns."""
        return list(self._table.schema.names)

    @property
    def approximate(self) -> Approximate | None:
        """What the approximate index was measured to do when it was built; None without one."""
        found = about.read(self._home)["approximate"]
        return Approximate(**found) if found else None

    def discard(self) -> None:
        with self._home.writer():
            self.refresh()
            if not self._rows:
                self._home.discard()

    def refresh(self) -> None:
        self._table.refresh()
        self._rows = len(self._table)

    def resume_point(self, source: str) -> int:
        self.refresh()
        if self._next_version != self._table.version:
            self._next, self._next_version = {}, self._table.version
        if source not in self._next:
            self._next[source] = self._whole(lambda: self._table.next_position(source))
        return self._next[source]

    def count(self, source: str) -> int:
        return self._whole(lambda: self._table.count(source))

    def settle(self, source: str, reading: str, name: str = "") -> None:
        def count(source: str) -> int:
            return self.resume_point(source) and self.count(source)

        with self._home.writer():
            if noted := about.settled(about.read(self._home), source, reading, name, count, self._home):
                about.write(self._home, noted)

    def add(
        self,
        vectors: ArrayLike,
        columns: pa.Table | pa.RecordBatch | None = None,
        *,
        source: str = "",
        positions: ArrayLike | None = None,
    ) -> int:
        """Commits vectors (n, width) with their columns (n rows) in one transaction; gives how many rows were new.

        `positions` (n,), rising, number the rows within `source`, by default on from those already there. Positions
        below `resume_point(source)` are committed already and left out, so a shard may be added again after a crash.
        """
        array = checked(vectors, self.width, "vectors")
        with self._home.writer():
            while True:
                start = self.resume_point(source)
                places = rising(start + np.arange(len(array)) if positions is None else positions, len(array))
                table = fitted(columns, len(array), self._table.schema if self._table.settled else None, self.text)
                new = int((places >= start).sum())
                if not new:
                    return 0
                rest = table.slice(len(array) - new)
                rows = joined(self._rows, array[-new:], rest, source, places[-new:], self.text)
                if self._table.append(rows, self._identity):
                    break  # and not overtaken by another writer
            # Of our own commit: the newest version, which `refresh` moves on to, may hold more of another writer's.
            self._next[source], self._next_version = int(places[-1]) + 1, self._table.version
            self.refresh()
            self._adds += 1
            if self._adds % _TIDY_EVERY == 0:
                self._table.tidy()
        return new

    def finish(self) -> None:
        with self._home.writer():
            self.refresh()
            if self.text and self._rows and not self._table.has_index("_words"):
                self._table.index_words()
            self._table.tidy()
            self.refresh()
            self._small.write(self._values())

    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        where: str | None = None,
        texts: Sequence[str] | None = None,
        mode: Mode | None = None,
        rescore: int | None = None,
    ) -> list[list[Hit]]:
        """The k rows nearest to each of the queries (q, width) by cosine, among those that the SQL `where` keeps.

        "exact" looks at every row; "approximate" asks the index for candidates and scores these exactly; "hybrid" fuses
        the exact ranking with that of the `texts`' words (one text a query), its hits keeping their cosines as scores;
        "rescored", the usual one where there are small vectors, takes the best `rescore` times k by these, and scores
        them exactly.
        Best first; equal scores in the order of their rows. BadInput for a filter that cannot be used.
        """
        array = checked(queries, self.width, "queries")
        mode = mode or (self.usual_mode if rescore is None else "rescored")
        ways: dict[str, Callable[[], list[exact.Found]]] = {
            "exact": lambda: exact.nearest(self._values(), array, k, self._kept(where)),
            "approximate": lambda: self._approximate(array, k, where),
            "hybrid": lambda: self._hybrid(array, k, where, texts),
            "rescored": lambda: self._rescored(array, k, where, 4 if rescore is None else rescore),
        }
        refuse_search(k, mode, rescore)
        if not self._rows or not len(array):
            return [[] for _ in array]
        return self._whole(lambda: self._hits(ways[mode]()))

    def build_approximate_index(
        self, queries: ArrayLike | None = None, *, seed: int = 0, goal: float = 0.95, least_rows: int = LEAST_ROWS
    ) -> Approximate:
        """Builds the index behind `mode="approximate"`, looking further for each query until recall@10 meets `goal`.

        Recall is measured against exact search, on up to 200 queries drawn from `queries` (m, width); without any, on
        rows drawn from the store, each left out of its own answers. A store of fewer than `least_rows` is refused.
        """
        with self._home.writer():
            self.refresh()
            refuse_few(self._home, self._rows, least_rows)
            asked, own = held_out(queries, self.width, self._rows, seed, lambda rows: self._values()[rows])
            partitions = self._table.index_vectors(self.width)
            self.refresh()
            found = measured(
                asked,
                own,
                self._rows,
                lambda query, k: exact.nearest(self._values(), query[None], k)[0][0],
                lambda query, k, probes: self._near(query, k, probes)[0],
                goal=goal,
                partitions=partitions,
            )
            about.write(self._home, about.read(self._home) | {"approximate": asdict(found)})
        return found

    def _values(self) -> NDArray[np.float32]:
        with writing(self.folder):
            return self._matrix.rows(self._rows, self._table.vectors)

    def _kept(self, where: str | None) -> NDArray[np.int64] | None:
        return None if where is None else self._table.matching(where)

    def _whole(self, answer: Callable[[], _Answer]) -> _Answer:
        """An answer from one version; when a writer's tidying has removed that version's files, from a newer one."""
        while True:
            version = self._table.version
            try:
                return answer()
            except BadFolder:
                self.refresh()
                if self._table.version == version:
                    raise

    def _hits(self, found: list[exact.Found]) -> list[list[Hit]]:
        columns = self._table.take(np.concatenate([rows for rows, _ in found]))
        return [
            [Hit(row, score, dict(columns[row])) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)]
            for rows, scores in found
        ]

    def _rescored(self, queries: NDArray[np.float32], k: int, where: str | None, rescore: int) -> list[exact.Found]:
        values = self._values()
        with writing(self.folder):
            return self._small.nearest(values, queries, k, rescore, self._kept(where))

    def _approximate(self, queries: NDArray[np.float32], k: int, where: str | None) -> list[exact.Found]:
        index = self.approximate
        if index is None:
            raise no_index(self._home, self._rows)
        return [self._near(query, k, index.probes, where) for query in queries]

    def _near(self, query: NDArray[np.float32], k: int, probes: int, where: str | None = None) -> exact.Found:
        """The best of the index's candidates; of all rows when it knows too few, as under a filter that keeps few."""
        among = self._table.approximate(query, _WIDEN * k, probes, where)
        return exact.nearest(self._values(), query[None], k, among if len(among) >= k else self._kept(where))[0]

    def _hybrid(
        self, queries: NDArray[np.float32], k: int, where: str | None, texts: Sequence[str] | None
    ) -> list[exact.Found]:
        refuse_texts(self._home, self.text, texts, len(queries))
        if not self._table.has_index("_words"):
            raise BadInput(f"The words of the store {self._home} are not indexed yet: call finish() after adding.")
        values, kept, depth = self._values(), self._kept(where), max(k, _DEPTH)
        answers = []
        for query, text, near in zip(queries, texts or (), exact.nearest(values, queries, depth, kept), strict=True):
            spoken = words(text)
            lexical = self._table.lexical(spoken, depth, where) if spoken else near[0][:0]
            rows = fuse([near[0], lexical])[:k]
            ranked, scores = exact.nearest(values, query[None], k, np.sort(rows))[0]
            answers.append((rows, scores[np.argsort(ranked)][np.argsort(np.argsort(rows))]))
        return answers
