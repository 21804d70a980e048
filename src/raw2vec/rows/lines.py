"""One item a line: plain text, and JSON Lines, streamed; a JSON array of objects, read whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import FileRows, Kinds, typed_batch

_BOM = b"\xef\xbb\xbf"
_HEAD = 1024  # rows that tell the columns and their types


class TextLines(FileRows):
    """A text file, one item a line, in the column 'text'. An empty line is an item too: items are numbered as lines."""

    columns = ["text"]  # noqa: RUF012 - never changed

    def __init__(self, path: str | Path, name: str | None = None):
        super().__init__(path, name)
        self.head()

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        with self.opened() as stream:
            if stream.read(3) != _BOM:
                stream.seek(0)
            start = 1
            while block := list(islice(stream, rows)):
                if (odd := next((place for place, line in enumerate(block) if b"\0" in line), None)) is not None:
                    raise self.no_text(start + odd)
                texts = [_ended(line).decode() for line in block]
                yield pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], names=["text"])
                start += len(block)

    def where(self, row: int) -> str:
        return f"{self.name} line {row + 1}"

    def count(self) -> int:
        """How many lines there are, the last one too if nothing ends it."""
        lines, last = 0, b"\n"
        with self.opened() as stream:
            while block := stream.read(1 << 20):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return lines + (last != b"\n")


class JsonLines(FileRows):
    """A JSON object a line, types kept. The first 1,024 objects tell the columns, and a column keeps its first type."""

    names_at = "its beginning"

    def __init__(self, path: str | Path, name: str | None = None):
        super().__init__(path, name)
        self.head()
        self._kinds: Kinds = {}
        block = list(islice(self._objects(), _HEAD))
        self.columns = list(dict.fromkeys(key for _, found in block for key in found))
        if not self.columns:
            raise BadInput(
                f'{self.name} holds no rows with a column: each line is to be an object such as {{"text": …}}.'
            )
        self._batch(block, self.columns, self._kinds)

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names, kinds, objects = list(self.columns if columns is None else columns), dict(self._kinds), self._objects()
        while block := list(islice(objects, rows)):
            yield self._batch(block, names, kinds)

    def where(self, row: int) -> str:
        line = next((line for line, _ in islice(self._objects(), row, None)), None)
        return f"{self.name} line {line}" if line else f"{self.name}, past its end"

    def _batch(self, block: list[tuple[int, dict[str, object]]], names: list[str], kinds: Kinds) -> pa.RecordBatch:
        values = {name: [found.get(name) for _, found in block] for name in names}
        return typed_batch(values, kinds, lambda place: f"{self.name} line {block[place][0]}")

    def _objects(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Each line's number and its object; blank lines are passed over."""
        with self.opened() as stream:
            for number, line in enumerate(stream, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, self._object(text, number)

    def _object(self, text: str, number: int) -> dict[str, object]:
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"{self.name} line {number} is not JSON ({error.msg} at character {error.pos}).") from None
        except RecursionError:
            raise BadInput(f"{self.name} line {number} is nested too deep.") from None
        if not isinstance(found, dict):
            kind = type(found).__name__
            raise BadInput(f"{self.name} line {number} holds a {kind}; every line is to be an object, {{…}}.")
        return found


class JsonArray(FileRows):
    """A JSON array of objects, types kept. It is read whole: data larger than memory go into JSON Lines."""

    def __init__(self, path: str | Path, name: str | None = None):
        super().__init__(path, name)
        self.head()
        with self.opened() as stream:
            text = stream.read().decode("utf-8-sig")
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(
                f"{self.name} line {error.lineno} is not JSON ({error.msg}, column {error.colno})."
            ) from None
        except RecursionError:
            raise BadInput(f"{self.name} is nested too deep.") from None
        if not isinstance(found, list) or not found:
            raise self._no_objects("it is empty" if isinstance(found, list) else f"it is a {type(found).__name__}")
        if (odd := next((place for place, item in enumerate(found) if not isinstance(item, dict)), None)) is not None:
            raise self._no_objects(f"item {odd} is none")
        self.columns = list(dict.fromkeys(key for item in found for key in item))
        values = {name: [item.get(name) for item in found] for name in self.columns}
        self._batch = typed_batch(values, {}, self.where)

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        chosen = self._batch if columns is None else self._batch.select(list(columns))
        for start in range(0, len(chosen), rows):
            yield chosen.slice(start, rows)

    def where(self, row: int) -> str:
        return f"{self.name} item {row}"

    def _no_objects(self, reason: str) -> BadInput:
        return BadInput(f"{self.name} is to be an array of objects, [{{…}}, …], but {reason}.")


def _ended(line: bytes) -> bytes:
    """The line without its end, which a file from Windows writes with two characters."""
    return line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line
