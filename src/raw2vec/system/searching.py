"""Files, stores and questions as the facade has them: vectors of whole files, and the rows that are nearest."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec import bundle
from raw2vec.calibration import Calibration, Ranges, calibrated, first_numbers
from raw2vec.disk import refuse_source
from raw2vec.engines import Engine, engine_for, watched
from raw2vec.errors import BadInput
from raw2vec.folder import Model, keep_ranges
from raw2vec.levels import Levels
from raw2vec.measure import columns_of
from raw2vec.raw import Text
from raw2vec.sides import Side, column_side, likely_side, sought
from raw2vec.use.base import Encode, Small, Write, first
from raw2vec.use.cluster import on_ray
from raw2vec.use.compact import (
    CALIBRATED_ON,
    Form,
    Kind,
    begun_with,
    read_ranges,
    refuse_kind,
    refuse_looking,
    unit,
    write_ranges,
)
from raw2vec.use.embed import Embedded, embed, shards_of
from raw2vec.use.index import Indexed, Space, approximated, index, store_for
from raw2vec.use.prompt import Purpose, prompt_meant
from raw2vec.use.stores import Hit, Mode, open_store


class Searching(ABC):
    """What a model does with files of items: their vectors into files and stores, and from there to who asks."""

    fingerprint_: str
    source_: str
    n_features_out_: int
    seed: int

    @abstractmethod
    def _parts(self) -> Model:
        """Everything the model is made of; NotFittedError before there is one."""

    @abstractmethod
    def _counted(
        self,
        items: Sequence[Any],
        role: str = "input",
        purpose: Purpose | None = None,
        prompt: str | None = None,
        engine: Engine | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The items' vectors (n, L) and how many tokens were cut off each (n,), after the purpose's prompt if any, or
        after this one.

        engine: one of `_engine`'s.
        """

    @abstractmethod
    def _device(self, asked: str | None = None) -> torch.device:
        """Where the model runs."""

    @abstractmethod
    def save(self, out: str | Path) -> None:
        """Writes the model folder whole, in one step."""

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

    def _levels(self, role: str) -> Levels | None:
        """What `calibrate` found for int8 arithmetic; none, with a warning, where it was for other weights."""
        kept = self._parts().levels.get(role)
        if kept is None or kept.model == self.fingerprint_:
            return kept
        warnings.warn(
            f"The levels of int8 that the model keeps, of {kept.told}, were found for other weights, and are left out: "
            "find them anew with raw2vec calibrate MODEL DATA.",
            stacklevel=5,
        )
        return None

    def __getstate__(self) -> Any:
        """Engines are made anew where a pickle is read."""
        return {name: value for name, value in super().__getstate__().items() if name != "_engines"}  # type: ignore[attr-defined]

    def first_items(self, data: Any, count: int, *, input: str | None = None, side: Side | None = None) -> list[Any]:
        """The first items of a file's column, as many as there are up to `count`, as this side's encoder reads them."""
        rows, columns = columns_of(self._parts(), data, input=input)
        raw = self._parts().raw
        return first(rows, columns["input"], (raw.side(side) if side else raw).read, count)

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
        it by or in words ("query: "); none: the model's default one, if it has one. engine, precision: as for `encode`;
        what it took, the answer tells. truncate_dim: only so many of the first numbers of each. vectors: what each
        number is written as, int8 within ranges, which are written beside the vectors (`ranges.npy`): the model's own,
        if it was calibrated, else those of the first 2,000 items of the data; or of the data `calibrate`, or given so,
        as such a file. on: "ray" for the workers of a Ray cluster, or of this machine (extra `ray`); what is written is
        the same.
        """
        refuse_source(out, data)
        refuse_kind(vectors)
        words = None if prompt is None else prompt_meant(self._parts().recipe, prompt)
        rows, columns = columns_of(self._parts(), data, input=input)
        column, to, mark = columns["input"], Path(out), self.fingerprint_
        role = side or column_side(self._parts(), rows, column)
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
        return replace(done, ranges=found_in)

    def calibrate(
        self,
        data: Any,
        *,
        input: str | None = None,
        side: Side | None = None,
        prompt: str | None = None,
        items: int = CALIBRATED_ON,
        out: str | Path | None = None,
    ) -> Calibration:
        """Finds the ranges of int8, and keeps them in the model: `embed` and `encode` take them, `save` writes them. Of
        encoders of texts the levels of PyTorch's int8 arithmetic as well, so that precision="int8" starts at once.

        In the first `items` of the data's column, for the side that reads it, for whole vectors and for such as are cut
        to any number of their first. input, side, prompt: as for `embed`. out: where to write them as well: the model's
        own folder, whose other files stay as they are, or one that is to be a copy of it. BadInput for a checkpoint of
        others, which gets no files of ours.
        """
        parts, home = self._parts(), bundle.found(Path(self.source_)) if hasattr(self, "source_") else None
        ours = home is not None and (home / "raw.json").is_file()
        if home is not None and out is not None and not ours and Path(out) == home:
            raise BadInput("The folder of a checkpoint stays as it is: give --out DIR for the model with its ranges.")
        refuse_looking(parts)
        words = None if prompt is None else prompt_meant(parts.recipe, prompt)
        rows, columns = columns_of(parts, data, input=input)
        role = side or column_side(parts, rows, columns["input"])
        held = first(rows, columns["input"], parts.raw.side(role).read, items)
        told = f"{len(held):,} items of {rows.name}"
        with watched(parts.model.side(role)) as seen:
            vectors = self._counted(held, role=role, prompt=words)[0]
        found = Calibration.found(vectors, self._unit, told)
        parts.ranges[role] = found
        if seen and isinstance(parts.raw.side(role), Text):
            found = replace(found, maps=len(seen))
            ends = {name: each.cpu().numpy() for name, each in seen.items()}
            parts.levels[role] = Levels(ends, self.fingerprint_, told)
        self.__dict__.pop("_engines", None)
        parts.report["ranges"] = {side: each.told for side, each in parts.ranges.items()}
        if out is not None and home is not None and ours:
            keep_ranges(home, parts.ranges, Path(out), parts.levels)
        elif out is not None:
            self.save(out)
        return found

    def _ranges(
        self,
        calibrate: Any,
        numbers: int | None,
        own: Callable[[], list[Any]],
        encode: Encode,
        input: str | None,
        side: Side,
    ) -> tuple[Ranges, str]:
        """The ranges of int8, and what they were found in: those in a file, or those of the first items of other data,
        else the model's, else those of one's `own` items."""
        if isinstance(calibrate, str | Path) and str(calibrate).endswith(".npy"):
            return read_ranges(Path(calibrate), numbers or self.n_features_out_), f"the ranges of {calibrate}"
        if calibrate is None and (kept := self._parts().ranges.get(side)):
            return kept.of(numbers), f"the model's own ranges, of {kept.told}"
        items = own() if calibrate is None else self.first_items(calibrate, CALIBRATED_ON, input=input, side=side)
        named = "" if calibrate is None else f" of {calibrate if isinstance(calibrate, str | Path) else 'others'}"
        told = f"the ranges of the first {len(items):,} items{named}"
        return calibrated(first_numbers(encode(items)[0], numbers, self._unit)), told

    @property
    def _unit(self) -> bool:
        """Whether the model's vectors are of length one, and are to be so when they are cut."""
        return unit(self._parts())

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
        what is no text. side: as for `embed`. resume: go on with a
        store that is there. approximate: build an approximate index as well, where there are rows enough to gain by it.
        engine: what encodes, as for `encode`. truncate_dim: only so many of the first numbers of each vector are kept,
        which a search for them then asks by as well. vectors: float32, or what a search reads first, int8 or binary, to
        score the best of what it finds by whole vectors, which are kept as well.
        """
        parts = self._parts()
        first_numbers(np.zeros((0, self.n_features_out_), np.float32), truncate_dim)
        rows, columns = columns_of(parts, data, sought(parts), input=input)
        home = str(Path(self.source_).absolute()) if hasattr(self, "source_") else ""
        space = Space(truncate_dim or self.n_features_out_, self.fingerprint_, home)
        column = columns["input"]
        role = side or column_side(parts, rows, column)
        by = self._engine(role, engine, None)
        read, counted = parts.raw.side(role).read, partial(self._counted, role=role, purpose="document", engine=by)
        words = column if isinstance(parts.raw.side(role), Text) else None
        with store_for(store, space, words, resume, vectors) as made:
            done = index(rows, column, self._cut(counted, made.width), made, read=read, side=role, progress=progress)
            done = replace(done, engine=by.name if by else "torch")
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
        rescore: int = 4,
    ) -> list[list[Hit]]:
        """The k rows of a store nearest to each query; `where` is a filter in SQL over its columns.

        side: whose encoder reads the queries, of pairs whose sides have one each; none: by what the queries are.
        mode: exact, approximate, hybrid or rescored; none: exact, or rescored where the store holds small vectors: the
        best `rescore` times k by these are scored by whole ones.
        """
        role = side or likely_side(self._parts(), queries)
        items = self._parts().raw.side(role).items(queries)[0]
        there = open_store(store, self.fingerprint_)
        vectors = self._cut(partial(self._counted, role=role, purpose="query"), there.width)(items)[0]
        return there.search(vectors, k, where, items, mode, rescore)


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
