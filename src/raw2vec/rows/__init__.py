"""Rows of named columns, read from wherever they are."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj
from typing import Any

import numpy as np

from raw2vec.braces import spread
from raw2vec.errors import BadInput, meant
from raw2vec.rows.arrays import Arrays
from raw2vec.rows.base import Joined, Rows, opened
from raw2vec.rows.catalogues import Catalogues
from raw2vec.rows.cells import NUMBERS, Typed, read_cells
from raw2vec.rows.columnar import Arrow, Parquet
from raw2vec.rows.columns import Guess, guess_text, guess_text_column, one_value, text_column, text_columns
from raw2vec.rows.delimited import Delimited
from raw2vec.rows.files import MEDIA, SERIES, Files, content_kind, media_kind
from raw2vec.rows.held_out import WithHeldOut
from raw2vec.rows.items import item_column
from raw2vec.rows.lines import JsonArray, JsonLines, TextLines
from raw2vec.rows.located import Located, is_text, located, written
from raw2vec.rows.memory import Memory
from raw2vec.rows.objects import Objects
from raw2vec.rows.pair_filters import Filtered
from raw2vec.rows.parallel import Parallel
from raw2vec.rows.python_source import TESTS, VENDORED, PythonFunctions, python_functions, source_files

__all__ = [
    "NUMBERS",
    "TESTS",
    "VENDORED",
    "Arrays",
    "Catalogues",
    "Files",
    "Filtered",
    "Guess",
    "Joined",
    "Located",
    "Memory",
    "Objects",
    "Parallel",
    "PythonFunctions",
    "Rows",
    "Typed",
    "WithHeldOut",
    "column_kind",
    "content_kind",
    "guess_text",
    "guess_text_column",
    "item_column",
    "item_kind",
    "located",
    "one_value",
    "open_rows",
    "python_functions",
    "read_cells",
    "text_column",
    "text_columns",
    "written",
]

# What each suffix holds; any of them may be followed by .gz.
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "txt",
    ".po": "catalogue",
    ".mo": "catalogue",
    ".npy": "numpy",
    ".npz": "numpy",
}
# ISO 639-1: news.en holds a text a line, as `translate` and 'train.{en,fr}' have it.
_LANGUAGES = (
    "af am an ar as az ba be bg bn bo br bs ca ce co cs cv cy da de dv el en eo es et eu fa fi fo fr fy ga gd gl gu ha "
    "he hi hr ht hu hy ia id ig is it ja jv ka kk km kn ko ku kw ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl "
    "nn no oc or pa pl ps pt qu rm ro ru rw sa sd se si sk sl sn so sq sr st su sv sw ta te tg th tk tl tn tr ts tt ug "
    "uk ur uz vi vo wa wo xh yi yo zh zu"
)
_READERS: dict[str | None, type[JsonLines | JsonArray | Parquet | Arrow | TextLines]] = {
    "jsonl": JsonLines,
    "json array": JsonArray,
    "parquet": Parquet,
    "arrow": Arrow,
    "txt": TextLines,
}

_ZIPPED = ", ".join(suffix for suffix, form in _FORMATS.items() if form != "numpy")
_SUFFIXES = f"{_ZIPPED} or a language's .en, .fr …, each with .gz as well, .npy, .npz, {', '.join(MEDIA)}"
_UNZIPPED_BY = {".zst": "zstd -d", ".bz2": "bunzip2", ".xz": "unxz", ".zip": "unzip"}  # what is not read as it is


def open_rows(data: Any, wanted: Sequence[str] = (), likely: Sequence[str] = (), kind: str | None = None) -> Rows:
    """Rows from a path, '-' for standard input, or Python objects, with the columns `wanted` known to be there.

    A path is a file (csv, tsv, jsonl, json, parquet, arrow, feather, txt or a language's en, fr …, or gettext's po or
    mo, see Catalogues, each perhaps .gz; npy or npz), a folder of such files of one format, a folder of pictures or
    sounds (see Files) or one of them, or a source tree of .py files (one row a function; see PythonFunctions).
    'train.{en,fr}' is train.en and train.fr side by side, line by line, in the columns en and fr (see Parallel); of
    tables of the same columns, 'p{00,01}.csv' is one after the other. Python objects: see Memory.of, and with arrays or
    PIL images among them Objects.of; an array of three axes or more: Arrays.of; an array of objects: as a list of them.
    likely: columns that need not be there. Standard input is a table where its first line holds a name of either, or
    where the kind is table or pairs; else, if it is not JSON, Parquet or Arrow, lines of text. kind: what the data are,
    as far as known: where they are series, an array of two axes is (n, time) and not a table, of nested lists each is
    one, and so is each .npy file of a folder, (time,) or (time, channels).
    Raises BadInput where there is nothing to read, no row, or not the columns, with the file, the line and the reason.
    """
    if isinstance(data, Rows):
        rows = data
    elif isinstance(data, str | Path):
        rows = _standard_input(wanted, likely, kind) if str(data) == "-" else _path(Path(data), wanted, kind)
    else:
        rows = _objects(list(data) if isinstance(data, Iterator) else data, kind)
    if next(iter(rows.batches(1)), None) is None:
        left_out = f" (left out: {'; '.join(rows.skipped[:3])})" if rows.skipped else ""
        raise BadInput(f"{_sentence_case(rows.name)} holds no rows{left_out}.")
    for name in wanted:
        rows.column(name)
    return rows


def column_kind(rows: Rows, column: str) -> str:
    """What a column holds, by its first value: image, audio or series, and text for all else."""
    for batch in rows.batches(256, [column]):
        kind = batch.schema.field(column).type
        if one_value(kind) and not is_text(kind):
            return "text"
        first = next((item for item in item_column(batch, column) if item is not None), None)
        if first is not None:
            return item_kind(first)
    return "text"


def item_kind(item: Any) -> str:
    """What an item is: text, image, audio or series, and table for all else. A string is a path by its suffix."""
    if isinstance(item, dict) and item.keys() & {"bytes", "path"}:
        item = item.get("bytes") or item.get("path")
    if isinstance(item, bytes):
        return content_kind(item) or "text"
    if isinstance(item, str | Path):
        return media_kind(Path(item)) or "text"
    if isinstance(item, tuple):
        return "audio"
    if isinstance(item, np.ndarray):
        return "image" if item.ndim > 2 or (item.ndim == 2 and item.dtype in (np.uint8, np.bool_)) else "series"
    if item is None:
        return "text"
    return "image" if hasattr(item, "getexif") else "table"


def _objects(data: Any, kind: str | None) -> Rows:
    if isinstance(data, np.ndarray) and data.ndim > 2:
        return Arrays.of(data)
    if isinstance(data, np.ndarray) and data.ndim == 2 and kind == "series":
        return Arrays.of(data, kind)
    if isinstance(data, np.ndarray) and data.dtype == object and data.ndim == 1:
        data = list(data)
    lists = kind == "series" and isinstance(data, list) and isinstance(next(iter(data), None), list)
    return Objects.of(data) or Memory.of({kind: data} if lists else data)


def _path(path: Path, wanted: Sequence[str], kind: str | None) -> Rows:
    if sides := spread(path):
        return _several(path, sides, wanted, kind)
    if path.is_dir():
        return _folder(path, wanted, kind)
    _refuse_missing(path)
    return Files(path.parent, [path]) if media_kind(path) else _file(path, _format(path), wanted, kind=kind)


def _several(path: Path, sides: Sequence[tuple[str, str]], wanted: Sequence[str], kind: str | None) -> Rows:
    """Text files side by side, each a column that is called as it is in the braces; tables one after the other."""
    words, files = [word for word, _ in sides], [Path(file) for _, file in sides]
    if "" in words or len(set(words)) < len(words):
        raise BadInput(f"{path}: in braces every column is named, and named once, as in train.{{en,fr}}.")
    for file in files:
        _refuse_missing(file, files)
    forms = {_format(file) for file in files}
    if not forms & {None, "txt"}:
        if set(words) <= set(_LANGUAGES.split()):
            told = " or ".join(sorted(map(str, forms)))
            raise BadInput(f"{path}: languages go side by side as lines of text, not {told}: give one file of all.")
        return Joined(str(path), [_file(file, _format(file), wanted, kind=kind) for file in files])
    return Parallel(str(path), {word: TextLines(file) for word, file in zip(words, files, strict=True)})


def _refuse_missing(path: Path, others: Sequence[Path] = ()) -> None:
    """BadInput with the nearest path beside it, which is none of the `others`."""
    if not path.exists():
        raise BadInput(f"There is no file or folder {path}.{meant(path, others)}")


def _file(
    path: Path, form: str | None, wanted: Sequence[str], name: str | None = None, kind: str | None = None
) -> Rows:
    if form in ("csv", "tsv"):
        return Delimited(path, wanted, form == "tsv", name)
    if form == "catalogue":
        return Catalogues(path)
    if form == "numpy":
        if path.suffix.lower() == ".gz":
            raise BadInput(f"{path}: arrays are not read from a .gz: gunzip it first.")
        return Arrays.open(path, wanted, name, kind)
    if form == "json":
        # Many a .json holds an object a line.
        form = "jsonl" if _beginning(path, name or str(path)).startswith(b"{") else "json array"
    if form is None and Path(path.name.removesuffix(".gz")).suffix[1:] in _LANGUAGES.split():
        form = "txt"
    if form not in _READERS:
        if by := _UNZIPPED_BY.get(path.suffix.lower()):
            raise BadInput(f"{path}: a '{path.suffix}' is not read as it is: unpack it first ({by}).")
        suffix = f"with the suffix '{path.suffix}'" if path.suffix else "without a suffix"
        raise BadInput(f"{path}: a file {suffix} cannot be read. These can: {_SUFFIXES}.")
    return _READERS[form](path, name)


def _format(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return _FORMATS.get(Path(name).suffix)


def _folder(path: Path, wanted: Sequence[str], kind: str | None) -> Rows:
    """Data files of one format read as one; where those are the most, pictures or sounds, or a source tree.

    .npy files are each one series where their `kind` says so. Programs carry their catalogues in many languages, and
    those the same in JSON: catalogues are rows only where there is no function, and no file of another name.
    """
    files = [item for item in sorted(path.rglob("*")) if _visible(item.relative_to(path)) and item.is_file()]
    catalogues = [item for item in files if _format(item) == "catalogue"]
    stems = {item.with_suffix("") for item in catalogues}
    readable = [item for item in files if _format(item) and item.with_suffix("") not in stems]
    sources = sum(1 for _ in source_files(path))
    media = sum(1 for item in files if media_kind(item))
    if media > max(sources, len(readable), len(catalogues)):
        return Files(path, files)
    if kind == "series" and _each_one_series(readable):
        return Files(path, files, SERIES)
    if sources > len(readable):
        functions = PythonFunctions(path)
        if not catalogues or next(functions.batches(1), None) is not None:
            return functions
    if catalogues and not readable:
        return Catalogues(path, catalogues)
    readable += catalogues
    if not readable:
        found = Counter(item.suffix or item.name for item in files)
        holds = ", ".join(f"{count} {suffix}" for suffix, count in found.most_common(5)) or "no files"
        raise BadInput(f"{path} holds nothing that can be read ({holds}). These can: {_SUFFIXES}, .py.")
    formats = Counter(str(_format(item)) for item in readable)
    if len(formats) > 1:
        kinds = ", ".join(f"{count} {form}" for form, count in formats.most_common())
        raise BadInput(f"{path} holds files of several formats ({kinds}): keep those of one, or name the files.")
    parts = [_file(item, _format(item), wanted) for item in readable]
    return parts[0] if len(parts) == 1 else Joined(str(path), parts)


def _each_one_series(files: Sequence[Path]) -> bool:
    """Whether these are .npy files, the first of one axis or two: with three it would hold several series."""
    arrays = bool(files) and all(file.suffix.lower() in SERIES for file in files)
    return arrays and Arrays.open(files[0]).kind == "table"


def _visible(path: Path) -> bool:
    return not any(part.startswith(".") or part in VENDORED for part in path.parts)


class _Spooled(Joined):
    """Standard input, kept in a temporary file so that it can be read more than once."""

    def __init__(self, rows: Rows, file: Any):
        super().__init__(rows.name, [rows])
        self._file, self.paths_from = file, Path()


def _standard_input(wanted: Sequence[str], likely: Sequence[str], kind: str | None) -> Rows:
    """Standard input, its format told by its beginning."""
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - lives as long as the rows
    copyfileobj(sys.stdin.buffer, file)
    file.flush()
    path, name = Path(file.name), "standard input"
    form, wanted = _sniffed(_beginning(path, name), wanted, likely, kind)
    return _Spooled(_file(path, form, wanted, name), file)


def _beginning(path: Path, name: str) -> bytes:
    """The first bytes that say something."""
    with opened(path, name) as stream:
        return stream.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()


def _sniffed(text: bytes, wanted: Sequence[str], likely: Sequence[str], kind: str | None) -> tuple[str, Sequence[str]]:
    """The format of data without a suffix, and the columns that are surely in it.

    Parquet and Arrow are known by their mark, JSON by its brace, a table by names in its first line, or because the
    data are said to be one. All else is lines of text.
    """
    for mark, form in _BEGINNINGS.items():
        if text.startswith(mark):
            return form, wanted
    line = text.split(b"\n", 1)[0].rstrip(b"\r").decode(errors="replace")
    for sign, form in (("\t", "tsv"), (",", "csv"), (";", "csv")):
        cells = [cell.strip('"') for cell in line.split(sign)]
        if any(name in cells or _is_place(name, cells) for name in wanted):
            return form, wanted
        if not wanted and len(cells) > 1 and (named := [name for name in likely if cells.count(name) == 1]):
            return form, named
    tabular = kind in ("table", "pairs")
    if "\t" in line and (tabular or set(wanted) - {"text"}):
        return "tsv", wanted
    return "csv" if tabular else "txt", wanted


_BEGINNINGS = {b"PAR1": "parquet", b"ARROW1": "arrow", b"{": "jsonl", b"[{": "json array"}


def _is_place(name: str, cells: Sequence[str]) -> bool:
    """Whether a column is named by its place, which lines of text have but one of."""
    return name.isdecimal() and 0 < int(name) < len(cells)


def _sentence_case(name: str) -> str:
    return name if "/" in name or "." in name else name[:1].upper() + name[1:]
