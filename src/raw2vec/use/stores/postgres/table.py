"""A store's table in SQL: all that is said to PostgreSQL is said here. Values are parameters, names are quoted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.use.stores.postgres.link import Link
from raw2vec.use.stores.postgres.where import refused, translated

if TYPE_CHECKING:
    import psycopg

_WIDEST, _WIDEST_INDEXED, _WIDEST_WHOLE = 16_000, 4_000, 2_000  # numbers of a vector, pgvector's limits
_OWN = ["_row", "_source", "_position", "vector"]
_OWN_TYPES = ["int8", "text", "int8", "vector"]
_INLINE = 1_900  # numbers of a vector that fit into a page beside other columns
_FAR = "coalesce(nullif(vector <=> %(query)s, 'NaN'), 1)"  # a vector of zeros is at right angles to all


class Table:
    """The table of a store, within one transaction; of its first `rows` rows those that the filter keeps."""

    def __init__(
        self,
        link: Link,
        cursor: psycopg.Cursor[Any],
        rows: int = 0,
        where: str | None = None,
        columns: Sequence[str] = (),
    ):
        self.link, self._cursor, self._rows, self._columns = link, cursor, rows, columns
        self._where = where
        self._kept = "_row < %(rows)s"
        if where is not None:
            asked = translated(where, columns)
            for sign in "%{}":  # which say something to psycopg
                asked = asked.replace(sign, 2 * sign)
            self._kept += f" AND ({asked})"
        self._by_index = False

    def exists(self) -> bool:
        return self._one("SELECT to_regclass(%(name)s)", name=self._name()) is not None

    def told(self) -> str | None:
        """The table's comment; BadFolder where there is no table."""
        found: str | None = self._one("SELECT obj_description(%(name)s::regclass, 'pg_class')", name=self._name())
        return found

    def tell(self, about: str) -> None:
        self._do("COMMENT ON TABLE {table} IS {about}", about=about)

    def create(self, width: int, about: str, spoken: bool) -> None:
        """The table without the user's columns, and pgvector's types where the database has them not."""
        if width > _WIDEST:
            raise BadInput(f"pgvector keeps vectors of at most {_WIDEST:,} numbers, not of {width:,}.")
        self._cursor.execute("SELECT pg_advisory_xact_lock(hashtext('raw2vec'))")  # two may create at once
        if self.exists():
            raise BadInput(f"{self.link} is a table already. Open it, or name another one by ?table=.")
        self._extend()
        words = ", _words text, _lexemes tsvector GENERATED ALWAYS AS (to_tsvector('english', _words)) STORED"
        self._do(
            "CREATE TABLE {table} (_row bigint PRIMARY KEY, _source text NOT NULL, _position bigint NOT NULL, "
            f"vector vector({int(width)}) NOT NULL{words if spoken else ''}, UNIQUE (_source, _position))"
        )
        if width <= _INLINE:  # out of line, as such long values usually are, each costs a search in another table
            self._do("ALTER TABLE {table} ALTER COLUMN vector SET STORAGE MAIN")
        self.tell(about)

    def drop(self) -> None:
        self._do("DROP TABLE {table}")

    def lock(self) -> None:
        """Other writers wait until the transaction ends; readers do not."""
        self._do("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    def count(self) -> int:
        return int(self._one("SELECT coalesce(max(_row) + 1, 0) FROM {table}"))

    def count_of(self, source: str) -> int:
        """How many rows are of a source."""
        return int(self._one("SELECT count(*) FROM {table} WHERE _source = %(source)s", source=source))

    def next_position(self, source: str) -> int:
        """One more than the last position of a source, 0 for an unknown source."""
        found = self._one("SELECT max(_position) + 1 FROM {table} WHERE _source = %(source)s", source=source)
        return int(found or 0)

    def add_columns(self, schema: pa.Schema, kinds: list[str], about: str) -> None:
        """The user's columns, which the first rows bring."""
        for name, kind in zip(schema.names, kinds, strict=True):
            self._do(f"ALTER TABLE {{table}} ADD COLUMN {{column}} {kind}", column=[name])
        self.tell(about)

    def copy(self, names: list[str], kinds: list[str], columns: Sequence[Sequence[Any]], spoken: bool) -> None:
        """Writes rows: their own columns, then the user's."""
        own = [*_OWN, *(["_words"] if spoken else [])]
        command = self._sql("COPY {table} ({columns}) FROM STDIN WITH (FORMAT BINARY)", columns=[*own, *names])
        with self._cursor.copy(command) as copy:
            copy.set_types([*_OWN_TYPES, *(["text"] if spoken else []), *kinds])
            for row in zip(*columns, strict=True):
                copy.write_row(row)

    def tidy(self, spoken: bool) -> None:
        """The words' index, where there are words, and figures for the planner."""
        if spoken:
            self._do("CREATE INDEX IF NOT EXISTS {index} ON {table} USING gin (_lexemes)", index=self._index("words"))
        self._do("ANALYZE {table}")

    def index_vectors(self, width: int, rows: int) -> None:
        """An HNSW graph (Malkov & Yashunin 2018) in the place of an earlier one, readers going on meanwhile.

        Above 2,000 numbers its vectors are float16.
        """
        if width > _WIDEST_INDEXED:
            raise BadInput(
                f"pgvector's index takes vectors of at most {_WIDEST_INDEXED:,} numbers, not of {width:,}: "
                "search exactly."
            )
        room = min(
            max(64, rows * (4 * width + 400) * 12 // 10 >> 20), 1024
        )  # a graph beyond it is built ten times slower
        self._set("maintenance_work_mem", f"{room}MB")
        new, old = self._index("new"), self._index("hnsw")
        way = "halfvec_cosine_ops" if width > _WIDEST_WHOLE else "vector_cosine_ops"
        self._do(f"CREATE INDEX {{new}} ON {{table}} USING hnsw (({_indexed(width)}) {way})", new=new)
        self._do("DROP INDEX IF EXISTS {old}", old=[*self.link.names[:-1], *old])
        self._do("ALTER INDEX {new} RENAME TO {old}", new=[*self.link.names[:-1], *new], old=old)

    def nearest(self, query: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The rows nearest to the query by a look at all, nearest first, and their distances, 1 - cosine."""
        self._plan(by_index=False)
        asked = f"SELECT _row, {_FAR} AS far FROM {{table}} WHERE {self._kept} ORDER BY far, _row LIMIT %(count)s"
        found = self._found(asked, query=query, count=count)
        return np.array([row for row, _ in found], np.int64), np.array([far for _, far in found], np.float64)

    def within(self, query: NDArray[np.float32], far: float) -> NDArray[np.int64]:
        """All rows no farther from the query."""
        asked = f"SELECT _row FROM {{table}} WHERE {self._kept} AND {_FAR} <= %(far)s"
        return np.array([row for (row,) in self._found(asked, query=query, far=far)], np.int64)

    def approximate(self, query: NDArray[np.float32], width: int, count: int) -> NDArray[np.int64]:
        """About `count` rows near the query, by the index."""
        self._plan(by_index=True)
        self._set("hnsw.ef_search", str(count))
        self._set("hnsw.iterative_scan", "relaxed_order" if self._where else "off")
        far = (
            f"{_indexed(width)} <=> {'%(query)s' if width <= _WIDEST_WHOLE else f'%(query)s::vector::halfvec({width})'}"
        )
        asked = f"SELECT _row FROM {{table}} WHERE {self._kept} ORDER BY {far} LIMIT %(count)s"
        return np.array([row for (row,) in self._found(asked, query=query, count=count)], np.int64)

    def lexical(self, words: str, count: int) -> NDArray[np.int64]:
        """The rows best matched by any of the words (English stems, `ts_rank`), best first, equal ones by row."""
        any_of = " | ".join(f"'{word}'" for word in words.split())
        asked = (
            "SELECT _row FROM {table}, to_tsquery('english', %(words)s) AS asked "
            f"WHERE _lexemes @@ asked AND {self._kept} ORDER BY ts_rank(_lexemes, asked, 1) DESC, _row LIMIT %(count)s"
        )
        return np.array([row for (row,) in self._found(asked, words=any_of, count=count)], np.int64)

    def vectors(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """These rows, sorted, with their vectors (m, width)."""
        asked = "SELECT _row, vector FROM {table} WHERE _row = ANY(%(rows)s) ORDER BY _row"
        self._cursor.execute(self._sql(asked), {"rows": rows.tolist()})
        found = self._cursor.fetchall()
        vectors = np.array([vector.to_numpy() for _, vector in found], np.float32)
        return np.array([row for row, _ in found], np.int64), vectors

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> list[Sequence[Any]]:
        """The user's columns of these rows, in the order of their numbers."""
        if not len(names):
            return [()] * len(rows)
        asked = self._sql("SELECT {columns} FROM {table} WHERE _row = ANY(%(rows)s) ORDER BY _row", columns=names)
        self._cursor.execute(asked, {"rows": rows.tolist()})
        return self._cursor.fetchall()

    def _found(self, asked: str, **values: Any) -> list[Any]:
        """What a query under the filter finds; BadInput where the filter cannot be used."""
        from psycopg import DataError, ProgrammingError

        try:
            self._cursor.execute(self._sql(asked), {"rows": self._rows, **values})
            return self._cursor.fetchall()
        except (DataError, ProgrammingError) as error:
            if self._where is None:
                raise
            raise refused(self._where, f"{self.link.words(error)}.", self._columns) from error

    def _extend(self) -> None:
        from psycopg.errors import FeatureNotSupported, InsufficientPrivilege, UndefinedFile

        try:
            self._cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except (FeatureNotSupported, InsufficientPrivilege, UndefinedFile) as error:
            raise BadInput(
                f"{self.link}: the database has no pgvector ({self.link.words(error)}). "
                "Have it installed on the server, and its owner say CREATE EXTENSION vector there."
            ) from error
        self.link.learn_vectors()

    def _plan(self, by_index: bool) -> None:
        """Has the planner take the vectors' index, where it would rather look at all rows, or leaves it its choice."""
        if by_index != self._by_index:
            self._by_index = by_index
            for name in ("enable_seqscan", "enable_sort"):
                self._set(name, "off" if by_index else "on")

    def _set(self, name: str, value: str) -> None:
        """A setting, until the transaction ends."""
        self._cursor.execute("SELECT set_config(%s, %s, true)", (name, value))

    def _one(self, query: str, **values: Any) -> Any:
        self._cursor.execute(self._sql(query), values)
        row = self._cursor.fetchone()
        return row[0] if row else None

    def _do(self, command: str, **parts: Any) -> None:
        self._cursor.execute(self._sql(command, **parts))

    def _sql(self, command: str, **parts: Any) -> Any:
        """The command with lists as quoted names and texts as literals; `{table}` is the table."""
        from psycopg import sql

        def quoted(part: Any) -> Any:
            if isinstance(part, str):
                return sql.Literal(part)
            return sql.SQL(", ").join(map(sql.Identifier, part))

        return sql.SQL(command).format(table=self.link.table, **{name: quoted(part) for name, part in parts.items()})

    def _name(self) -> str:
        return ".".join(f'"{name}"' for name in self.link.names)

    def _index(self, what: str) -> list[str]:
        return [f"{self.link.names[-1]}_{what}"]


def _indexed(width: int) -> str:
    """What the index holds."""
    return "vector" if width <= _WIDEST_WHOLE else f"vector::halfvec({int(width)})"
