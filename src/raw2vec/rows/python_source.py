"""Source trees of Python as rows: every function, its first sentence and its code, read by `ast` and never run."""

from __future__ import annotations

import ast
import gc
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import Rows

TESTS = ("test", "tests", "testing", "idle_test")
"""Folders of tests, by their usual names."""
VENDORED = ("site-packages", "node_modules", "__pycache__")
"""Folders of what others wrote or a tool made."""

_SCHEMA = pa.schema(
    [
        ("query", pa.string()),
        ("code", pa.string()),
        ("file", pa.string()),
        ("name", pa.string()),
        ("line", pa.int64()),
        ("docstring", pa.string()),
        ("words", pa.int64()),
        ("details", pa.string()),
        ("title", pa.string()),
        ("comments", pa.string()),
        ("body", pa.string()),
    ]
)
# A sentence ends before a space, but not after "e.g." and the like, nor after an initial.
_SENTENCE = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!cf\.)(?<!vs\.)(?<!\b[A-Z]\.)\s")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class PythonFunctions(Rows):
    """The functions and methods of a folder's .py files, nested ones included, one a row; files in sorted order.

    Columns: query, the docstring's first sentence, None without one; code, the source without the docstring,
    decorators kept; file, relative to the folder; name, qualified; line, where the function begins; docstring; words,
    how many the query has. And what else in a function tells of it, None where nothing does: details, the rest of the
    docstring; title, the qualified name where it has words; comments, its own; body, the code without its name and
    comments, which title and comments are to be matched with. Hidden folders are passed over, and those named in
    `exclude`. A file that cannot be read or parsed is left out and told in `skipped`. The trees are parsed once, here,
    and the functions kept in memory.
    """

    group = "file"
    gaps = True
    names_at = "a source tree"

    def __init__(self, folder: str | Path, exclude: Sequence[str] = VENDORED):
        self.folder, self.name, self.columns = Path(folder), str(folder), _SCHEMA.names
        self.skipped: list[str] = []
        if not self.folder.is_dir():
            raise BadInput(f"There is no folder {folder}.")
        digest, batches = blake2b(digest_size=16), []
        with _uncollected():
            for path in source_files(self.folder, exclude):
                file = path.relative_to(self.folder).as_posix()
                try:
                    source = path.read_bytes()
                    rows = list(_functions(source, file))
                    batches.append(pa.RecordBatch.from_pylist(rows, schema=_SCHEMA))
                except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
                    self.skipped.append(f"{file}: {_reason(error)}")
                else:
                    digest.update(repr((file, len(source))).encode(errors="surrogateescape") + source)
        self._table = pa.Table.from_batches(batches, schema=_SCHEMA)
        self._digest = digest.hexdigest()

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        chosen = self._table if columns is None else self._table.select(list(columns))
        yield from chosen.combine_chunks().to_batches(max_chunksize=rows)

    def where(self, row: int) -> str:
        found = self._table.slice(row, 1).to_pylist()
        return f"{found[0]['file']} line {found[0]['line']}" if found else f"{self.name}, past its end"

    def fingerprint(self) -> str:
        return self._digest


def python_functions(folder: str | Path, exclude: Sequence[str] = (*TESTS, *VENDORED)) -> PythonFunctions:
    """The functions of a source tree, without the folders named in `exclude`: tests and others' packages."""
    return PythonFunctions(folder, exclude)


def source_files(folder: Path, exclude: Sequence[str] = VENDORED) -> Iterator[Path]:
    """The .py files under a folder, sorted; hidden folders and those of a name in `exclude` passed over."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in exclude and not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".py") and not name.startswith("."))


def _functions(source: bytes, file: str) -> Iterator[dict[str, object]]:
    """The rows of one file. Positions are in bytes of UTF-8, as `ast` counts them."""
    tree = ast.parse(source)
    # In another declared encoding the bytes of the file are not those that ast counts.
    text = source if _is_utf8(source) else _declared(source)
    lines = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for name, node in _defined(tree, ""):
        docstring = ast.get_docstring(node)
        query = _first_sentence(docstring) if docstring else None
        code = _code(node, lines, docstring is not None)
        comments = [line.strip("# \t") for line in code.split("\n") if line.lstrip().startswith("#")]
        yield {
            "query": query,
            "code": code,
            "file": file,
            "name": name,
            "line": node.lineno,
            "docstring": docstring,
            "words": len(query.split()) if query else 0,
            "details": " ".join((docstring or "").split()).removeprefix(query or "").strip() or None,
            "title": None if node.name.startswith("__") or len(node.name) < 4 else name,
            "comments": " ".join(comments) or None,
            "body": _body(code, node.name),
        }


def _defined(node: ast.AST, scope: str) -> Iterator[tuple[str, Function]]:
    """Functions with their qualified names. Only statements are visited: no expression holds a function with a name."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        inside = getattr(node, field, None)
        for child in inside if isinstance(inside, list) else ():
            if isinstance(child, Function):
                yield scope + child.name, child
            within = f"{scope}{child.name}." if isinstance(child, Function | ast.ClassDef) else scope
            yield from _defined(child, within)


def _code(node: Function, lines: list[bytes], documented: bool) -> str:
    """The function's own lines, its docstring cut out, moved to the left margin."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    own = lines[first : node.end_lineno]
    own[-1] = own[-1][: node.end_col_offset]
    if documented:
        text = node.body[0]
        start, stop = text.lineno - 1 - first, (text.end_lineno or text.lineno) - 1 - first
        before, after = own[start][: text.col_offset], own[stop][text.end_col_offset :].lstrip(b" \t;")
        joined = before + after if after else before.rstrip()
        own[start : stop + 1] = [joined] if joined.strip() else []
    margin = own[0][: len(own[0]) - len(own[0].lstrip())]
    return b"\n".join(line.removeprefix(margin) for line in own).decode().rstrip()


def _body(code: str, name: str) -> str:
    """The code with its own name hidden and the lines that are comments gone."""
    kept = "\n".join(line for line in code.split("\n") if not line.lstrip().startswith("#"))
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "_", kept)


def _first_sentence(docstring: str) -> str | None:
    paragraph = " ".join(re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0].split())
    return _SENTENCE.split(paragraph, maxsplit=1)[0] or None


def _is_utf8(source: bytes) -> bool:
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return True


def _declared(source: bytes) -> bytes:
    declared = re.search(rb"coding[:=]\s*([-\w.]+)", b"\n".join(source.split(b"\n")[:2]))
    return source.decode(declared[1].decode() if declared else "utf-8").encode()


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}" if error.lineno else str(error.msg)
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would walk millions of nodes that hold no cycles; nor parsing's warnings."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if was_on:
            gc.enable()
