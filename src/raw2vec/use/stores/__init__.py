"""Stores of vectors: an embedded one in a folder, and the door through which others come in by their address."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from raw2vec.disk import room
from raw2vec.errors import BadFolder, BadInput, WrongSpace, nearest
from raw2vec.seeding import permutation
from raw2vec.use.stores import about, exact
from raw2vec.use.stores.base import (
    LEAST_ROWS,
    Approximate,
    Hit,
    Mode,
    VectorStore,
    checked,
    fuse,
    locked,
    writing,
)
from raw2vec.use.stores.columns import fitted, joined, rising, words
from raw2vec.use.stores.compact import Compact, refuse_vectors
from raw2vec.use.stores.recall import measured
from raw2vec.use.stores.table import Table

__all__ = ["LEAST_ROWS", "Approximate", "Hit", "Mode", "Store", "VectorStore", "create_store", "open_store"]

_TIDY_EVERY = 100  # adds; each one leaves a file and a version behind
_DEPTH = 100  # how far down each ranking a fusion looks
_WIDEN = 10  # an approximate index is asked for this many times k rows, which are then scored exactly
_HELD_OUT = 200  # queries that recall is measured on
_Answer = TypeVar("_Answer")


def open_store(address: str | Path, fingerprint: str | None = None) -> VectorStore:
    """The store at an address, which must hold the space `fingerprint` when one is given."""
    return Store.open(_folder(address), fingerprint)


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
    return Store.create(_folder(address), width, fingerprint, model=model, text=text, vectors=vectors)


def _folder(address: str | Path) -> Path:
    scheme, separator, _ = str(address).partition("://")
    if not separator:
        return Path(address)
    if scheme in ("s3", "postgresql", "postgres"):
        raise BadInput(f"{address}: stores at {scheme}:// addresses are not there yet. Name a folder instead.")
    raise BadInput(f"{address}: there are no stores at {scheme}:// addresses. Name a folder.")


class Store(VectorStore):
    """An embedded store: a folder with a Lance table, its unit vectors as one matrix, and `store.json`.

    A handle reads one version of the table, the newest when it was opened, refreshed or last added to.
    """

    def __init__(self, folder: Path, known: dict[str, Any], table: Table):
        self.folder, self._table = folder, table
        self._identity: str = known["id"]
        self.width, self.fingerprint = known["width"], known["fingerprint"]
        self.model, self.text = known["model"], known["text"]
        self.vectors = known["vectors"]
        self._small = Compact(folder, self._identity, self.width, self.vectors)
        self._matrix = exact.Matrix(folder, self._identity, self.width)
        self._rows = len(table)
        self._adds = 0
        self._next: dict[str, int] = {}
        self._next_version = table.version

    @classmethod
    def create(
        cls,
        folder: str | Path,
        width: int,
        fingerprint: str,
        *,
        model: str = "",
        text: str | None = None,
        vectors: str = "float32",
    ) -> Store:
        """An empty store for vectors (n, width) of the model with this fingerprint; `model` names it in messages.

        `text` names the column that hybrid search reads. vectors: float32, or the small ones that a search reads first,
        int8 or binary, beside the whole ones. BadInput when the folder holds anything already.
        """
        folder = Path(folder)
        if width < 1:
            raise BadInput(f"A store's vectors have at least one number, not {width}.")
        refuse_vectors(vectors)
        known = about.new(width, fingerprint, model, text, vectors)
        with writing(folder), room(folder / "writer.lock"):
            about.refuse_occupied(folder)
            with locked(folder / "writer.lock"):
                about.refuse_occupied(folder)  # again, for it may have been waited for
                shutil.rmtree(folder / "rows.lance", ignore_errors=True)  # of a creation that was cut short
                try:
                    table = Table.create(folder, width, known["id"])
                    about.write(folder, known)
                except Exception:
                    about.discard(folder)
                    raise
        return cls(folder, known, table)

    @classmethod
    def open(cls, folder: str | Path, fingerprint: str | None = None) -> Store:
        """The store in a folder; WrongSpace when it holds another model's vectors, BadFolder when it is not whole."""
        folder = Path(folder)
        known = about.read(folder)
        if fingerprint is not None and fingerprint != known["fingerprint"]:
            whose = f"of '{known['model']}', " if known["model"] else "of the model "
            raise WrongSpace(
                f"The store {folder} holds vectors {whose}with fingerprint {known['fingerprint']}; this model's is "
                f"{fingerprint}. Search with the model that filled it, or index the data again into a new store."
            )
        return cls(folder, known, Table.open(folder, known["id"]))

    def __len__(self) -> int:
        return self._rows

    @property
    def columns(self) -> list[str]:
        """The names of the metadata columns."""
        return list(self._table.schema.names)

    @property
    def approximate(self) -> Approximate | None:
        """What the approximate index was measured to do when it was built; None without one."""
        found = about.read(self.folder)["approximate"]
        return Approximate(**found) if found else None

    def discard(self) -> None:
        with self._writer():
            self.refresh()
            if not self._rows:
                about.discard(self.folder)

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
        with self._writer():
            start = self.resume_point(source)
            places = rising(start + np.arange(len(array)) if positions is None else positions, len(array))
            table = fitted(columns, len(array), self._table.schema if self._rows else None, self.text)
            new = int((places >= start).sum())
            if new:
                rest = table.slice(len(array) - new)
                rows = joined(self._rows, array[-new:], rest, source, places[-new:], self.text)
                self._table.append(rows, self._identity)
                self.refresh()
                self._adds += 1
                if self._adds % _TIDY_EVERY == 0:
                    self._table.tidy()
                self._next[source], self._next_version = int(places[-1]) + 1, self._table.version
        return new

    def finish(self) -> None:
        with self._writer():
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
        rescore: int = 4,
    ) -> list[list[Hit]]:
        """The k rows nearest to each of the queries (q, width) by cosine, among those that the SQL `where` keeps.

        "exact" looks at every row; "approximate" asks the index for candidates and scores these exactly; "hybrid" fuses
        the exact ranking with that of the `texts`' words (one text a query), its hits keeping their cosines as scores;
        "rescored", the usual one where there are small vectors, takes the best `rescore` times k by these, and scores
        them exactly.
        Best first; equal scores in the order of their rows. BadInput for a filter that cannot be used.
        """
        array, mode = checked(queries, self.width, "queries"), mode or self.usual_mode
        ways: dict[str, Callable[[], list[exact.Found]]] = {
            "exact": lambda: exact.nearest(self._values(), array, k, self._kept(where)),
            "approximate": lambda: self._approximate(array, k, where),
            "hybrid": lambda: self._hybrid(array, k, where, texts),
            "rescored": lambda: self._rescored(array, k, where, rescore),
        }
        if mode not in ways:
            raise BadInput(f"There is no search mode '{mode}', only {', '.join(ways)}.{nearest(mode, ways)}")
        if k < 1:
            raise BadInput(f"A search asks for k = 1 hit or more, not {k}.")
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
        with self._writer():
            self.refresh()
            if self._rows < max(least_rows, 2):
                raise BadInput(
                    f"The store {self.folder} has {self._rows:,} rows. Exact search is faster than an approximate "
                    f"index below {max(least_rows, 2):,} rows; search it exactly."
                )
            asked, own = self._held_out(queries, seed)
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
            about.write(self.folder, about.read(self.folder) | {"approximate": asdict(found)})
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
            few = self._rows < LEAST_ROWS
            advice = "Search exactly: of so few rows it is faster" if few else "Build one, or search exactly"
            raise BadInput(f"The store {self.folder} has no approximate index. {advice}.")
        return [self._near(query, k, index.probes, where) for query in queries]

    def _near(self, query: NDArray[np.float32], k: int, probes: int, where: str | None = None) -> exact.Found:
        """The best of the index's candidates; of all rows when it knows too few, as under a filter that keeps few."""
        among = self._table.approximate(query, _WIDEN * k, probes, where)
        return exact.nearest(self._values(), query[None], k, among if len(among) >= k else self._kept(where))[0]

    def _hybrid(
        self, queries: NDArray[np.float32], k: int, where: str | None, texts: Sequence[str] | None
    ) -> list[exact.Found]:
        if self.text is None:
            raise BadInput(f"The store {self.folder} was created without a text column, so it has no words to search.")
        if texts is None or isinstance(texts, str) or len(texts) != len(queries):
            raise BadInput(f"A hybrid search needs one text a query, {len(queries)} of them, in `texts`.")
        if not self._table.has_index("_words"):
            raise BadInput(f"The words of the store {self.folder} are not indexed yet: call finish() after adding.")
        values, kept, depth = self._values(), self._kept(where), max(k, _DEPTH)
        answers = []
        for query, text, near in zip(queries, texts, exact.nearest(values, queries, depth, kept), strict=True):
            spoken = words(text)
            lexical = self._table.lexical(spoken, depth, where) if spoken else near[0][:0]
            rows = fuse([near[0], lexical])[:k]
            ranked, scores = exact.nearest(values, query[None], k, np.sort(rows))[0]
            answers.append((rows, scores[np.argsort(ranked)][np.argsort(np.argsort(rows))]))
        return answers

    def _held_out(self, queries: ArrayLike | None, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Up to 200 queries, and for each the row that it is itself, -1 for none."""
        if queries is None:
            rows = permutation(self._rows, seed, "recall queries")[:_HELD_OUT]
            return np.array(self._values()[rows]), rows
        array = checked(queries, self.width, "queries")
        if not len(array):
            raise BadInput("Recall cannot be measured on no queries. Give some, or none at all to have rows drawn.")
        drawn = array[permutation(len(array), seed, "recall queries")[:_HELD_OUT]]
        return drawn, np.full(len(drawn), -1)

    @contextmanager
    def _writer(self) -> Iterator[None]:
        with writing(self.folder), locked(self.folder / "writer.lock"):
            yield
