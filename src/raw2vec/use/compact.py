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

from raw2vec.calibration import Ranges, first_numbers
from raw2vec.calibration import calibrated as calibrated
from raw2vec.disk import replacing
from raw2vec.errors import BadInput, nearest
from raw2vec.folder import Model
from raw2vec.models import SequenceToSequence
from raw2vec.use.base import Small

Kind = Literal["float32", "float16", "int8", "binary"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Dtype = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
"""What `encode` gives its numbers as, in sentence-transformers' words: bits in bytes of int8 or uint8."""
CALIBRATED_ON = 2000
"""Items whose vectors tell how far each number goes."""
_SAME = 0.1  # of a step, by which the ranges of the same items may differ
_BLOCK = 1 << 16  # vectors looked through at a time


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


def unit(parts: Model) -> bool:
    """Whether a model's vectors are of length one, and are to be so when they are cut."""
    return bool(parts.recipe.latent.settings.get("normalize") == "unit")


def refuse_looking(parts: Model) -> None:
    """BadInput for a translator whose decoder looks at more than a vector: there is no vector worth making small."""
    if isinstance(parts.model, SequenceToSequence) and not parts.model.fixed:
        raise BadInput(
            "This model's decoder looks at every word of the source, so that its vectors alone hold little: none are "
            "kept in fewer bytes. Fit with --set bridge=fixed, or an encoder."
        )


def ranges_for(parts: Model, side: str, dtype: str, numbers: int | None) -> Ranges | None:
    """The ranges that a side's vectors of so many first numbers, none: all, stretch over; None where none are needed.

    BadInput for 8 bits of a model that keeps no ranges, and for a type that vectors are not given as.
    """
    if dtype not in DTYPES:
        raise BadInput(f"Vectors are given as {', '.join(DTYPES)}, not '{dtype}'.{nearest(str(dtype), DTYPES)}")
    if dtype != "float32":
        refuse_looking(parts)
    if dtype not in ("int8", "uint8"):
        return None
    if side not in parts.ranges:
        raise BadInput(
            f"Numbers of {dtype} stretch over ranges, and this model keeps none for its {side}s: find them with "
            "calibrate(items), or once and for all with raw2vec calibrate MODEL DATA."
        )
    return parts.ranges[side].of(numbers)


def refuse_kind(kind: str) -> None:
    """BadInput for what vectors are not written as."""
    if kind not in KINDS:
        raise BadInput(f"Vectors are written as {', '.join(KINDS)}, not '{kind}'.{nearest(kind, KINDS)}")


def write_ranges(out: Path, ranges: Ranges) -> None:
    """Keeps ranges beside the vectors: as `ranges.npy` in their folder, as v.ranges.npy beside a file v.npy."""
    place = out / "ranges.npy" if out.is_dir() else out.with_suffix(".ranges.npy")
    with replacing(place) as partial, open(partial, "wb") as file:
        np.save(file, ranges)


def begun_with(folder: Path, found: Ranges) -> Ranges:
    """The ranges that a run in this folder was begun with, where those `found` now are these to a tenth of a step;
    else those found. What is found again on another number of threads differs in its last bits."""
    path = folder / "ranges.npy"
    if not path.is_file():
        return found
    began = read_ranges(path, found.shape[1])
    steps = _steps(began, found.shape[1])[1]
    return began if (np.abs(found - began) <= _SAME * steps).all() else found


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


def as_dtype(vectors: NDArray[np.float32], dtype: Dtype, ranges: Ranges | None) -> Small:
    """Vectors (n, L) in the bytes that sentence-transformers gives for a `precision` of this name.

    int8 and uint8 stretch over `ranges`; `binary` is `ubinary` less 128.
    """
    if dtype in ("float32", "float16"):
        return vectors.astype(dtype, copy=False)
    if dtype in ("binary", "ubinary"):
        bits = as_bits(vectors)
        return bits if dtype == "ubinary" else (bits ^ 128).view(np.int8)
    assert ranges is not None, "who asks for 8 bits has ranges"
    small = as_int8(vectors, ranges)
    return small if dtype == "int8" else small.view(np.uint8) ^ np.uint8(128)


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


def differing(small: NDArray[np.uint8], bits: NDArray[np.uint8]) -> NDArray[np.int32]:
    """How many bits of (n, B) bytes differ from (B,): eight bytes at a time where they come so."""
    if small.shape[1] % 8 == 0:
        words = np.ascontiguousarray(small).view(np.uint64)
        counts = [np.bitwise_count(words[:, place] ^ word) for place, word in enumerate(bits.view(np.uint64))]
    else:
        counts = [np.bitwise_count(small[:, place] ^ byte) for place, byte in enumerate(bits)]
    return np.sum(counts, axis=0, dtype=np.int32)


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
    if not len(asked) or not len(small):
        nothing = (len(asked), min(k, len(small)))
        return np.zeros(nothing, np.int64), np.zeros(nothing, np.float32)
    if small.dtype != np.uint8:
        return _best(_through(len(small), lambda rows: asked @ _numbers(small[rows], asked.shape[1], ranges).T), k)
    bits = as_bits(asked)
    if bits.shape[1] != small.shape[1]:
        raise BadInput(f"The queries have {asked.shape[1]} numbers, and the vectors {8 * small.shape[1]} bits.")
    alike = _through(len(small), lambda rows: _alike(np.asarray(small[rows], np.uint8), bits))
    among, _ = _best(alike, min(k * rescore, len(small)))
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


def _alike(small: NDArray[np.uint8], bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, B) and (q, B) bytes to less the bits that differ, (q, n): more is nearer."""
    return np.stack([-differing(small, query) for query in bits]).astype(np.float32)


def _best(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best of each row of scores (q, n), best first, equal ones in their order."""
    k = min(k, scores.shape[1])
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows.astype(np.int64), np.take_along_axis(scores, rows, axis=1)
