"""A store in a folder of its own: a Lance table, `store.json` beside it, and a lock for the one who writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from raw2vec.disk import locked, replace, room
from raw2vec.errors import BadInput
from raw2vec.use.stores.base import ROWS, Home, connected, reading, writing

_NAME = "store.json"
_LOCK = "writer.lock"
_TABLE = f"{ROWS}.lance"
_OURS = {_TABLE, _LOCK, "vectors.f32", "vectors.json", "vectors.lock"} | {
    "ranges.npy",
    "small.binary",
    "small.int8",
    "small.json",
    "small.lock",
}


class Folder(Home):
    """The folder at a path. The operating system's lock on a file of it keeps two writers apart."""

    def __init__(self, path: Path):
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def connect(self) -> Any:
        return connected(self.path)

    def told(self) -> str | None:
        try:
            return (self.path / _NAME).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def tell(self, about: str) -> None:
        replace(self.path / _NAME, about, self.path / f"{_NAME}.tmp")

    def create(self, about: str, schema: pa.Schema) -> Any:
        with writing(self.path), room(self.path / _LOCK):
            self._refuse_occupied()
            with locked(self.path / _LOCK):
                self._refuse_occupied()  # again, for it may have been waited for
                shutil.rmtree(self.path / _TABLE, ignore_errors=True)  # of a creation that was cut short
                try:
                    table = self.connect().create_table(ROWS, schema=schema)
                    self.tell(about)
                except Exception:
                    self.discard()
                    raise
        return table

    def open(self) -> Any:
        return self.connect().open_table(ROWS)

    def append(self, table: Any, rows: pa.Table) -> Any:
        if table.count_rows():
            table.add(rows.select(table.schema.names), write_parallelism=1)
        else:
            table.add(rows, mode="overwrite", write_parallelism=1)
        return table

    def tidy(self, table: Any) -> None:
        """Old versions go at once, with what killed writers left. A reader that misses a file of its own moves on."""
        table.optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)
        for draft in (self.path / _TABLE).rglob(".tmp*"):  # what Lance itself leaves lying
            draft.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes all that a store keeps in its folder, and what a creation that was cut short left there."""
        shutil.rmtree(self.path / _TABLE, ignore_errors=True)
        for name in (*_OURS - {_TABLE}, _NAME + ".tmp", _NAME):
            (self.path / name).unlink(missing_ok=True)

    def cache(self, store: str) -> Path:
        return self.path

    @contextmanager
    def writer(self) -> Iterator[None]:
        with writing(self.path), locked(self.path / _LOCK):
            yield

    def reading(self) -> AbstractContextManager[None]:
        return reading(self.path)

    def _refuse_occupied(self) -> None:
        """BadInput unless the folder is empty, or holds no more than a creation that was cut short left there."""
        if (self.path / _NAME).exists():
            raise BadInput(f"{self} is a store already. Open it, or name another folder.")
        strangers = sorted(path.name for path in self.path.iterdir() if path.name not in {*_OURS, _NAME + ".tmp"})
        if strangers:
            raise BadInput(f"{self} is not empty (it holds {strangers[0]}). A store needs a folder of its own.")
