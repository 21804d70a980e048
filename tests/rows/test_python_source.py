"""Functions of a source tree: found wherever they are, told apart from their docstrings, and never run."""

import ast
import json
from pathlib import Path

import pytest

from raw2vec.rows import PythonFunctions, open_rows, python_functions

SOURCE = '''
import nothing_of_the_kind
raise SystemExit("this file is never run")

class Shelf:
    @property
    @cached(
        size=3)
    def first(self):
        """The first
        book, e.g. on the left.  Others follow.

        More.
        """
        if self:
            def inner(x): "Says it in a line."; return x
            text = """
  kept as it is
"""
            return inner(self.books[0])

    async def later(self): return 1

def plain(a,
          b="é"):
    # a comment
    return a

def silent():
    """Only a docstring"""

try:
    pass
except ValueError:
    match 1:
        case 2:
            def deep(): pass
'''


def rows_of(folder: Path) -> dict[str, dict[str, object]]:
    return {row["name"]: row for batch in open_rows(folder).batches() for row in batch.to_pylist()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "shelf.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def test_functions_and_their_parts(tree: Path) -> None:
    rows = rows_of(tree)
    assert list(rows) == ["Shelf.first", "Shelf.first.inner", "Shelf.later", "plain", "silent", "deep"]
    first = rows["Shelf.first"]
    assert first["query"] == "The first book, e.g. on the left."
    assert first["docstring"] == "The first\nbook, e.g. on the left.  Others follow.\n\nMore."
    assert (first["words"], first["file"], first["line"]) == (7, "books/shelf.py", 9)
    assert first["code"] == (
        "@property\n@cached(\n    size=3)\ndef first(self):\n    if self:\n"
        '        def inner(x): "Says it in a line."; return x\n'
        '        text = """\n  kept as it is\n"""\n        return inner(self.books[0])'
    )
    assert rows["Shelf.first.inner"]["code"] == "def inner(x): return x"
    assert rows["Shelf.first.inner"]["query"] == "Says it in a line."
    assert rows["plain"]["code"] == 'def plain(a,\n          b="é"):\n    # a comment\n    return a'
    assert (rows["plain"]["query"], rows["plain"]["docstring"], rows["plain"]["words"]) == (None, None, 0)
    assert rows["silent"]["code"] == "def silent():"


def test_pairs_first_and_files_as_groups(tree: Path) -> None:
    rows = open_rows(tree, ["query", "code"])
    assert rows.columns[:2] == ["query", "code"]
    assert rows.group == "file"
    assert rows.where(0) == "books/shelf.py line 9"


def test_line_ends_encodings_and_marks(tmp_path: Path) -> None:
    code = 'def f():\n    "Says é."\n    return "é"\n'
    (tmp_path / "windows.py").write_bytes(b"\xef\xbb\xbf" + code.replace("\n", "\r\n").encode())
    (tmp_path / "latin.py").write_bytes(("# -*- coding: latin-1 -*-\n" + code).encode("latin-1"))
    (tmp_path / "feed.py").write_text("x = 1\n\x0c\n" + code, encoding="utf-8")
    rows = [row for batch in open_rows(tmp_path).batches() for row in batch.to_pylist()]
    assert [(row["query"], row["code"]) for row in rows] == [("Says é.", 'def f():\n    return "é"')] * 3


def test_what_cannot_be_read_is_told(tree: Path) -> None:
    (tree / "old.py").write_text("print 'x'\n")
    (tree / "nul.py").write_bytes(b"def f(): pass\0")
    (tree / "bytes.py").write_bytes(b"def f(): return '\xff'\n")
    (tree / ".hidden.py").write_text("def hidden(): pass\n")
    rows = open_rows(tree)
    assert [line.split(":")[0] for line in rows.skipped] == ["bytes.py", "nul.py", "old.py"]
    assert "old.py: line 1: Missing parentheses" in rows.skipped[2]
    assert sum(len(batch) for batch in rows.batches()) == 6


def test_folders_left_out(tree: Path) -> None:
    for folder in ("tests", "site-packages", ".git", "mine"):
        (tree / folder).mkdir()
        (tree / folder / "x.py").write_text(f"def in_{folder.strip('.').replace('-', '_')}(): pass\n")

    def names(rows: PythonFunctions) -> set[str]:
        return {name for batch in rows.batches() for name in batch.column("name").to_pylist() if name.startswith("in_")}

    assert names(PythonFunctions(tree)) == {"in_tests", "in_mine"}
    assert names(python_functions(tree)) == {"in_mine"}
    assert names(python_functions(tree, exclude=("mine",))) == {"in_tests", "in_site_packages"}


def test_the_code_of_real_functions_parses_and_holds_no_docstring() -> None:
    rows = python_functions(Path(json.__file__).parent)
    count = 0
    for row in (row for batch in rows.batches(4) for row in batch.to_pylist()):
        code = row["code"]
        only_docstring = code.rstrip().endswith(":")
        node = ast.parse(code + (" pass" if only_docstring else "")).body[0]
        assert isinstance(node, ast.FunctionDef)
        assert ast.get_docstring(node) is None
        count += 1
    assert count > 20
    assert rows.fingerprint() == python_functions(Path(json.__file__).parent).fingerprint()
