"""Comma and tab separated files, streamed: every cell a string, every complaint with its line."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from raw2vec.errors import BadInput, nearest
from raw2vec.rows.base import FileRows

# A cell may hold a megabyte and more; one of 256 million characters is a quote that was never closed.
_LONGEST_CELL = min(sys.maxsize, 1 << 28)
_LINE_END = re.compile(r"\r\n|\r|\n")  # and nothing else: splitlines knows of eight more
_ENCLOSED = re.compile(r'"(?:[^"]|"")*"')
# Names that head columns of text often enough to be taken for such at sight.
_USUAL_NAMES = frozenset(
    """id text texts body title label labels name input target query question answer document doc passage sentence
    sentence1 sentence2 source src tgt category class score value date path file url caption code summary content
    message review comment description abstract anchor positive negative premise hypothesis subject""".split()  # noqa: SIM905
)


class Delimited(FileRows):
    """A csv or tsv file, plain or gzipped. Quoted cells may hold delimiters, quotes and new lines.

    The first line is the header when it holds every name of `wanted`; a wanted number is a column by its place, and
    then every line is a row. With nothing wanted the first line is the header when it looks like one: distinct short
    names unlike the rows after it. A column that its header leaves nameless, or names again, goes by its place.

    A tsv whose cells begin with quotes that do not enclose them is read with its quotes as they stand.
    """

    written = True

    def __init__(self, path: str | Path, wanted: Sequence[str] = (), tabs: bool = False, name: str | None = None):
        super().__init__(path, name)
        beginning = self._whole_lines()
        self._uneven = 0  # the first line of a tsv that has more or fewer tabs than those before it
        self._delimiter = "\t" if tabs else _delimiter(beginning)
        self._quoting: Literal[0, 3] = csv.QUOTE_NONE if tabs and self._loose_quotes() else csv.QUOTE_MINIMAL
        self._width = 0
        first = list(islice(self._records(), 1))
        if not first:
            raise BadInput(f"{self.name} is empty: it holds no rows.")
        self._width = len(first[0][1])
        self.names_at = f"line {first[0][0]}"
        self.headed = self._has_header(first[0][1], wanted)
        self.columns = _names(first[0][1]) if self.headed else [str(place) for place in range(self._width)]

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(self.columns if columns is None else columns)
        places = [self.columns.index(name) for name in names]
        records = islice(self._records(), int(self.headed), None)
        while block := [cells for _, cells in islice(records, rows)]:
            arrays = [pa.array([cells[place] for cells in block], pa.string()) for place in places]
            yield pa.RecordBatch.from_arrays(arrays, names=names)

    def where(self, row: int) -> str:
        line = next((line for line, _ in islice(self._records(), row + int(self.headed), None)), None)
        return f"{self.name} line {line}" if line else f"{self.name}, past its end"

    def _loose_quotes(self) -> bool:
        """Whether quotes are plain characters: all lines have as many tabs, and some cell opens a quote it leaves open.

        The whole file is asked, for the first such cell may come late.
        """
        tabs, loose = -1, False
        with self._text() as stream:
            for number, line in enumerate(stream, 1):
                if bare := line.rstrip("\r\n"):
                    count = bare.count("\t")
                    if count != tabs and tabs >= 0:
                        self._uneven = number
                        return False
                    tabs = count
                    loose = loose or ('"' in bare and any(map(_is_open, bare.split("\t"))))
        return loose

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The line on which each row begins, counted from 1, and its cells. Blank lines are no rows."""
        csv.field_size_limit(_LONGEST_CELL)
        with self._text() as stream:
            # Strict: a quote that closes before its cell ends would otherwise be dropped without a word.
            lines = self._checked(stream)
            reader = csv.reader(lines, delimiter=self._delimiter, quoting=self._quoting, strict=True)
            line = 1
            try:
                for cells in reader:
                    if cells:
                        if self._width and len(cells) != self._width:
                            raise self._ragged(line, len(cells))
                        if self._uneven and reader.line_num > line and self._swallows(cells):
                            raise self._swallowed(line, reader.line_num)
                        yield line, cells
                    line = reader.line_num + 1
            except csv.Error as error:
                raise self._badly_quoted(line, str(error)) from None

    def _checked(self, stream: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(stream, 1):
            if "\0" in line:
                raise self.no_text(number)
            yield line

    def _swallows(self, cells: list[str]) -> bool:
        """Whether the lines of a row that takes several would each be a row by themselves."""
        first, *between, last = _LINE_END.split("\t".join(cells))
        whole = (line.count("\t") == self._width - 1 for line in (first, *filter(None, between), last))
        return self._width > 1 and all(whole)

    @contextmanager
    def _text(self) -> Iterator[IO[str]]:
        with self.opened() as stream:
            yield io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")

    def _ragged(self, line: int, found: int) -> BadInput:
        sign = "tab" if self._delimiter == "\t" else f"'{self._delimiter}'"
        many = f"quote a cell that holds a {sign}, or name all columns there."
        tip = many if found > self._width else "is a cell missing, or a quote unclosed?"
        first = self.names_at if self.names_at != "it" else "line 1"
        cells = "1 cell" if found == 1 else f"{found} cells"
        return BadInput(f"{self.name} line {line} has {cells}, but {first} has {self._width}: {tip}")

    def _badly_quoted(self, line: int, reason: str) -> BadInput:
        if "unexpected end" in reason or "field larger" in reason:
            told = f"{self.name} line {line}: a quote opens there and is never closed."
        else:
            told = f"{self.name} line {line} is badly quoted ({reason}): double the quotes inside a quoted cell."
        return BadInput(f"{told}{self._as_text()}")

    def _swallowed(self, line: int, last: int) -> BadInput:
        told = f"{self.name} line {line}: a quote opens there and closes on line {last}"
        return BadInput(f"{told}, though each of these lines is a row by itself.{self._as_text()}")

    def _as_text(self) -> str:
        """What stands in the way of taking quotes as they stand."""
        why = f" Quotes would be text if every line had as many tabs, which line {self._uneven} has not."
        return why if self._uneven else ""

    def _has_header(self, first: list[str], wanted: Sequence[str]) -> bool:
        if first == [str(place) for place in range(len(first))]:
            return True
        named = [name for name in wanted if not name.isdecimal()]
        for name in named:
            if first.count(name) != 1:
                raise self._no_column(name, first)
        for place in (name for name in wanted if name.isdecimal() and not (named and name in first)):
            if int(place) >= len(first):
                raise BadInput(f"{self.name} has no column {place}: its {len(first)} columns are numbered from 0.")
        if wanted:
            return bool(named)
        return _looks_like_names(first, [cells for _, cells in islice(self._records(), 1, 101)])

    def _no_column(self, name: str, first: list[str]) -> BadInput:
        if name in first:
            return BadInput(f"{self.name} has {first.count(name)} columns '{name}': name it by its place, from 0.")
        shown = ", ".join(cell if len(cell) <= 40 else cell[:39] + "…" for cell in first[:20])
        tip = " Without a line of names, columns go by number, from 0." if any(" " in cell for cell in first) else ""
        told = f"{self.name} has no column '{name}' ({self.names_at} names: {shown})."
        return BadInput(f"{told}{nearest(name, first) or tip}")

    def _whole_lines(self) -> list[str]:
        """The lines of the file's beginning, the last one left out where it may have been cut off."""
        head = self.head(1 << 20)
        lines = _LINE_END.split(head.decode("utf-8-sig", errors="replace"))
        return lines if len(head) < 1 << 20 or len(lines) == 1 else lines[:-1]


def _names(cells: list[str]) -> list[str]:
    """The header's names; the place for a cell that names nothing or repeats a name."""
    stripped = [cell.strip() if cell.strip() not in cells else cell for cell in cells]
    return [n if n.strip() and n not in stripped[:place] else str(place) for place, n in enumerate(stripped)]


def _delimiter(lines: list[str]) -> str:
    """The comma, unless the first lines hold none and as many semicolons or tabs each, as spreadsheets write them."""
    sample = [line for line in lines[:6] if line]
    for sign in ";\t":
        counts = {line.count(sign) for line in sample}
        if len(sample) > 1 and "," not in sample[0] and len(counts) == 1 and counts != {0}:
            return sign
    return ","


def _is_open(cell: str) -> bool:
    return cell.startswith('"') and not _ENCLOSED.fullmatch(cell)


def _looks_like_names(first: list[str], later: list[list[str]]) -> bool:
    """Whether a line heads its columns: distinct short words, one of them usual or unlike what is below it."""
    cells = [cell.strip() for cell in first]
    if len(set(cells)) < len(cells) or not all(re.fullmatch(r"[^\W\d][\w .()/%#-]{0,39}", cell) for cell in cells):
        return False
    if any(cell.endswith(".") or cell.count(" ") > 3 for cell in cells):
        return False
    if any(cell.lower() in _USUAL_NAMES for cell in cells):
        return True
    columns: list[tuple[Any, ...]] = list(zip(*later, strict=True))
    return any(_unlike(cell, below) for cell, below in zip(cells, columns, strict=False))


def _unlike(name: str, below: Sequence[str]) -> bool:
    """A word over numbers, or over cells that nearly all hold several words, or that are nearly all twice as long."""
    filled = [cell.strip() for cell in below if cell.strip()]
    if not filled:
        return False
    numbers = sum(bool(re.fullmatch(r"[-+]?[\d.,:/-]+(?:[eE][-+]?\d+)?%?", cell)) for cell in filled)
    spaced = sum(" " in cell for cell in filled) if " " not in name and name == name.lower() else 0
    longer = sum(len(cell) >= 2 * len(name) + 4 for cell in filled)
    return max(numbers, spaced, longer) >= 0.9 * len(filled)
