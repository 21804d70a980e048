"""What every store answers to, wherever it keeps its rows: the verbs, the hits, and how disks are complained about."""

from __future__ import annotations

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from raw2vec.addresses import shown
from raw2vec.disk import cause, replace
from raw2vec.errors import BadFolder, BadInput, MissingExtra, NonFinite, Raw2VecError, Unwritable, nearest

LEAST_ROWS = 150_000
"""Below so many rows exact search is faster than an approximate index."""
ROWS = "rows"
"""What a store's Lance table is called."""
Mode = Literal["exact", "approximate", "hybrid", "rescored"]
_PLACE_IN_RUST = re.compile(r",? /\S+\.rs:\d+(:\d+)?")


@dataclass(frozen=True)
class Hit:
    """A row that was found: its number in the store, its cosine with the query, and its metadata columns."""

    row: int
    score: float
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Approximate:
    """What an approximate index was measured to do: recall@10 against exact search, and its price for a query."""

    recall: float
    milliseconds: float
    exact_milliseconds: float
    probes: int
    queries: int
    rows: int

    def __str__(self) -> str:
        return (
            f"recall@10 {self.recall:.3f} on {self.queries} held-out queries over {self.rows:,} rows, "
            f"{self.milliseconds:.1f} ms a query (exact: {self.exact_milliseconds:.1f} ms)"
        )


class VectorStore(ABC):
    """Vectors and columns in, hits out. A store holds one space: the vectors of the model with its `fingerprint`."""

    width: int
    fingerprint: str
    model: str
    text: str | None
    vectors: str = "float32"
    """What a search reads first: every number, or small vectors, int8 or binary, whose best are scored again."""

    @property
    def usual_mode(self) -> Mode:
        """How it is searched unless it is said."""
        return "exact" if self.vectors == "float32" else "rescored"

    @abstractmethod
    def __len__(self) -> int:
        """Rows in the version that this handle reads."""

    @abstractmethod
    def resume_point(self, source: str) -> int:
        """How many of a source's rows are dealt with: the position that an interrupted indexing run goes on from."""

    @abstractmethod
    def count(self, source: str) -> int:
        """How many rows of a source are there."""

    @abstractmethod
    def settle(self, source: str, reading: str, name: str = "") -> None:
        """Notes how a source's rows become vectors (of which column, by which side), and the file that they come from;
        BadInput where rows of it are there that became so otherwise, or that came from that file when it was another.
        Stores of before such notes take their sources as they come."""

    @abstractmethod
    def add(
        self,
        vectors: ArrayLike,
        columns: pa.Table | pa.RecordBatch | None = None,
        *,
        source: str = "",
        positions: ArrayLike | None = None,
    ) -> int:
        """Commits rows in one transaction and tells how many were new; positions already committed are left out."""

    @abstractmethod
    def finish(self) -> None:
        """Tidies up after a run of adds: small files merged, indexes brought up to date, old versions removed."""

    @abstractmethod
    def discard(self) -> None:
        """Removes a store that holds no rows; one that holds some is left as it is."""

    @abstractmethod
    def refresh(self) -> None:
        """Moves this handle to the newest version, which other processes may have written."""

    @abstractmethod
    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        where: str | None = None,
        texts: Sequence[str] | None = None,
        mode: Mode | None = None,
        rescore: int | None = None,
    ) -> list[list[Hit]]:
        """The k rows nearest to each query by cosine, best first, equal scores in the order of their rows.

        rescore: how many times k the small vectors put first, to be scored by their own numbers; 4 unless said.
        BadInput where nothing is scored again.
        """

    @abstractmethod
    def build_approximate_index(self, queries: ArrayLike | None = None, *, seed: int = 0) -> Approximate:
        """Builds the index behind `mode="approximate"` and measures its recall@10 on held-out queries."""


class Home(ABC):
    """Where a store on LanceDB keeps its table and what it is, and how writers there keep out of each other's way.

    As text it is what messages call the store.
    """

    @abstractmethod
    def connect(self) -> Any:
        """LanceDB's connection; MissingExtra without LanceDB."""

    @abstractmethod
    def told(self) -> str | None:
        """What the store says of itself, as JSON; None where there is no store. OSError when it cannot be read."""

    @abstractmethod
    def tell(self, about: str) -> None:
        """Replaces that in one step."""

    @abstractmethod
    def create(self, about: str, schema: pa.Schema) -> Any:
        """An empty store's table, or None where the first rows make it; BadInput when anything is there already."""

    @abstractmethod
    def open(self) -> Any:
        """The table at its newest version, or None where no rows have made it yet."""

    @abstractmethod
    def append(self, table: Any, rows: pa.Table) -> Any:
        """The table with the rows committed; None when another writer's rows came before them: number them anew.

        The first rows bring the table's columns with them.
        """

    @abstractmethod
    def tidy(self, table: Any) -> None:
        """Merges small files, brings indexes up to date and removes old versions. Only within `writer()`."""

    @abstractmethod
    def discard(self) -> None:
        """Removes the store."""

    @abstractmethod
    def cache(self, store: str) -> Path:
        """The folder in which the matrix of the store with this id is kept."""

    @abstractmethod
    def writer(self) -> AbstractContextManager[None]:
        """Held while something is written; what stops it becomes Unwritable or Unreachable."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """What stops a read becomes a BadFolder or Unreachable."""


def connected(place: Any, **options: Any) -> Any:
    """LanceDB's connection to a place; MissingExtra without LanceDB."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # its warnings are about its own workings
    try:
        import lancedb
    except ImportError as error:
        raise MissingExtra("lancedb", "store", "A store in a folder or a bucket") from error
    return lancedb.connect(place, **options)


def refuse_search(k: int, mode: str, rescore: int | None = None) -> None:
    """BadInput for fewer hits than one, a mode that there is not, or a `rescore` where it scores nothing again."""
    modes = get_args(Mode)
    if mode not in modes:
        raise BadInput(f"There is no search mode '{mode}', only {', '.join(modes)}.{nearest(mode, modes)}")
    if rescore is not None and mode != "rescored":
        raise BadInput(f"A search in the mode {mode} scores no rows again: leave out --rescore, or that mode.")
    if k < 1:
        raise BadInput(f"A search asks for k = 1 hit or more, not {k}.")


def refuse_texts(store: object, text: str | None, texts: Sequence[str] | None, queries: int) -> None:
    """BadInput where a hybrid search lacks words: of the store, or of each of the queries."""
    if text is None:
        raise BadInput(f"The store {store} was created without a text column, so it has no words to search.")
    if texts is None or isinstance(texts, str) or len(texts) != queries:
        raise BadInput(f"A hybrid search needs one text a query, {queries} of them, in `texts`.")
    for number, words in enumerate(texts):
        if not isinstance(words, str):
            raise BadInput(
                f"A hybrid search reads words, and query {number} is no text but a {type(words).__name__}: "
                "ask with a text, or search exactly."
            )


def no_index(store: object, rows: int) -> BadInput:
    """The error for an approximate search where there is no index for it."""
    advice = "Search exactly: of so few rows it is faster" if rows < LEAST_ROWS else "Build one, or search exactly"
    return BadInput(f"The store {store} has no approximate index. {advice}.")


def split(address: str) -> SplitResult:
    """The parts of an address; BadInput where it cannot be cut into them."""
    try:
        return urlsplit(address)
    except ValueError:
        raise BadInput(
            f"{shown(address)} cannot be read: '[' and ']' stand only around an IPv6 host. Elsewhere write [ as %5B, "
            "and ] as %5D."
        ) from None


def refuse_few(store: object, rows: int, least: int) -> None:
    """BadInput where exact search is faster than any index."""
    if rows < max(least, 2):
        raise BadInput(
            f"The store {store} has {rows:,} rows. Exact search is faster than an approximate "
            f"index below {max(least, 2):,} rows; search it exactly."
        )


def checked(vectors: ArrayLike, width: int, name: str) -> NDArray[np.float32]:
    """`vectors` as (n, width) float32; BadInput for another shape, NonFinite with the first bad index."""
    array = np.asarray(vectors)
    if array.dtype.kind not in "fiu":
        raise BadInput(f"The {name} must be numbers, not {array.dtype}.")
    if array.ndim != 2 or array.shape[1] != width:
        raise BadInput(f"The {name} have shape {array.shape}; this store takes (n, {width}).")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise NonFinite(f"The {name} hold a NaN or an infinity at index {bad[0]} ({len(bad)} such rows in all).")
    return array


def normalized(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each row of (n, width) divided by its length, float64; a row of zeros stays zeros, so its cosines are 0."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.vecdot(wide, wide))[:, None]
    return np.divide(wide, lengths, out=wide, where=lengths > 0)


def fuse(rankings: Sequence[NDArray[np.int64]], constant: int = 60) -> NDArray[np.int64]:
    """One ranking of rows out of several: reciprocal rank fusion (Cormack, Clarke & Büttcher 2009), ties by row."""
    rows, places = np.unique(np.concatenate(rankings), return_inverse=True)
    shares = np.concatenate([1 / (constant + 1 + np.arange(len(ranking))) for ranking in rankings])
    order: NDArray[np.intp] = np.lexsort((rows, -np.bincount(places, shares, minlength=len(rows)).round(12)))
    return rows[order]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What stops a write (full disk, read-only folder), as Unwritable: the store is as it was before."""
    try:
        yield
    except Raw2VecError:
        raise
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        number = cause(error)
        told = os.strerror(number) if number else reason(error)
        raise Unwritable(f"Cannot write to the store {folder}: {told}. The store is as it was.") from error


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """What stops a read (files missing or damaged), as a BadFolder."""
    try:
        yield
    except Raw2VecError:
        raise
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        raise BadFolder(
            f"The store {folder} cannot be read, files of it are missing or damaged: {reason(error)}. "
            "Index the data again into a new folder."
        ) from error


def reason(error: Exception) -> str:
    """An error's own words without the places in somebody's source code, on one line and not endless."""
    words = " ".join(_PLACE_IN_RUST.sub("", str(error)).split()).rstrip(". ")
    return words if len(words) <= 400 else words[:400] + "…"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces a small file in one step: a reader finds the old one or the new one, whole. For a lock's holder."""
    replace(path, json.dumps(content, indent=2, ensure_ascii=False), path.with_name(f"{path.name}.tmp"))
