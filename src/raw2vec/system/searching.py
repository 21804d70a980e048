"""Files, stores and questions as the facade has them: vectors of whole files, and the rows that are nearest."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.addresses import shown
from raw2vec.calibration import first_numbers
from raw2vec.disk import refuse_source
from raw2vec.engines import Engine, engine_for
from raw2vec.errors import BadInput
from raw2vec.measure import columns_of
from raw2vec.raw import Raw, Series, Text
from raw2vec.rows import Rows
from raw2vec.sides import Side, asked_with, column_side, likely_side, sought
from raw2vec.system.calibrating import Calibrating
from raw2vec.use.base import Encode, Small, Write, first, many
from raw2vec.use.cluster import on_ray
from raw2vec.use.compact import (
    CALIBRATED_ON,
    Form,
    Kind,
    begun_with,
    refuse_kind,
    write_ranges,
)
from raw2vec.use.embed import Embedded, begun_by, embed, shards_of
from raw2vec.use.index import Indexed, Space, approximated, index, store_for
from raw2vec.use.prompt import prompt_meant
from raw2vec.use.stores import Hit, Mode, open_store

_MANY = 1000  # rows


class Searching(Calibrating):
    """What a model does with files of items: their vectors into files and stores, and from there to who asks."""

    @abstractmethod
    def _device(self, asked: str | None = None) -> torch.device:
        """Where the model runs."""

    def _engine(
        self, role: str, name: str | None, precision: str | None, device: torch.device | None = None
    ) -> Engine | None:
        """The engine of this name, made once; None: PyTorch in float32. name: none for the usual one."""
        if name is None and precision in (None, "float32"):
            return None
        parts, held = self._parts(), self.__dict__.setdefault("_engines", {})
        device = device or self._device()
        key = (self.fingerprint_, role, name, precision, str(device))
        if key not in held:
            golden = parts.golden_targets if role == "target" and parts.golden_targets else parts.golden
            model, raw = parts.model.to(device).side(role), parts.raw.side(role)
            levels = self._levels(role) if precision == "int8" else None
            seen = levels.seen() if levels else None
            held[key] = engine_for(model, raw, golden[0] if golden else [], name or "auto", precision, seen)
        return held[key]

    def __getstate__(self) -> Any:
        """Engines are made anew where a pickle is read."""
        return {name: value for name, value in super().__getstate__().items() if name != "_engines"}  # type: ignore[attr-defined]

    def embed(
        self,
        data: Any,
        out: str | Path,
        *,
        input: str | None = None,
        side: Side | None = None,
        prompt: str | None = None,
        resume: bool = False,
        engine: str | None = None,
        precision: str | None = None,
        truncate_dim: int | None = None,
        vectors: Kind = "float32",
        calibrate: Any = None,
        on: Literal["local", "ray"] = "local",
        progress: Callable[[int], None] = lambda items: None,
    ) -> Embedded:
        """Writes the vectors of a file's rows to a folder of Parquet shards, or to one .npy or .parquet file.

        input: the column that is encoded. side: whose encoder reads it, of pairs whose sides have one each; none: by
        the column's name and by what is in it. prompt: what stands before every text, by the name that the model knows
        it by or in words ("query: "); none: the model's default one, if it has one. engine, precision: as for `encode`,
        but that none is `auto` from a thousand rows on, and on resuming what the run was begun with; what it took, the
        answer tells. truncate_dim: only so many of the first numbers of each. vectors: what each number is written as,
        int8 within ranges, which are written beside the vectors (`ranges.npy`): the model's own, if it was calibrated,
        else those of the first 2,000 items of the data; or of the data `calibrate`, or given so, as such a file. on:
        "ray" for the workers of a Ray cluster, or of this machine (extra `ray`); what is written is the same.
        """
        refuse_source(out, data)
        refuse_kind(vectors)
        words = None if prompt is None else prompt_meant(self._parts().recipe, prompt)
        rows, columns = columns_of(self._parts(), data, input=input)
        column, to, mark = columns["input"], Path(out), self.fingerprint_
        role = side or column_side(self._parts(), rows, column)
        if engine is None and precision is None:
            engine, precision = (begun_by(shards_of(to)) if resume else None) or (_usual(rows, column), None)
        if words and not isinstance(self._parts().raw.side(role), Text):
            raise BadInput(f"A prompt stands before texts, and '{column}' is read as none: leave out --prompt.")
        by = self._engine(role, engine, precision)
        read, counted = self._parts().raw.side(role).read, partial(self._counted, role=role, prompt=words, engine=by)
        ranges, found_in = None, None
        if vectors == "int8":
            own = lambda: first(rows, column, read, CALIBRATED_ON)  # noqa: E731
            ranges, found_in = self._ranges(calibrate, truncate_dim, own, counted, input, role)
            ranges = begun_with(shards_of(to), ranges) if resume else ranges
        elif calibrate is not None:
            raise BadInput(f"Only int8 is calibrated: leave out what is to calibrate vectors of {vectors}.")
        form = Form(vectors, truncate_dim, self._unit, ranges)
        options: dict[str, Any] = {"prompt": words, "resume": resume, "engine": by.name if by else "torch"}
        if on == "ray":
            options["through"] = on_ray(partial(_encoder, self, role, words, options["engine"], form))
        levels = self._levels(role) if by and by.name == "torch int8" else None
        options |= {"form": form.told() | ({"levels": levels.digest} if levels else {}), "progress": progress}
        options |= {} if ranges is None else {"beside": partial(write_ranges, ranges=ranges)}
        done = embed(rows, column, _formed(counted, form), to, read=read, fingerprint=mark, **options)
        return replace(done, ranges=found_in, input=column)

    def index(
        self,
        data: Any,
        store: str | Path,
        *,
        input: str | None = None,
        side: Side | None = None,
        resume: bool = False,
        approximate: bool = False,
        engine: str | None = None,
        truncate_dim: int | None = None,
        vectors: str | None = None,
        progress: Callable[[int], None] = lambda items: None,
    ) -> Indexed:
        """Puts the rows' vectors and columns into a store, new or this model's own, each row once.

        input: the column that is encoded; none: of pairs the target, which queries look for, and of pairs with words
        what is no text. side: as for `embed`. resume: go on with a store that is there. approximate: build an
        approximate index as well, where there are rows enough to gain by it. engine: what encodes, as for `embed`.
        truncate_dim: only so many of the first numbers of each vector are kept, which a search for them then asks by as
        well. vectors: float32, or what a search reads first, int8 or binary, to score the best of what it finds by
        whole vectors, which are kept as well.
        """
        parts = self._parts()
        first_numbers(np.zeros((0, self.n_features_out_), np.float32), truncate_dim)
        rows, columns = columns_of(parts, data, sought(parts), input=input)
        home = str(Path(self.source_).absolute()) if hasattr(self, "source_") else ""
        space = Space(truncate_dim or self.n_features_out_, self.fingerprint_, home)
        column = columns["input"]
        role = side or column_side(parts, rows, column)
        by = self._engine(role, engine or _usual(rows, column), None)
        read, counted = parts.raw.side(role).read, partial(self._counted, role=role, purpose="document", engine=by)
        words = column if isinstance(parts.raw.side(role), Text) else None
        with store_for(store, space, words, resume, vectors) as made:
            done = index(rows, column, self._cut(counted, made.width), made, read=read, side=role, progress=progress)
            done = replace(done, engine=by.name if by else "torch", input=column, question=asked_with(parts))
            return approximated(done, made, self.seed) if approximate else done

    def _cut(self, encode: Encode, width: int) -> Encode:
        """What encodes to vectors of this width, the first numbers of the model's own."""

        def first(items: list[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            vectors, cut = encode(items)
            return first_numbers(vectors, width, self._unit), cut

        return encode if width == self.n_features_out_ else first

    @staticmethod
    def similarity(left: Any, right: Any) -> NDArray[np.float32]:
        """Cosines between vectors (n, L) and (m, L): (n, m)."""
        a, b = (np.atleast_2d(np.asarray(side, np.float32)) for side in (left, right))
        a, b = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (a, b))
        return np.asarray(a @ b.T)

    def search(
        self,
        store: str | Path,
        queries: Any,
        k: int = 10,
        where: str | None = None,
        mode: Mode | None = None,
        side: Side | None = None,
        rescore: int | None = None,
    ) -> list[list[Hit]]:
        """The k rows of a store nearest to each query; `where` is a filter in SQL over its columns.

        side: whose encoder reads the queries, of pairs whose sides have one each; none: by what the queries are.
        mode: exact, approximate, hybrid or rescored; none: exact, or rescored where the store holds small vectors: the
        best `rescore` times k by these, 4 unless said, are scored by whole ones.
        """
        role = side or likely_side(self._parts(), queries)
        raw = self._parts().raw.side(role)
        items = raw.items(queries)[0]
        _refuse_words(items, raw, store)
        there = open_store(store, self.fingerprint_)
        vectors = self._cut(partial(self._counted, role=role, purpose="query"), there.width)(items)[0]
        return there.search(vectors, k, where, items, mode, rescore)


def _usual(rows: Rows, column: str) -> str | None:
    """The engine of data that is not a few rows: looking for the quickest takes half a second."""
    return "auto" if many(rows, column, _MANY) else None


def _refuse_words(items: Sequence[Any], raw: Raw, store: str | Path) -> None:
    """BadInput for a question in words to a model that reads none: there a string is the path of an item."""
    what = raw.files or "series"
    for item in items if raw.files or isinstance(raw, Series) else ():
        if isinstance(item, str) and not os.path.exists(item):
            place = shown(store)
            raise BadInput(f"There is no {what} {item!r}: {place} is searched by the path of a {what}, not by words.")


def _formed(encode: Encode, form: Form) -> Write:
    """What encodes to vectors of a form."""

    def written(items: list[Any]) -> tuple[Small, NDArray[np.int64]]:
        vectors, cut = encode(items)
        return form.of(vectors), cut

    return written


def _encoder(model: Searching, role: str, words: str | None, engine: str, form: Form) -> Write:
    """What a worker encodes with, of a model that has come to it. engine: its name and precision."""
    name, _, precision = engine.partition(" ")
    by = model._engine(role, name, precision) if precision else None
    return _formed(partial(model._counted, role=role, prompt=words, engine=by), form)
