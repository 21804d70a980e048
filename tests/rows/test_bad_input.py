"""Bad input is answered with the file, the place, the reason and what to do."""
# ruff: noqa: E501 - whole sentences, as users read them

import gzip
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raw2vec.errors import BadInput
from raw2vec.rows import guess_text_column, open_rows, text_column

FILES: list[tuple[str, bytes, list[str], str]] = [
    ("x.csv", b"id,body,label\n1,a,b\n", ["boddy"], "x.csv has no column 'boddy' (line 1 names: id, body, label). Did you mean 'body'?"),
    ("x.csv", b"id,body\n1,a\n", ["2"], "x.csv has no column 2: its 2 columns are numbered from 0"),
    ("x.csv", b"a,a\n1,2\n", ["a"], "x.csv has 2 columns 'a': name it by its place, from 0"),
    ("x.csv", b"id,body\n1,a\n\n2,b,c\n", ["id"], "x.csv line 4 has 3 cells, but line 1 has 2: quote a cell that holds a ',', or name all columns there."),
    ("x.tsv", b"red cars\tvoitures\n", ["en"], "x.tsv has no column 'en' (line 1 names: red cars, voitures). Without a line of names, columns go by number, from 0."),
    ("x.tsv", b"id\tbody\n1\n", ["id"], "x.tsv line 2 has 1 cell, but line 1 has 2: is a cell missing, or a quote unclosed?"),
    ("x.csv", b'id,body\n1,"a\n2,b\n', ["id"], "x.csv line 2: a quote opens there and is never closed"),
    ("x.csv", b'id,body\n1,"a"b\n', ["id"], "x.csv line 2 is badly quoted (',' expected after '\"'): double the quotes inside a quoted cell"),
    ("x.csv", b"id,body\n", ["id"], "x.csv holds no rows"),
    ("x.csv", b"", [], "x.csv is empty: it holds no rows"),
    ("x.txt", b"\xef\xbb\xbf\n\n", [], "x.txt is empty: it holds no rows"),
    ("x.jsonl", b"", [], "x.jsonl is empty: it holds no rows"),
    ("x.parquet", b"", [], "x.parquet is empty: it holds no rows"),
    ("x.txt", b"one\ncaf\xe9\n", [], "x.txt line 2 is not UTF-8 text (byte 7 is 0xe9). If it is in another encoding, convert it first (iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW)."),
    ("x.csv", b"id,body\n1,caf\xe9\n", ["id"], "x.csv line 2 is not UTF-8 text (byte 13 is 0xe9)."),
    ("x.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', [], "x.jsonl line 2 is not UTF-8 text (byte 16 is 0xe9)."),
    ("x.txt", b"one\ntw\0o\n", [], "x.txt is a binary file, not text (line 2, byte 6 is NUL)"),
    ("x.csv", b"\x89PNG\r\n\0\0", [], "x.csv is a binary file, not text (line 2, byte 6 is NUL): it looks like a PNG picture"),
    ("x.txt", "text".encode("utf-16"), [], "x.txt is UTF-16 text. Convert it first (iconv -f UTF-16 -t UTF-8 OLD > NEW)."),
    ("x.jsonl", b'{"a": 1}\n{"a": }\n', [], "x.jsonl line 2 is not JSON (Expecting value at character 6)"),
    ("x.jsonl", b'{"a": 1}\n[1]\n', [], "x.jsonl line 2 holds a list; every line is to be an object, {…}"),
    ("x.jsonl", b'{"a": 1}\n{"a": 2.5}\n{"a": "b"}\n', [], "x.jsonl line 3: column 'a' holds 'b' (str), where the rows before hold int64"),
    ("x.jsonl", b'{"a": "b"}\n{"a": "\\ud800"}\n', [], "x.jsonl line 2: column 'a' holds half a character (a lone surrogate)"),
    ("x.jsonl", b'{"a": 1e999, "b": 99999999999999999999999}\n', [], "x.jsonl line 1: column 'b' holds '99999999999999999999999' (int), which no column can hold"),
    ("x.jsonl", b"{}\n", [], "x.jsonl holds no rows with a column: each line is to be an object"),
    ("x.jsonl", b'{"body": 1}\n', ["boddy"], "x.jsonl has no column 'boddy' (its beginning names: body). Did you mean 'body'?"),
    ("x.json", b'[{"a": 1},\n {"a": }]', [], "x.json line 2 is not JSON (Expecting value, column 8)"),
    ("x.json", b'[{"a": 1}, 2]', [], "x.json is to be an array of objects, [{…}, …], but item 1 is none"),
    ("x.json", b"[]", [], "x.json is to be an array of objects, [{…}, …], but it is empty"),
    ("x.parquet", b"PAR1 and no more", [], "x.parquet cannot be read as Parquet ("),
    ("x.arrow", b"ARROW1 and no more", [], "x.arrow cannot be read as Arrow ("),
    ("x.feather", b"nothing", [], "x.feather cannot be read as Arrow ("),
    ("x.txt.gz", gzip.compress(b"one\ntwo\n", mtime=0)[:-9], [], "x.txt.gz is a damaged gzip file ("),
    ("x.xlsx", b"PK", [], "a file with the suffix '.xlsx' cannot be read. These can: .csv, .tsv, .jsonl"),
    ("x.xlsx", b"PK", [], ".txt, .po, .mo or a language's .en, .fr …, each with .gz as well, .npy, .npz, .png"),
    ("x.npy.gz", gzip.compress(b"x", mtime=0), [], "x.npy.gz: arrays are not read from a .gz: gunzip it first."),
    ("x.jsonl.zst", b"x", [], "x.jsonl.zst: a '.zst' is not read as it is: unpack it first (zstd -d)."),
    ("x", b"text", [], "a file without a suffix cannot be read."),
]  # fmt: skip


@contextmanager
def refused(pattern: str) -> Iterator[pytest.ExceptionInfo[BadInput]]:
    """A whole sentence that the pattern is found in."""
    with pytest.raises(BadInput, match=pattern) as raised:
        yield raised
    assert str(raised.value).endswith((".", "?")), f"no whole sentence: {raised.value}"


@pytest.mark.parametrize(
    ("name", "content", "wanted", "sentence"), FILES, ids=[f"{f[0]}-{n}" for n, f in enumerate(FILES)]
)
def test_files(tmp_path: Path, name: str, content: bytes, wanted: list[str], sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with refused(re.escape(sentence)) as raised:
        for _ in open_rows(tmp_path / name, wanted).batches():
            pass
    assert str(tmp_path / name) in str(raised.value), "the message names the file"


def test_trouble_beyond_the_first_block(tmp_path: Path) -> None:
    lines = [f"{number},some text" for number in range(300_000)]
    lines[250_000] += ",more"
    (tmp_path / "x.csv").write_text("\n".join(["id,text", *lines]))
    rows = open_rows(tmp_path / "x.csv", ["text"])
    with refused(r"x\.csv line 250002 has 3 cells, but line 1 has 2"):
        sum(len(batch) for batch in rows.batches())


@pytest.mark.parametrize(
    ("late", "sentence"),
    [
        ("a\tb\n\"c.\td\ne.\"\tf\ng\th\ti\n", "line 20002: a quote opens there and closes on line 20003, though each of these lines is a row by itself. Quotes would be text if every line had as many tabs, which line 20004 has not."),
        ("a\t\"b\nc\t\"d\ne\n", "line 20001 is badly quoted ('\t' expected after '\"'): double the quotes inside a quoted cell. Quotes would be text if every line had as many tabs, which line 20003 has not."),
        ("a\t\"b\nc\td\ne\n", "line 20001: a quote opens there and is never closed. Quotes would be text if every line had"),
        ("a\tb\nc\td\0\n", "line 20002 holds a NUL, which no text does: mend or leave out the line."),
    ],
    ids=["swallowed", "badly quoted", "never closed", "nul"],
)  # fmt: skip
def test_trouble_beyond_the_first_megabyte_of_a_tsv(tmp_path: Path, late: str, sentence: str) -> None:
    lines = "".join(f"line {number} {'.' * 60}\tligne\n" for number in range(20_000))
    (tmp_path / "x.tsv").write_text(lines + late)
    with refused(re.escape(f"x.tsv {sentence}")):
        for _ in open_rows(tmp_path / "x.tsv", ["0"]).batches():
            pass


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("text\na\n")
    with refused(r"There is no file or folder .*tikets\.csv\. Did you mean '.*/tickets\.csv'\?"):
        open_rows(str(tmp_path / "tikets.csv"))
    (tmp_path / "tickets.jsonl").write_text('{"text": "a"}\n')
    with refused(r"holds files of several formats \(1 csv, 1 jsonl\)"):
        open_rows(tmp_path)


def test_folders(tmp_path: Path) -> None:
    with refused(r"holds nothing that can be read \(no files\)"):
        open_rows(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"x")
    with refused(r"holds nothing that can be read \(1 \.bin\)\. These can: \.csv"):
        open_rows(tmp_path)
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.csv").write_text("id,body\n1,a\n")
    with refused(r"b\.csv has the columns id, body, but .*a\.csv has id, text"):
        open_rows(tmp_path)


def test_a_source_tree_without_functions(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print 'old'\n")
    with refused(r"holds no rows \(left out: a\.py: line 1: "):
        open_rows(tmp_path)


def test_no_column_of_a_parquet_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "x.parquet")
    with refused(r"x\.parquet has no column 'txt' \(its schema names: text\)\. Did you mean 'text'"):
        open_rows(tmp_path / "x.parquet", ["txt"])
    with refused("no column '1'"):
        open_rows(tmp_path / "x.parquet", ["1"])


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with refused("standard input is empty"):
        open_rows("-")


OBJECTS: list[tuple[Any, str]] = [
    ([], "The data holds no rows"),
    (5, "Data cannot be read from a int"),
    ([("a", "b"), ("c",)], "Item 1 has 1 values, where the first has 2"),
    ([("a", "b"), None], "Item 1 is a NoneType, where the first is a tuple"),
    ([{"a": 1}, "b"], "Item 1 is a str, where the first is a dict"),
    (["a", {"b": 1}], "item 1: column 'text' holds \"{'b': 1}\" (dict), where the rows before hold string"),
    ({"a": [1, 2], "b": [1]}, "The columns differ in length: a 2, b 1"),
    ({"a": "text"}, "Column 'a' is a str: give a list of its values"),
    ([object()], "which no column can hold"),
    (["a", "\ud800"], "item 1: column 'text' holds half a character"),
]


@pytest.mark.parametrize(("data", "sentence"), OBJECTS, ids=[sentence[:20] for _, sentence in OBJECTS])
def test_objects(data: Any, sentence: str) -> None:
    with refused(re.escape(sentence)):
        open_rows(data)


def test_columns_that_are_no_text() -> None:
    table = pa.table({"tags": [["a"]], "raw": [b"\xff"]})
    with refused("Column 'tags' holds list"):
        text_column(table, "tags")
    with refused("Column 'raw' holds bytes that are not UTF-8"):
        text_column(table, "raw")
    with refused(r"no column 'tag' \(there are: tags, raw\)\. Did you mean 'tags'"):
        text_column(table, "tag")
    with refused("has no column of texts among n"):
        guess_text_column(open_rows({"n": [1, 2]}))
