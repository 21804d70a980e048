"""What a teacher says of texts, once and for all: files of them with their vectors, and the vectors of lone tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from raw2vec.disk import replacing
from raw2vec.engines.pytorch import autocast
from raw2vec.errors import NonFinite
from raw2vec.folder import Model
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.use.encode import Encoded, encode, evaluation
from raw2vec.use.prompt import prompt_for, prompted

BLOCK = 1024  # texts between two looks at the clock
TOKENS = 2048  # lone tokens at a time


@dataclass(frozen=True)
class Taught:
    """How many texts the teacher got to, how many of them it cut, and the vectors (n, D) of the first of them."""

    items: int
    truncated: int
    first: NDArray[np.float32]


def teach(
    parts: Model,
    texts: Sequence[str],
    folder: Path,
    columns: tuple[str, str],
    *,
    until: float | None = None,
    keep: int,
    precision: torch.dtype = torch.float32,
    progress: Callable[[int], None] = lambda items: None,
) -> Taught:
    """Writes the texts and the teacher's vectors of them to a folder of Parquet files, in the two columns named.

    A file is whole or not there; those of a run before stay, and this one goes on after them. until: when to stop, by
    `monotonic`; one file is written in any case. keep: vectors to hand back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for torn in folder.glob(".*"):
        torn.unlink()
    items = list(prompted(texts, prompt_for(parts.recipe, None)))
    shards: list[Path] = []
    for start in range(0, len(texts), BLOCK):
        shard = folder / f"{start:09d}.parquet"
        if not shard.exists():
            if start and until is not None and monotonic() >= until:
                break
            began = monotonic()
            found = encode(parts.model, parts.raw, items[start : start + BLOCK], precision=precision)
            _write(shard, columns, texts[start : start + BLOCK], found, began)
        shards.append(shard)
        progress(min(start + BLOCK, len(texts)))
    return _taught(shards, columns[1], keep)


def spent(folder: Path) -> float:
    """Seconds that went into what `teach` has written to a folder."""
    return sum(float(pq.read_schema(shard).metadata[b"seconds"]) for shard in folder.glob("[!.]*.parquet"))


def _write(shard: Path, columns: tuple[str, str], texts: Sequence[str], found: Encoded, began: float) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(found.vectors.reshape(-1)), found.vectors.shape[1])
    about = {"truncated": str(int((found.truncated > 0).sum())), "seconds": str(monotonic() - began)}
    with replacing(shard) as partial:
        table = pa.table([pa.array(texts, pa.string()), vectors], list(columns))
        pq.write_table(table.replace_schema_metadata(about), partial)


def _taught(shards: Sequence[Path], vector: str, keep: int) -> Taught:
    metas = [pq.read_metadata(shard) for shard in shards]
    first = [pq.read_table(shard, columns=[vector])[vector] for shard in shards[: -(-keep // BLOCK)]]
    vectors = np.concatenate([np.stack(part.to_numpy()) for part in first])
    cut = sum(int(meta.metadata[b"truncated"]) for meta in metas)
    return Taught(sum(meta.num_rows for meta in metas), cut, vectors)


def lone_tokens(
    parts: Model,
    *,
    precision: torch.dtype = torch.float32,
    progress: Callable[[int], None] = lambda items: None,
) -> torch.Tensor:
    """The vector (V, D) of every token of the vocabulary as a text of its own, between the boundaries that texts have.

    NonFinite, with the token, where one is not finite.
    """
    raw, model = parts.raw, parts.model
    assert isinstance(raw, Text), "the teacher reads texts"
    device = next(model.parameters()).device
    before, after = [raw.start] * (raw.boundaries == "cls-sep"), [raw.end] * (raw.boundaries != "none")
    found = []
    with evaluation(model), autocast(device, precision):
        for start in range(0, raw.size, TOKENS):
            ids = torch.arange(start, min(start + TOKENS, raw.size))[:, None]
            edges = [torch.tensor(edge).long().expand(len(ids), len(edge)) for edge in (before, after)]
            rows = torch.cat([edges[0], ids, edges[1]], dim=1)
            shapes = torch.full((len(rows), 1), rows.shape[1])
            found.append(model(Ragged(rows.flatten(), shapes).to(device)).float().cpu())
            progress(start + len(ids))
    vectors = torch.cat(found)
    if len(bad := (~vectors.isfinite().all(dim=1)).nonzero()):
        raise NonFinite(f"The teacher's vector of the token {raw.pieces[int(bad[0])]!r} is not finite.")
    return vectors
