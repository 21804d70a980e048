"""Vectors in fewer bytes: their first numbers alone, each in 16 bits, in 8 or in one; and search that starts from such.

The bytes are those of sentence-transformers' `quantize_embeddings` (int8, and ubinary for `binary`), so that what takes
its vectors takes these. A search looks through all of them, and weighs the best of what it finds once more against the
query's own numbers (rescoring; Yamada et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raw2vec.disk import replacing
from raw2vec.errors import BadInput, nearest
from raw2vec.use.base import Small

Kind = Literal["float32", "float16", "int8", "binary"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CALIBRATED_ON = 2000
"""Items whose vectors tell how far each number goes."""
_BLOCK = 1 << 16  # vectors looked through at a time

Ranges = NDArray[np.float32]
"""The least and the greatest of each number, (2, L)."""


@dataclass(frozen=True)
class Form:
    """How vectors are written. numbers: only so many of their first; none: all. unit: those are brought to length one.

    ranges: what 8 bits stretch over. Raises BadInput for a kind that there is not, and for int8 without ranges.
    """

    kind: Kind = "float32"
    numbers: int | None = None
    unit: bool = False
    ranges: Ranges | None = None

    def __post_init__(self) -> None:
        refuse_kind(self.kind)
        if self.kind == "int8" and self.ranges is None:
            raise BadInput("Vectors of int8 need ranges, the least and the greatest of each number: see calibrated().")

    def of(self, vectors: NDArray[np.float32]) -> Small:
        """(n, L) to (n, numbers) of the kind; `binary` to (n, numbers / 8) bytes."""
        vectors = first_numbers(vectors, self.numbers, self.unit)
        if self.kind == "int8":
            assert self.ranges is not None
            return as_int8(vectors, self.ranges)
        if self.kind == "binary":
            return as_bits(vectors)
        return vectors.astype(self.kind)

    def told(self) -> dict[str, str]:
        """What tells vectors of this form from others; nothing for whole ones in float32."""
        found = {} if self.kind == "float32" else {"vectors": str(self.kind)}
        found |= {} if self.numbers is None else {"truncate": str(self.numbers)}
        if self.kind != "int8" or self.ranges is None:
            return found
        return found | {"ranges": blake2b(self.ranges.tobytes(), digest_size=8).hexdigest()}


def refuse_kind(kind: str) -> None:
    """BadInput for what vectors are not written as."""
    if kind not in KINDS:
        raise BadInput(f"Vectors are written as {', '.join(KINDS)}, not '{kind}'.{nearest(kind, KINDS)}")


def first_numbers(vectors: NDArray[np.float32], count: int | None, unit: bool = False) -> NDArray[np.float32]:
    """The first `count` numbers of each vector, (n, count), of length one with `unit`; none: all, as they are.

    BadInput for 0, or more than there are.
    """
    if count is None:
        return vectors
    if not 1 <= count <= vectors.shape[1]:
        raise BadInput(
            f"A vector of this model has {vectors.shape[1]} numbers: it can be cut to 1 of them or more, not {count}."
        )
    return unit_length(vectors[:, :count]) if unit else vectors[:, :count]


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each of (n, L) at a length of one; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), vectors.dtype)


def calibrated(vectors: NDArray[np.float32]) -> Ranges:
    """The least and the greatest of each number of these (n, L). BadInput for none, or for all alike."""
    if not len(vectors) or not np.ptp(vectors, axis=0).any():
        raise BadInput("Ranges are told by vectors that differ, and here are none that do: calibrate on other items.")
    return np.stack([vectors.min(axis=0), vectors.max(axis=0)]).astype(np.float32)


def write_ranges(out: Path, ranges: Ranges) -> None:
    """Keeps ranges beside the vectors: as `ranges.npy` in their folder, as v.ranges.npy beside a file v.npy."""
    place = out / "ranges.npy" if out.is_dir() else out.with_suffix(".ranges.npy")
    with replacing(place) as partial, open(partial, "wb") as file:
        np.save(file, ranges)


def read_ranges(path: Path, width: int) -> Ranges:
    """What `write_ranges` wrote. BadInput for a file that is not there, or holds no ranges of so many numbers."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as ranges: {error}.") from error
    if found.shape != (2, width) or found.dtype.kind != "f" or not np.isfinite(found).all():
        raise BadInput(
            f"{path} holds {found.dtype} of {found.shape}; ranges of these vectors are floats of (2, {width})."
        )
    return found.astype(np.float32)


def as_int8(vectors: NDArray[np.float32], ranges: Ranges) -> NDArray[np.int8]:
    """Each number (n, L) to one of 256 steps between its least and greatest; what lies beyond, to the last step."""
    least, step = _steps(ranges, vectors.shape[1])
    return (np.clip(np.floor((vectors - least) / step), 0, 255) - 128).astype(np.int8)


def from_int8(small: NDArray[np.int8], ranges: Ranges) -> NDArray[np.float32]:
    """What numbers of int8 (n, L) stand for: the middle of their step."""
    least, step = _steps(ranges, small.shape[1])
    return (small + np.float32(128.5)) * step + least


def as_bits(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Whether each number is above 0, eight to a byte, (n, L / 8), the first in the highest bit."""
    return np.packbits(vectors > 0, axis=1)


def from_bits(bits: NDArray[np.uint8], width: int) -> NDArray[np.float32]:
    """Bits (n, width / 8) as 1 and -1, (n, width)."""
    return np.unpackbits(bits, axis=1, count=width).astype(np.float32) * 2 - 1


def search(
    queries: ArrayLike,
    small: Small,
    k: int = 10,
    *,
    ranges: Ranges | None = None,
    finer: Small | None = None,
    rescore: int = 4,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k of (n, …) small vectors nearest to each of the queries (q, L) float32: rows and scores (q, k), best first.

    Bits are told by how many differ from the query's; the best `rescore` times k are then scored by the query's own
    numbers against `finer` ones of the same vectors (n, L), which may be a memory-mapped file, or against the bits as 1
    and -1 where there are none. Others are scored by the dot product at once, int8 by what it stands for in its ranges.
    """
    asked = np.atleast_2d(np.asarray(queries, np.float32))
    if k < 1 or rescore < 1:
        raise BadInput(
            f"A search asks for k = 1 hit or more, and rescores once as many or more: not {k} and {rescore}."
        )
    if small.dtype != np.uint8:
        return _best(_through(len(small), lambda rows: asked @ _numbers(small[rows], asked.shape[1], ranges).T), k)
    bits = as_bits(asked)
    if bits.shape[1] != small.shape[1]:
        raise BadInput(f"The queries have {asked.shape[1]} numbers, and the vectors {8 * small.shape[1]} bits.")
    apart = _through(len(small), lambda rows: -_differing(bits, np.asarray(small[rows], np.uint8)))
    among, _ = _best(apart, min(k * rescore, len(small)))
    held = small if finer is None else finer
    rows, scores = [], []
    for query, places in zip(asked, among, strict=True):
        found = _numbers(held[np.sort(places)], asked.shape[1], ranges) @ query
        order = np.argsort(-found, kind="stable")[:k]
        rows.append(np.sort(places)[order])
        scores.append(found[order])
    return np.stack(rows), np.stack(scores).astype(np.float32)


def _steps(ranges: Ranges, width: int) -> Ranges:
    if ranges.shape != (2, width):
        raise BadInput(f"The ranges are of {ranges.shape[-1]} numbers, and the vectors have {width}.")
    least, greatest = ranges
    step = (greatest - least) / np.float32(255)
    return np.stack([least, np.where(step > 0, step, np.float32(1))])


def _numbers(small: Small, width: int, ranges: Ranges | None) -> NDArray[np.float32]:
    if small.dtype == np.uint8:
        return from_bits(small.astype(np.uint8), width)
    if small.shape[1] != width:
        raise BadInput(f"The queries have {width} numbers, and the vectors {small.shape[1]}.")
    if small.dtype != np.int8:
        return small.astype(np.float32)
    if ranges is None:
        raise BadInput("Vectors of int8 stand for numbers within ranges: give those that were written beside them.")
    return from_int8(small.astype(np.int8), ranges)


def _through(count: int, scored: Callable[[slice], NDArray[np.float32]]) -> NDArray[np.float32]:
    parts = [scored(slice(start, start + _BLOCK)) for start in range(0, count, _BLOCK)]
    return np.concatenate(parts, axis=1)


def _differing(bits: NDArray[np.uint8], small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(q, B) and (n, B) bytes to how many bits differ, (q, n)."""
    return np.stack([np.bitwise_count(small ^ query).sum(axis=1, dtype=np.float32) for query in bits])


def _best(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best of each row of scores (q, n), best first, equal ones in their order."""
    k = min(k, scores.shape[1])
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows.astype(np.int64), np.take_along_axis(scores, rows, axis=1)
