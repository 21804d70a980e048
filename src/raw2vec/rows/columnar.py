"""Parquet and Arrow files, streamed: types kept, only the columns asked for are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from raw2vec.errors import BadInput
from raw2vec.rows.base import FileRows


class _Columnar(FileRows):
    """A file that is read by seeking in it: a gzipped one is unzipped beside, for as long as these rows are in use."""

    names_at = "its schema"
    format: str

    def __init__(self, path: str | Path, name: str | None = None):
        super().__init__(path, name)
        with self.opened() as stream:
            if not stream.read(1):
                raise BadInput(f"{self.name} is empty: it holds no rows.")
        with open(self.path, "rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
        if zipped:
            self._unzipped = tempfile.NamedTemporaryFile()  # noqa: SIM115 - lives as long as the rows
            with self.opened() as stream:
                copyfileobj(stream, self._unzipped)
            self._unzipped.flush()
            self.path = Path(self._unzipped.name)

    def where(self, row: int) -> str:
        return f"{self.name} row {row}"

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What Arrow says of a bad file, as a sentence with the file's name."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0][:200]
            raise BadInput(f"{self.name} cannot be read as {self.format} ({reason}): is it whole?") from None


class Parquet(_Columnar):
    """A Parquet file, page by page: a group of a million rows does not have to fit in memory."""

    format = "Parquet"
    _BUFFER = 1 << 20  # bytes; without one Arrow reads a column of a whole group at once

    def __init__(self, path: str | Path, name: str | None = None):
        super().__init__(path, name)
        with self._said(), pq.ParquetFile(self.path) as file:
            self.types = file.schema_arrow
        self.columns = self.types.names

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = None if columns is None else list(columns)
        with self._said(), pq.ParquetFile(self.path, buffer_size=self._BUFFER) as file:
            for batch in file.iter_batches(rows, columns=names):
                if len(batch):
                    yield batch.select(names) if names else batch


class Arrow(_Columnar):
    """An Arrow IPC file (Feather version 2) or stream; a file is mapped, not read."""

    format = "Arrow"

    def __init__(self, path: str | Path, name: str | None = None):
        super().__init__(path, name)
        with self._said(), pa.memory_map(str(self.path)) as source:
            self._stream = source.read(6) != b"ARROW1"
            source.seek(0)
            self.types = (ipc.open_stream(source) if self._stream else ipc.open_file(source)).schema
        self.columns = self.types.names

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(self.columns if columns is None else columns)
        with self._said(), pa.memory_map(str(self.path)) as source:
            for whole in _stored(source, self._stream):
                chosen = whole.select(names)
                for start in range(0, len(chosen), rows):
                    yield chosen.slice(start, rows)


def _stored(source: pa.MemoryMappedFile, stream: bool) -> Iterator[pa.RecordBatch]:
    if stream:
        yield from ipc.open_stream(source)
    else:
        file = ipc.open_file(source)
        for number in range(file.num_record_batches):
            yield file.get_batch(number)
