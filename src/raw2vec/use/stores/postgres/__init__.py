"""A store on PostgreSQL with pgvector (https://github.com/pgvector/pgvector): one table for each, by its address.

The table holds `_row` (a row's number in the order they came, from 0), `_source` and `_position` (where it comes from),
`vector`, the user's columns, and `_words` with `_lexemes` where a column of text is searched by words. What the store
says of itself is the table's comment. A block of rows is one transaction under the table's own lock, so that two
writers take turns, and a killed one leaves nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from raw2vec.errors import BadFolder, BadInput
from raw2vec.use.stores import about, exact
from raw2vec.use.stores.base import (
    LEAST_ROWS,
    Approximate,
    Hit,
    Mode,
    VectorStore,
    checked,
    fuse,
    no_index,
    normalized,
    refuse_few,
    refuse_search,
    refuse_texts,
)
from raw2vec.use.stores.columns import fitted, rising, words
from raw2vec.use.stores.postgres.kinds import kinds, lines, values
from raw2vec.use.stores.postgres.link import Link
from raw2vec.use.stores.postgres.table import Table
from raw2vec.use.stores.recall import held_out, measured

_DEPTH = 100  # how far down each ranking a fusion looks
_MORE = 8  # candidates beyond k, which rounding may have put behind
_MOST = 1000  # candidates that pgvector's index looks at for a query


class PostgresStore(VectorStore):
    """A store in a table of a PostgreSQL database.

    A handle reads the rows that were there when it was opened, refreshed or last added to.
    """

    def __init__(self, link: Link, known: dict[str, Any], rows: int):
        self._link = link
        self._learn(known, rows)

    @classmethod
    def exists(cls, address: str) -> bool:
        """Whether there is a store at the address; BadFolder for a table that is none."""
        link = Link(address)
        with link.reading() as cursor:
            table = Table(link, cursor)
            return table.exists() and bool(_known(table))

    @classmethod
    def create(
        cls, address: str, width: int, fingerprint: str, *, model: str = "", text: str | None = None
    ) -> PostgresStore:
        """An empty store for vectors (n, width) of the model with this fingerprint; BadInput for a table that is there.

        `text` names the column that hybrid search reads.
        """
        link, known = Link(address), about.new(width, fingerprint, model, text) | {"columns": None}
        with link.writing() as cursor:
            Table(link, cursor).create(width, about.worded(known), bool(text))
        return cls(link, known, 0)

    @classmethod
    def open(cls, address: str, fingerprint: str | None = None) -> PostgresStore:
        """The store there; WrongSpace when it holds another model's vectors, BadFolder for a table that is no store."""
        link = Link(address)
        with link.reading() as cursor:
            table = Table(link, cursor)
            known = _known(table)
            about.refuse_other(known, fingerprint, link)
            return cls(link, known, table.count())

    def __len__(self) -> int:
        return self._rows

    @property
    def columns(self) -> list[str]:
        """The names of the metadata columns."""
        return list(self._schema.names)

    @property
    def approximate(self) -> Approximate | None:
        """What the approximate index was measured to do when it was built; None without one."""
        with self._link.reading() as cursor:
            found = _known(Table(self._link, cursor))["approximate"]
        return Approximate(**found) if found else None

    def discard(self) -> None:
        with self._link.writing() as cursor:
            table = Table(self._link, cursor)
            table.lock()
            if not table.count():
                table.drop()

    def refresh(self) -> None:
        with self._link.reading() as cursor:
            self._look(Table(self._link, cursor))

    def resume_point(self, source: str) -> int:
        with self._link.reading() as cursor:
            table = Table(self._link, cursor)
            self._look(table)
            return table.next_position(source)

    def count(self, source: str) -> int:
        with self._link.reading() as cursor:
            return Table(self._link, cursor).count_of(source)

    def settle(self, source: str, reading: str, name: str = "") -> None:
        with self._link.writing() as cursor:
            table = Table(self._link, cursor)
            table.lock()
            if noted := about.settled(_known(table), source, reading, name, table.count_of, self._link):
                table.tell(about.worded(noted))

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
        with self._link.writing() as cursor:
            table = Table(self._link, cursor)
            table.lock()
            known, count, start = _known(table), table.count(), table.next_position(source)
            places = rising(start + np.arange(len(array)) if positions is None else positions, len(array))
            given = fitted(columns, len(array), _schema(known) if count else None, self.text)
            new = int((places >= start).sum())
            if new:
                rest, places = given.slice(len(array) - new), places[-new:]
                if not count:
                    known["columns"] = base64.b64encode(rest.schema.remove_metadata().serialize()).decode()
                    table.add_columns(_schema(known), kinds(_schema(known)), about.worded(known))
                spoken = [list(map(words, rest[self.text].to_pylist()))] if self.text else []
                own = [range(count, count + new), [source] * new, places.tolist(), array[-new:], *spoken]
                names, types = rest.schema.names, kinds(rest.schema)
                table.copy(names, types, [*own, *values(rest)], bool(self.text))
        if new:
            self._learn(known, count + new)
        return new

    def finish(self) -> None:
        with self._link.writing() as cursor:
            table = Table(self._link, cursor)
            table.lock()
            self._look(table)
            table.tidy(bool(self.text))

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

        "exact" looks at every row; "approximate" asks the index for candidates; "hybrid" fuses the exact ranking with
        that of the `texts`' words (one text a query). Scores are cosines, of candidates scored in float64.
        Best first; equal scores in the order of their rows. BadInput for a filter that cannot be used.
        """
        array = checked(queries, self.width, "queries")
        mode = mode or (self.usual_mode if rescore is None else "rescored")
        if mode == "rescored":
            raise BadInput(f"The store {self._link} holds no small vectors to search first: search it exactly.")
        refuse_search(k, mode, rescore)
        if not self._rows or not len(array):
            return [[] for _ in array]
        probes = self._probes() if mode == "approximate" else 0
        if mode == "hybrid":
            refuse_texts(self._link, self.text, texts, len(array))
        with self._link.reading() as cursor:
            table = Table(self._link, cursor, self._rows, where, self.columns)
            if mode == "approximate":
                found = [self._near(table, query, k, probes) for query in array]
            elif mode == "hybrid":
                found = [self._fused(table, *asked, k) for asked in zip(array, texts or (), strict=True)]
            else:
                found = [self._exact(table, query, k) for query in array]
            return self._hits(table, found)

    def build_approximate_index(
        self, queries: ArrayLike | None = None, *, seed: int = 0, goal: float = 0.95, least_rows: int = LEAST_ROWS
    ) -> Approximate:
        """Builds pgvector's HNSW index, looking at more candidates for each query until recall@10 meets `goal`.

        Recall is measured against exact search, on up to 200 queries drawn from `queries` (m, width); without any, on
        rows drawn from the store, each left out of its own answers. A store of fewer than `least_rows` is refused.
        """
        self.refresh()
        refuse_few(self._link, self._rows, least_rows)
        with self._link.reading() as cursor:
            table = Table(self._link, cursor)
            asked, own = held_out(queries, self.width, self._rows, seed, lambda rows: _in_order(table, rows))
        with self._link.writing() as cursor:
            Table(self._link, cursor).index_vectors(self.width, self._rows)
        with self._link.reading() as cursor:
            table = Table(self._link, cursor, self._rows)
            found = measured(
                asked,
                own,
                self._rows,
                lambda query, k: self._exact(table, query, k)[0],
                lambda query, k, probes: self._near(table, query, k, probes)[0],
                goal=goal,
                partitions=_MOST,
            )
        with self._link.writing() as cursor:
            table = Table(self._link, cursor)
            table.tell(about.worded(_known(table) | {"approximate": asdict(found)}))
        return found

    def _learn(self, known: dict[str, Any], count: int) -> None:
        self._schema, self._rows = _schema(known), count
        self._identity: str = known["id"]
        self.width, self.fingerprint = known["width"], known["fingerprint"]
        self.model, self.text = known["model"], known["text"]

    def _look(self, table: Table) -> None:
        """Moves on to the rows that are there now; BadFolder where the table has become another store."""
        known = _known(table)
        if known["id"] != self._identity:
            raise BadFolder(f"{self._link} is another store by now. Open it anew.")
        self._learn(known, table.count())

    def _exact(self, table: Table, query: NDArray[np.float32], k: int) -> exact.Found:
        """The k nearest of all rows: pgvector's nearest and whatever its rounding may have put behind them."""
        rows, far = table.nearest(query, k + _MORE)
        # As far as two distances in float32 may stand apart that are one: each is off by (width + 2) · 2^-23 at most.
        margin = 2 * (self.width + 2) * 2.0**-23
        if len(rows) == k + _MORE and far[-1] <= far[k - 1] + margin:
            rows = table.within(query, float(far[k - 1]) + margin)
        return _best(table, query, rows, k)

    def _near(self, table: Table, query: NDArray[np.float32], k: int, probes: int) -> exact.Found:
        """The best of the index's candidates; of all rows when it knows too few, as under a filter that keeps few."""
        rows = table.approximate(query, self.width, min(max(probes, k), _MOST))
        return _best(table, query, rows, k) if len(rows) >= k else self._exact(table, query, k)

    def _fused(self, table: Table, query: NDArray[np.float32], text: str, k: int) -> exact.Found:
        depth = max(k, _DEPTH)
        spoken, near = words(text), self._exact(table, query, depth)[0]
        rows = fuse([near, table.lexical(spoken, depth) if spoken else near[:0]])[:k]
        ranked, scores = _best(table, query, rows, k)
        return rows, scores[np.argsort(ranked)][np.argsort(np.argsort(rows))]

    def _probes(self) -> int:
        index = self.approximate
        if index is None:
            raise no_index(self._link, self._rows)
        return index.probes

    def _hits(self, table: Table, found: list[exact.Found]) -> list[list[Hit]]:
        wanted = np.unique(np.concatenate([rows for rows, _ in found]))
        told = lines(self._schema, table.take(wanted, self._schema.names))
        columns = dict(zip(wanted.tolist(), told, strict=True))
        return [
            [Hit(row, score, dict(columns[row])) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)]
            for rows, scores in found
        ]


def _known(table: Table) -> dict[str, Any]:
    told = table.told()
    if not told or '"fingerprint"' not in told:
        raise BadFolder(
            f"{table.link} is not a store: the table says not whose vectors it holds. Name another ?table=."
        )
    return about.parsed(told, table.link)


def _schema(known: dict[str, Any]) -> pa.Schema:
    """The user's columns in Arrow's types."""
    return (
        pa.ipc.read_schema(pa.py_buffer(base64.b64decode(known["columns"]))) if known.get("columns") else pa.schema([])
    )


def _in_order(table: Table, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The vectors of these rows, (m, width), in their order."""
    found, vectors = table.vectors(rows)
    return vectors[np.argsort(found)][np.argsort(np.argsort(rows))]


def _best(table: Table, query: NDArray[np.float32], among: NDArray[np.int64], k: int) -> exact.Found:
    """The k best of these rows by their cosines in float64."""
    found, vectors = table.vectors(among)
    if not len(found):
        return found, np.empty(0, np.float32)
    places, scores = exact.nearest(normalized(vectors).astype(np.float32), query[None], k)[0]
    return found[places], scores
