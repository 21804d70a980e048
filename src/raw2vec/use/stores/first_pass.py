"""A first pass over small vectors: a store's rows in 8 bits a number or in one, made from its matrix, kept beside it.

It reads a quarter or a thirty-second of what exact search does; the best of what it finds are scored again by their
own numbers (Yamada et al. 2021). What is here can be made anew from the matrix, and is where it does not fit it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raw2vec.calibration import Ranges
from raw2vec.disk import locked
from raw2vec.errors import BadInput
from raw2vec.errors import nearest as nearest_name
from raw2vec.use.compact import Form, as_bits, differing, read_ranges, write_ranges
from raw2vec.use.stores.exact import Found, Rows, nearest

KINDS = ("float32", "int8", "binary")
_BLOCK = 1 << 15  # rows at a time
_CACHED = 1 << 10  # rows of int8 that are float32 at a time, in a core's cache: a fifth of the time of _BLOCK
_CALIBRATED_ON = 20_000  # rows at least, spread over the store as it is when ranges are first asked for


def refuse_vectors(kind: str) -> None:
    """BadInput for what a store's first pass does not read."""
    if kind not in KINDS:
        raise BadInput(
            f"A store is searched by vectors of {', '.join(KINDS)}, not '{kind}'.{nearest_name(kind, KINDS)}"
        )


class FirstPass:
    """The small vectors of a store's rows, of a `kind`: int8, binary, or float32, of which there are none."""

    def __init__(self, folder: Path, store: str, width: int, kind: str):
        self._folder, self._store, self._width, self._kind = folder, store, width, kind
        self._form: Form | None = None
        self._file: Rows[Any] | None = None

    def nearest(
        self,
        values: NDArray[np.float32],
        queries: NDArray[np.float32],
        k: int,
        rescore: int,
        kept: NDArray[np.int64] | None = None,
    ) -> list[Found]:
        """For each of (q, width) queries the k best, by cosine, of the `rescore` times k that small vectors rank first.

        values (n, width): all rows at length one. `kept` (m,), sorted, narrows the search to these rows.
        """
        if self._kind == "float32":
            raise BadInput(
                f"The store {self._folder} holds no small vectors to search first: search it exactly, or index the "
                "data with --vectors int8 or binary."
            )
        if rescore < 1:
            raise BadInput(f"A search scores k rows again, or more times as many, not {rescore} times.")
        count = k * rescore
        if count >= len(values if kept is None else kept):
            return nearest(values, queries, k, kept)
        small = self._small(values)
        among = [self._promising(small, query, count, kept) for query in queries]
        return [nearest(values, query[None], k, rows)[0] for query, rows in zip(queries, among, strict=True)]

    def write(self, values: NDArray[np.float32]) -> None:
        """Makes the small vectors of all rows, so that no search has to."""
        if len(values) and self._kind != "float32":
            self._small(values)

    def _small(self, values: NDArray[np.float32]) -> NDArray[Any]:
        if self._file is None or self._form is None:
            self._form = Form(self._kind, ranges=self._ranges(values) if self._kind == "int8" else None)  # type: ignore[arg-type]
            mark = self._store + self._form.told().get("ranges", "")  # rows in other ranges are not taken for these
            place, width = self._folder / f"small.{self._kind}", self._form.of(values[:1]).shape[1]
            self._file = Rows(place, mark, width, np.int8 if self._kind == "int8" else np.uint8)
        form = self._form

        def made(start: int) -> Iterator[NDArray[Any]]:
            for first in range(start, len(values), _BLOCK):
                yield form.of(values[first : first + _BLOCK])

        return self._file.first(len(values), made)

    def _ranges(self, values: NDArray[np.float32]) -> Ranges:
        """Those in the folder, or new ones of these rows, kept there for rows to come where it can be written to."""
        place = self._folder / "ranges.npy"
        if place.exists():
            return read_ranges(place, self._width)
        drawn = values[:: max(len(values) // _CALIBRATED_ON, 1)]
        ranges = np.stack([drawn.min(axis=0), drawn.max(axis=0)])
        try:
            with locked(self._folder / "small.lock"):
                if not place.exists():  # it may have been waited for
                    write_ranges(self._folder, ranges)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.ENOENT, errno.EPERM, errno.EROFS):
                raise
            return ranges
        return read_ranges(place, self._width)

    def _promising(
        self, small: NDArray[Any], query: NDArray[np.float32], count: int, kept: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """The rows (count,) that the first pass puts first, sorted; of equal ones the first."""
        rows = np.arange(len(small)) if kept is None else kept
        parts = [
            self._scores(small[start : start + _BLOCK] if kept is None else small[rows[start : start + _BLOCK]], query)
            for start in range(0, len(rows), _BLOCK)
        ]
        scores = np.concatenate(parts)
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        return rows[np.sort(np.concatenate([above, equal[: count - len(above)]]))]

    def _scores(self, small: NDArray[Any], query: NDArray[np.float32]) -> NDArray[Any]:
        """(n, …) small vectors to (n,): more is nearer."""
        if self._kind == "binary":
            return -differing(small, as_bits(query[None])[0])
        assert self._form is not None
        assert self._form.ranges is not None, "int8 has some"
        least, greatest = self._form.ranges
        # What steps stand for is linear in them: the query takes their length, and the rest is the same for all rows.
        asked = query * (greatest - least)
        parts = [small[start : start + _CACHED].astype(np.float32) @ asked for start in range(0, len(small), _CACHED)]
        return np.concatenate(parts)
