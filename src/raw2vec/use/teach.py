"""What a teacher says of texts, once and for all: a file of them with their vectors, and the vectors of lone tokens."""

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

from raw2vec.engines.pytorch import autocast
from raw2vec.errors import NonFinite
from raw2vec.folder import Model
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.use.encode import encode, evaluation
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
    file: Path,
    columns: tuple[str, str],
    *,
    until: float | None = None,
    keep: int,
    precision: torch.dtype = torch.float32,
    progress: Callable[[int], None] = lambda items: None,
) -> Taught:
    """Writes the texts and the teacher's vectors of them to a Parquet file, in the two columns named.

    until: when to stop, by `monotonic`; one block is done in any case. keep: vectors to hand back.
    """
    items = list(prompted(texts, prompt_for(parts.recipe, None)))
    schema = pa.schema([(columns[0], pa.string()), (columns[1], pa.list_(pa.float32(), parts.model.latent.width))])
    first: list[NDArray[np.float32]] = []
    done = cut = 0
    with pq.ParquetWriter(file, schema) as writer:
        while done < len(texts) and (not done or until is None or monotonic() < until):
            found = encode(parts.model, parts.raw, items[done : done + BLOCK], precision=precision)
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(found.vectors.reshape(-1)), found.vectors.shape[1])
            writer.write_table(pa.table([pa.array(texts[done : done + BLOCK]), vectors], schema))
            if done < keep:
                first.append(found.vectors)
            done, cut = done + len(found.vectors), cut + int((found.truncated > 0).sum())
            progress(done)
    return Taught(done, cut, np.concatenate(first))


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
