"""Files to vectors: one pass over any number of rows, in shards that a crash cannot tear, resumed where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raw2vec.disk import alone, drafts, replace, room, settled, to_disk, writing
from raw2vec.errors import BadFolder, BadInput
from raw2vec.rows import Rows
from raw2vec.use.base import Column, Small, Through, Write, blocks, in_turn, texts

_OTHERS = (  # what is no folder, whoever names it
    *(".npz", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".gz", ".zip", ".h5", ".hdf5", ".arrow", ".feather", ".ipc"),
    *(".pt", ".pth", ".bin", ".pkl", ".pickle", ".safetensors", ".mat", ".db", ".sqlite", ".duckdb", ".xlsx", ".lance"),
)
_OURS = ("shard-", "_manifest.json.partial", "ranges.npy", ".ranges.npy.")  # how what a run adds to its folder is named


@dataclass(frozen=True)
class Embedded:
    """What an embedding run did: rows in all, rows of this run, how many texts were cut, how many were empty, and the
    first of those rows, counted from 0. unreadable: the pictures or sounds that could not be read, each with its `row`,
    its path (`item`) and the `reason`, those of earlier runs too. engine: what ran the model. ranges: of int8, what
    they were found in. input: the column."""

    items: int
    new: int
    truncated: int
    empty: int
    first_empty: int | None = None
    unreadable: Sequence[dict[str, Any]] = ()
    engine: str = "torch"
    ranges: str | None = None
    input: str | None = None


def embed(
    rows: Rows,
    column: str,
    encode: Write,
    out: Path,
    *,
    read: Column = texts,
    fingerprint: str,
    prompt: str | None = None,
    engine: str = "torch",
    form: Mapping[str, str] | None = None,
    beside: Callable[[Path], None] = lambda place: None,
    resume: bool = False,
    progress: Callable[[int], None] = lambda items: None,
    through: Through | None = None,
) -> Embedded:
    """Writes the rows' vectors to a folder of Parquet shards, or to one .npy or .parquet file.

    A row without text is encoded as an empty text, and counted; one whose picture or sound cannot be read gets a vector
    of zeros, which is like no other, and is listed: N rows in are N vectors out.

    A shard counts once the manifest names it; the manifest belongs to one model (`fingerprint`), one input, one engine,
    whose vectors are its own to the last digit, one `prompt`, where texts are encoded after such, and one `form`, what
    tells the vectors from whole ones in float32; another's is refused. A single file is put together from the shards at
    the end and then takes its name in one step. A run that ends before its first shard leaves nothing.

    beside: writes what the vectors are read by: into the folder of the shards before there are any, so that a run that
    is killed can go on by the same, and beside a single file as soon as that is there.

    through: who encodes the blocks of rows instead of `encode`, such as a cluster; it changes nothing that is written.
    """
    out = settled(out)
    single = out.suffix in (".npy", ".parquet")
    if out.suffix.lower() in _OTHERS or (out.is_file() and not single):
        raise BadInput(f"{out}: vectors are written to a folder, a .npy or a .parquet file, not to '{out.suffix}'.")
    if out.suffix != ".npy" and "vector" in rows.columns:
        raise BadInput(f"{rows.name} has a column 'vector', the name of what is added: rename it, or write a .npy.")
    folder = shards_of(out)
    origin = {"model": fingerprint, "data": rows.fingerprint(), "column": column}
    origin |= {} if prompt is None else {"prompt": prompt}
    origin |= ({} if engine == "torch" else {"engine": engine}) | dict(form or {})
    with writing(out, lambda: _kept(folder)), room(folder / "_manifest.json"), alone(out):
        manifest = _Manifest.open(folder, origin, resume)
        done = manifest.rows
        with manifest.begun():
            beside(folder)
            with closing((through or in_turn(encode))(blocks(rows, column, read, done))) as found:
                for start, block, made in found:
                    manifest.add(start, made.vectors, made.counts, None if out.suffix == ".npy" else block)
                    progress(len(block))
            if not manifest.rows:
                raise BadInput(f"{rows.name} has no rows to embed.")
        if single and not (manifest.finished and out.exists()):
            manifest.gather(out)
            beside(out)
        manifest.finish()
        if single:
            manifest.discard()
    counted = manifest.count("truncated"), manifest.count("empty"), manifest.first_empty
    unreadable = tuple(each for shard in manifest.shards for each in shard.get("unreadable", ()))
    return Embedded(manifest.rows, manifest.rows - done, *counted, unreadable, engine)


def shards_of(out: Path) -> Path:
    """The folder where a run that writes `out` has its shards."""
    return out.with_name(out.name + ".partial") if out.suffix in (".npy", ".parquet") else out


def begun_by(folder: Path) -> tuple[str, str | None] | None:
    """The engine that a run in this folder was begun with, and its precision where it has one; None: there is none."""
    path = folder / "_manifest.json"
    origin, shards, _ = _read(path) if path.is_file() else ({}, [], False)
    if not shards:
        return None
    name, _, precision = origin.get("engine", "torch").partition(" ")
    return name, precision or None


def _kept(folder: Path) -> str:
    """What a run that cannot write on leaves: the rows of the shards that the manifest names."""
    try:
        rows = sum(shard["rows"] for shard in _read(folder / "_manifest.json")[1])
    except (OSError, BadFolder):
        rows = 0
    return f"{rows:,} rows are kept" if rows else ""


class _Manifest:
    """The list of a folder's whole shards, replaced in one step each time one is added."""

    def __init__(self, folder: Path, origin: dict[str, str], shards: list[dict[str, Any]], finished: bool = False):
        self.folder, self.origin, self.shards, self.finished = folder, origin, shards, finished

    @classmethod
    def open(cls, folder: Path, origin: dict[str, str], resume: bool) -> _Manifest:
        path = folder / "_manifest.json"
        if path.exists() and resume:
            began, shards, finished = _read(path)
            other = [name for name in origin | began if began.get(name) != origin.get(name)]
            if other == ["engine"] and shards:
                used = began.get("engine", "torch")
                raise BadInput(f"{folder} was begun with the engine {used}: go on with that, or give another --out.")
            if other and shards:
                raise BadInput(f"{folder} was begun with another {' and '.join(other)}; give another --out.")
            if shards:
                return cls(folder, origin, shards, finished)
        if folder.exists() and {file.name for file in folder.iterdir()} - {"_manifest.json.partial"}:
            if not path.exists():
                raise BadInput(f"{folder} holds other files; give a new or empty --out.")
            if not folder.name.endswith(".partial") and _read(path)[1]:
                raise BadInput(f"{folder} holds vectors already; add --resume to go on, or give another --out.")
        manifest = cls(folder, origin, [])
        manifest._write([])
        manifest._sweep()
        return manifest

    @property
    def rows(self) -> int:
        return self.count("rows")

    @property
    def first_empty(self) -> int | None:
        return next((shard["first_empty"] for shard in self.shards if "first_empty" in shard), None)

    def count(self, what: str) -> int:
        return sum(shard[what] for shard in self.shards)

    def add(self, start: int, vectors: Small, counts: dict[str, Any], block: pa.Table | None) -> None:
        name = f"shard-{len(self.shards):05d}" + (".npy" if block is None else ".parquet")
        shards = [*self.shards, {"name": name, "start": start, "rows": len(vectors), **counts}]
        partial = self.folder / (name + ".partial")
        with drafts(partial, self.folder / name):
            with open(partial, "wb") as file:
                if block is None:
                    np.save(file, vectors)
                else:
                    pq.write_table(block.append_column("vector", _vector_column(vectors)), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.folder / name)
            self._write(shards)
        self.shards = shards

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Work that adds shards: where it ends before the first, nothing is left to go on with, or to be in the way."""
        try:
            yield
        except BaseException:
            if not self.shards:
                self.discard()
            raise

    def finish(self) -> None:
        self.finished = True
        self._write(self.shards)

    def discard(self) -> None:
        """Removes the folder, the manifest last: what a kill leaves of it still says what it is."""
        self._sweep()
        (self.folder / "_manifest.json").unlink()
        if self.folder.suffix == ".partial":
            with suppress(OSError):  # it holds something that was never ours
                self.folder.rmdir()

    def _sweep(self) -> None:
        for path in self.folder.iterdir():
            if path.name.startswith(_OURS):
                path.unlink()

    def gather(self, out: Path) -> None:
        """All shards as one file, in memory one shard at a time."""
        partial = out.with_name(out.name + ".joining")
        paths = [self.folder / shard["name"] for shard in self.shards]
        with drafts(partial):
            if out.suffix == ".npy":
                self._join_arrays(paths, partial)
            else:
                with pq.ParquetWriter(partial, pq.read_schema(paths[0])) as writer:
                    for path in paths:
                        writer.write_table(pq.read_table(path))
            to_disk(partial)
            os.replace(partial, out)

    def _join_arrays(self, paths: list[Path], out: Path) -> None:
        """Written, not mapped: where the disk is full, a write raises an error and a mapped page kills the process."""
        first = np.load(paths[0], mmap_mode="r")
        with open(out, "wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, {**header, "shape": (self.rows, first.shape[1])})
            for path in paths:
                file.write(np.load(path).data)

    def _write(self, shards: list[dict[str, Any]]) -> None:
        rows = sum(shard["rows"] for shard in shards)
        held = {"origin": self.origin, "rows": rows, "finished": self.finished, "shards": shards}
        partial = self.folder / "_manifest.json.partial"
        replace(self.folder / "_manifest.json", json.dumps(held, indent=1), partial)


def _read(manifest: Path) -> tuple[dict[str, str], list[dict[str, Any]], bool]:
    """What a manifest says of its origin, its shards, and whether they are all."""
    try:
        held = json.loads(manifest.read_text())
        return held["origin"], held["shards"], held["finished"]
    except (ValueError, KeyError, TypeError):
        raise BadFolder(f"{manifest} is damaged; give another --out, or delete its folder to begin anew.") from None


def _vector_column(vectors: Small) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
