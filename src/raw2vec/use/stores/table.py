"""Lance's side of a store, wherever its home is: what LanceDB (https://lancedb.github.io/lancedb/) reads and indexes.

The table `rows` holds a store's rows: `_row` (their number in the order they came, from 0), `_source` and `_position`
(where a row comes from), `vector`, the user's columns, and `_words` when a text column is searched by words. Every
write is one Lance transaction: it is there whole, or not at all. In a bucket there is no table before the first rows,
and `_batch` tells with which row a commit began (see bucket.py). Rows mostly lie in the order of their numbers: Lance,
merging files of which some are in an index and some not, may put the later ones first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raw2vec.errors import BadFolder, BadInput, nearest
from raw2vec.use.stores.base import Home, reason

_SCAN = 1 << 17  # rows a batch of one narrow column: six times faster than in Lance's default batches
_READ = 1 << 14  # rows a batch of vectors
_OWN = ("_row", "_source", "_position", "vector", "_words", "_batch")


class Table:
    """The rows of one store, at one version of its table."""

    def __init__(self, home: Home, inner: Any):
        self.home, self._inner = home, inner

    @classmethod
    def create(cls, home: Home, about: str, width: int, store: str) -> Table:
        """A new store's table of no rows; the user's columns join it with the first rows."""
        return cls(home, home.create(about, _schema(width, store)))

    @classmethod
    def open(cls, home: Home, store: str) -> Table:
        """The newest version; BadFolder when the table is missing, damaged or another store's."""
        with home.reading():
            table = cls(home, home.open())
            marks = {} if table._inner is None else table._inner.schema.metadata or {}
        if table._inner is not None and marks.get(b"raw2vec.store") != store.encode():
            raise BadFolder(f"The store {home} holds the rows of another store. Index the data again.")
        return table

    def refresh(self) -> None:
        with self.home.reading():
            if self._inner is None:
                self._inner = self.home.open()
            else:
                self._inner.checkout_latest()

    def __len__(self) -> int:
        with self.home.reading():
            return 0 if self._inner is None else int(self._inner.count_rows())

    @property
    def version(self) -> int:
        return 0 if self._inner is None else int(self._inner.version)

    @property
    def schema(self) -> pa.Schema:
        """The user's columns."""
        fields = () if self._inner is None else self._inner.schema
        return pa.schema([field for field in fields if field.name not in _OWN])

    @property
    def settled(self) -> bool:
        """Whether the user's columns are settled: by the first rows, in a bucket by the table that waits for them."""
        return self._inner is not None and ("_batch" in self._inner.schema.names or len(self) > 0)

    def append(self, rows: pa.Table, store: str) -> bool:
        """Commits the rows; False when another writer's came before them. The first ones bring the columns."""
        table = self.home.append(self._inner, rows.replace_schema_metadata({"raw2vec.store": store}))
        self._inner = self._inner if table is None else table
        return table is not None

    def next_position(self, source: str) -> int:
        """One more than the last position of a source among the rows, 0 for an unknown source."""
        if self._inner is None:
            return 0
        with self.home.reading():
            found = self._inner.search().where(_of(source)).select(["_position"]).limit(None)
            last = [pc.max(batch["_position"]).as_py() for batch in found.to_batches(_SCAN) if len(batch)]
        return max(last) + 1 if last else 0

    def count(self, source: str) -> int:
        """How many rows are of a source."""
        with self.home.reading():
            return 0 if self._inner is None else int(self._inner.count_rows(_of(source)))

    def vectors(self, start: int) -> Iterator[NDArray[np.float32]]:
        """The vectors as they were given, from row `start` on, (n, width) at a time."""
        with self.home.reading():
            asked = self._inner.search().where(f"_row >= {start}").select(["_row", "vector"]).limit(None)
            for batch in asked.to_batches(_READ):
                rows = batch["_row"].to_numpy()
                if not np.array_equal(rows, np.arange(start, start + len(rows))):
                    yield from self._sorted_vectors(start)
                    return
                start += len(rows)
                yield _matrix(batch["vector"])

    def _sorted_vectors(self, start: int) -> Iterator[NDArray[np.float32]]:
        """The same where rows do not lie in the order of their numbers."""
        offsets = self._offsets()
        for first in range(start, len(offsets), _READ):
            found = self._inner.take_offsets(offsets[first : first + _READ].tolist()).select(["_row", "vector"])
            yield _matrix(found.to_arrow().sort_by("_row")["vector"].combine_chunks())

    def _offsets(self) -> NDArray[np.int64]:
        """Where each row lies, (rows,); BadFolder when there are not all of them."""
        batches = self._inner.search().select(["_row"]).limit(None).to_batches(_SCAN)
        rows = np.concatenate([np.empty(0, np.int64), *(batch["_row"].to_numpy() for batch in batches)])
        offsets = np.argsort(rows)
        if not np.array_equal(rows[offsets], np.arange(len(rows))):
            raise BadFolder(f"Rows of the store {self.home} were removed. Index the data again.")
        return offsets

    def matching(self, where: str) -> NDArray[np.int64]:
        """The numbers of the rows for which the SQL expression is true, sorted."""
        try:
            asked = self._inner.search().where(f"({where})").select(["_row"]).limit(None)
            found = [batch["_row"].to_numpy() for batch in asked.to_batches(_SCAN)]
        except (ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "Query Execution error" not in str(error):
                with self.home.reading():
                    raise
            raise self._bad_filter(where, error) from error
        return np.sort(np.concatenate([np.empty(0, np.int64), *found]))

    def _bad_filter(self, where: str, error: Exception) -> BadInput:
        unknown = re.search(r"No field named ([^\s]+)\. Valid", str(error))
        names = self.schema.names
        if unknown:
            name = unknown[1].strip('"')
            reading_of_it = f"there is no column '{name}'.{nearest(name, names)}"
        else:
            reading_of_it = f"{reason(error).removeprefix('Invalid input, ')}."
        listed = ", ".join(f"`{name}`" if not name.isidentifier() or name != name.lower() else name for name in names)
        return BadInput(f"The filter {where!r} cannot be used: {reading_of_it} The columns are: {listed or 'none'}.")

    def take(self, rows: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        """The user's columns of these rows, by row."""
        names, wanted = self.schema.names, np.unique(rows)
        if not names or not len(wanted):
            return {row: {} for row in wanted.tolist()}
        with self.home.reading():
            found = self._at(wanted, names)
            if not np.array_equal(np.sort(found["_row"].to_numpy()), wanted):
                offsets = self._offsets()
                if wanted[-1] >= len(offsets):
                    raise BadFolder(f"Rows of the store {self.home} were removed. Index the data again.")
                found = self._at(offsets[wanted], names)
        return {line.pop("_row"): line for line in found.to_pylist()}

    def _at(self, offsets: NDArray[np.int64], names: list[str]) -> pa.Table:
        return self._inner.take_offsets(offsets.tolist()).select(["_row", *names]).to_arrow()

    def approximate(self, query: NDArray[np.float32], count: int, probes: int, where: str | None) -> NDArray[np.int64]:
        """About `count` rows near the query by the vector index, sorted by number."""
        asked = self._inner.search(query, vector_column_name="vector").distance_type("cosine").nprobes(probes)
        return np.sort(self._rows(asked, "_distance", count, where)["_row"].to_numpy())

    def lexical(self, words: str, count: int, where: str | None) -> NDArray[np.int64]:
        """The rows best matched by any of the words (BM25), best first, equal scores in the order of the rows."""
        from lancedb.query import MatchQuery

        asked = self._inner.search(MatchQuery(words, "_words"), query_type="fts")
        found = self._rows(asked, "_score", count, where)
        rows = found["_row"].to_numpy()
        return rows[np.lexsort((rows, -found["_score"].to_numpy()))]

    def _rows(self, asked: Any, score: str, count: int, where: str | None) -> pa.Table:
        asked = asked.limit(count).select(["_row", score])
        with self.home.reading():
            if where is None:
                return asked.to_arrow()
            try:
                return asked.where(f"({where})").to_arrow()
            except (ValueError, RuntimeError):
                self.matching(where)  # which says what is wrong with the filter, if that is it
                raise

    def has_index(self, column: str) -> bool:
        with self.home.reading():
            return any(column in index.columns for index in self._inner.list_indices())

    def index_words(self) -> None:
        """English stems without stop words: MRR@10 0.285 for docstrings against functions, 0.239 with neither."""
        from lancedb.index import FTS

        self._inner.create_index("_words", config=FTS(base_tokenizer="whitespace"))

    def index_vectors(self, width: int) -> int:
        """Partitions of about the square root of the rows, RaBitQ codes inside; gives the number of partitions.

        At 100,000 × 384 RaBitQ (Gao & Long 2024) took a ninth of product quantisation's time to build and found more.
        It needs a width divisible by 8; other widths keep whole vectors.
        """
        from lancedb.index import IvfFlat, IvfRq

        partitions = max(1, round(len(self) ** 0.5))
        kind = IvfRq if width % 8 == 0 else IvfFlat
        self._inner.create_index("vector", config=kind(distance_type="cosine", num_partitions=partitions))
        return partitions

    def tidy(self) -> None:
        """Merges small files, brings indexes up to date and removes old versions. Only for the one who writes."""
        if self._inner is not None:
            self.home.tidy(self._inner)


def _of(source: str) -> str:
    return "_source = '" + source.replace("'", "''") + "'"


def _matrix(vectors: pa.FixedSizeListArray) -> NDArray[np.float32]:
    return vectors.flatten().to_numpy().reshape(len(vectors), -1)


def _schema(width: int, store: str) -> pa.Schema:
    fields = [("_row", pa.int64()), ("_source", pa.string()), ("_position", pa.int64())]
    return pa.schema([*fields, ("vector", pa.list_(pa.float32(), width))], metadata={"raw2vec.store": store})
