"""What is written is read back: every format, whatever the cells hold, as often as wanted."""

import csv
import gzip
import io
import json
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raw2vec.errors import BadInput
from raw2vec.rows import Joined, Rows, guess_text, guess_text_column, open_rows, text_column

NAMES = ["id", "body", "label"]
# NUL is what tells a binary file; a lone surrogate is no text.
CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8)
FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow", "feather")


def write(path: Path, table: list[tuple[str, ...]]) -> Path:
    form = path.name.removesuffix(".gz").rsplit(".", 1)[1]
    columns = dict(zip(NAMES, map(list, zip(*table, strict=True)), strict=True))
    plain = path.with_name(path.name.removesuffix(".gz"))
    if form in ("csv", "tsv"):
        with open(plain, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t" if form == "tsv" else ",").writerows([NAMES, *table])
    elif form in ("json", "jsonl"):
        objects = [dict(zip(NAMES, row, strict=True)) for row in table]
        text = json.dumps(objects) if form == "json" else "".join(json.dumps(item) + "\n" for item in objects)
        plain.write_text(text, encoding="utf-8")
    elif form == "parquet":
        pq.write_table(pa.table(columns), plain)
    else:
        pyarrow.feather.write_feather(pa.table(columns), str(plain), compression="uncompressed")
    if path != plain:
        path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


def read(rows: Rows, size: int = 1024) -> list[tuple[object, ...]]:
    batches = list(rows.batches(size))
    assert all(0 < len(batch) <= size for batch in batches)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=TABLES)
def test_any_strings_come_back(tmp_path: Path, form: str, table: list[tuple[str, ...]]) -> None:
    rows = open_rows(write(tmp_path / f"table.{form}", table), NAMES)
    assert rows.columns == NAMES
    assert read(rows, 3) == table
    assert read(rows) == table, "rows are read again from the beginning"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])), min_size=1))
def test_any_lines_come_back(tmp_path: Path, lines: list[str]) -> None:
    if not "".join(lines).strip() or lines[0].startswith("\ufeff"):
        return
    for end in ("\n", "\r\n"):
        (tmp_path / "items.txt").write_bytes("".join(line + end for line in lines).encode())
        assert [row[0] for row in read(open_rows(tmp_path / "items.txt"), 2)] == lines


@pytest.mark.parametrize("form", FORMATS)
def test_gzip(tmp_path: Path, form: str) -> None:
    table = [("1", 'a, b\n"c"', "x"), ("2", "é😀", "y")]
    rows = open_rows(write(tmp_path / f"table.{form}.gz", table), ["body"])
    assert read(rows) == read(rows) == table


def test_a_language_for_a_suffix_is_a_text_a_line(tmp_path: Path) -> None:
    (tmp_path / "news.2016.fr").write_text("un\n\ndeux\n")
    (tmp_path / "news.en.gz").write_bytes(gzip.compress(b"one\n"))
    assert [len(batch) for batch in open_rows(tmp_path / "news.2016.fr").batches()] == [3]
    assert next(open_rows(tmp_path / "news.en.gz").batches()).to_pylist() == [{"text": "one"}]
    (tmp_path / "fr").write_text("un\n")
    for name in ("fr", "x.xx"):
        (tmp_path / name).write_text("un\n")
        with pytest.raises(BadInput, match=r"cannot be read\. These can: .* or a language's \.en, \.fr"):
            open_rows(tmp_path / name)


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt"])
def test_byte_order_mark_and_windows_lines(tmp_path: Path, form: str) -> None:
    lines = {
        "csv": "text,n\r\none,1\r\n",
        "tsv": "text\tn\r\none\t1\r\n",
        "jsonl": '{"text": "one"}\r\n',
        "txt": "one\r\n",
    }
    path = tmp_path / f"x.{form}"
    path.write_bytes(b"\xef\xbb\xbf" + lines[form].encode())
    assert [text_column(batch, "text") for batch in open_rows(path).batches()] == [["one"]]


@pytest.mark.parametrize("form", ["csv", "jsonl", "txt", "parquet"])
def test_a_row_of_three_megabytes(tmp_path: Path, form: str) -> None:
    long = "word " * 600_000
    if form == "txt":
        (tmp_path / "x.txt").write_text(f"short\n{long}\n")
        assert [len(row[0]) for row in read(open_rows(tmp_path / "x.txt"))] == [5, len(long)]  # type: ignore[arg-type]
    else:
        table = [("1", "short", "a"), ("2", long, "b")]
        assert read(open_rows(write(tmp_path / f"x.{form}", table))) == table


def test_only_the_columns_asked_for(tmp_path: Path) -> None:
    for form in FORMATS:
        rows = open_rows(write(tmp_path / f"t.{form}", [("1", "b", "c")]))
        assert next(rows.batches(columns=["label", "id"])).to_pylist() == [{"label": "c", "id": "1"}], form


def test_types(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,n\n007,1\n")
    assert read(open_rows(tmp_path / "x.csv")) == [("007", "1")]
    (tmp_path / "x.jsonl").write_text('{"t": "a", "n": 1, "f": 2}\n\n{"t": null, "f": 2.5, "tags": ["x"]}\n')
    rows = open_rows(tmp_path / "x.jsonl")
    assert rows.columns == ["t", "n", "f", "tags"]
    assert read(rows, 1) == [("a", 1, 2.0, None), (None, None, 2.5, ["x"])]
    assert len({batch.schema for batch in rows.batches(1)}) == 1
    (tmp_path / "lines.json").write_text('{"t": "a"}\n{"t": "b"}\n')
    assert read(open_rows(tmp_path / "lines.json")) == [("a",), ("b",)]
    with pa.OSFile(str(tmp_path / "s.arrow"), "wb") as sink, pa.ipc.new_stream(sink, pa.schema([("t", "str")])) as out:
        out.write_table(pa.table({"t": ["a", "b"]}))
    assert read(open_rows(tmp_path / "s.arrow")) == [("a",), ("b",)]


HEADERS = [
    ("en\tfr\nGo away.\tVa-t'en.\n", ["en", "fr"], ["en", "fr"]),
    ("Go away.\tVa-t'en.\nHi.\tSalut.\n", ["0", "1"], ["0", "1"]),
    ("en\tfr\nHi.\tSalut.\n", ["1"], ["0", "1"]),  # by place: every line is a row
    ("0\t1\nHi.\tSalut.\n", [], ["0", "1"]),  # the places themselves, as data frames write them
    ("Go.\tVa !\nHi.\tSalut.\nRun!\tCours !\n", [], ["0", "1"]),
    ("en\tfr\nGo away.\tVa-t'en.\nCome back here.\tReviens ici.\n", [], ["en", "fr"]),
    ("title\tprice\nChair\t12.50\n", [], ["title", "price"]),
    ("sport\tgood\nfood\tbad\nsport\tbad\n", [], ["0", "1"]),
    ("3\t4\n5\t6\n", [], ["0", "1"]),
    ("id\tbody\t\tbody\n1\ta\tb\tc\n", ["id"], ["id", "body", "2", "3"]),
]


@pytest.mark.parametrize(("text", "wanted", "columns"), HEADERS)
def test_header_or_not(tmp_path: Path, text: str, wanted: list[str], columns: list[str]) -> None:
    for suffix, sign in (("tsv", "\t"), ("csv", ",")):
        (tmp_path / f"x.{suffix}").write_text(text.replace("\t", sign))
        rows = open_rows(tmp_path / f"x.{suffix}", wanted)
        assert rows.columns == columns
        headed = columns[0] in text and not (wanted and wanted[0].isdecimal())
        assert len(read(rows)) == text.count("\n") - headed


def test_semicolons_as_spreadsheets_write_them(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id;text\n1;a, b\n2;c\n")
    assert read(open_rows(tmp_path / "x.csv", ["text"])) == [("1", "a, b"), ("2", "c")]


def test_quotes_of_a_tsv_that_enclose_nothing_are_text(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text('"Hello," he said.\t"Bonjour"\nHe said "no"\tNon\n"\tguillemet\n')
    assert read(open_rows(tmp_path / "x.tsv", ["0", "1"])) == [
        ('"Hello," he said.', '"Bonjour"'),
        ('He said "no"', "Non"),
        ('"', "guillemet"),
    ]


def test_quotes_that_enclose_nothing_are_text_however_late_they_come(tmp_path: Path) -> None:
    late = [('"Hello.', "« Bonjour."), ('Bye."', "Au revoir. »"), ("a\u2028b", "c\x0bd"), ("end", "fin")]
    rows = [(f"line {number} " + "." * 60, "ligne") for number in range(20_000)] + late
    (tmp_path / "x.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    assert read(open_rows(tmp_path / "x.tsv", ["0", "1"]))[20_000:] == late


def test_folder_of_one_format(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.csv").write_text("other\n1\n")
    for name in ("b", "a"):
        (tmp_path / f"{name}.csv").write_text(f"id,text\n1,{name}\n2,{name}{name}\n")
    rows = open_rows(tmp_path, ["text"])
    assert isinstance(rows, Joined)
    assert read(rows, 1) == [("1", "a"), ("2", "aa"), ("1", "b"), ("2", "bb")]
    assert rows.where(3) == f"{tmp_path / 'b.csv'} line 3"


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        ('{"text": "a", "n": 1}\n', [], [("a", 1)]),
        ("en\tfr\nHi\tSalut\n", ["en", "fr"], [("Hi", "Salut")]),
        ("Hi\tSalut\n", ["0", "1"], [("Hi", "Salut")]),
        ("id,body\n1,a\n", ["body"], [("1", "a")]),
        ("one, two\nthree\n", [], [("one, two",), ("three",)]),
        ("id,text\n1,a\n", ["text"], [("1", "a")]),
        ("id;text\r\n1;a\r\n", ["text"], [("1", "a")]),
        ("text\tid\na\t1\n", ["text"], [("a", "1")]),
        ('text\n"one, two"\nthree, four\n', ["text"], [("one, two",), ("three, four",)]),
        ("a text\tof mine, text\n", ["text"], [("a text\tof mine, text",)]),
        ("Hi,Salut\n", ["1"], [("Hi", "Salut")]),
        ("Hi, you\n", ["0"], [("Hi, you",)]),
    ],
)
def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, text: str, wanted: list[str], expected: list[tuple[object, ...]]
) -> None:
    for data in (text.encode(), gzip.compress(text.encode())):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        rows = open_rows("-", wanted)
        assert read(rows) == read(rows) == expected
        assert rows.name == "standard input"


@pytest.mark.parametrize(
    ("text", "likely", "columns"),
    [
        ("size,day\n1,2\n", ["day", "size", "gone"], ["size", "day"]),
        ('"size"\t"day"\n1\t2\n', ["day"], ["size", "day"]),
        ("size;day\r\n1;2\r\n", ["day"], ["size", "day"]),
        ("2,0\n1,2\n", ["0", "1"], ["0", "1"]),
        ("Every day, size matters\nA day\n", ["day", "size"], ["text"]),
        ("day\nnight\n", ["day"], ["text"]),
        ('{"day": 1}\n', ["day"], ["day"]),
    ],
)
def test_standard_input_that_begins_with_likely_names_is_a_table(
    monkeypatch: pytest.MonkeyPatch, text: str, likely: list[str], columns: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert open_rows("-", likely=likely).columns == columns


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("size,day\n1,2\n", "table", [("1", "2")]),
        ("size\tday\n1\t2\n", "table", [("1", "2")]),
        ("1.5;2\n2.5;3\n", "table", [("1.5", "2"), ("2.5", "3")]),
        ("Hi\tSalut\n", "pairs", [("Hi", "Salut")]),
        ('{"day": 1}\n', "table", [(1,)]),
        ("size,day\n", "text", [("size,day",)]),
    ],
)
def test_standard_input_that_is_said_to_be_a_table_is_one(
    monkeypatch: pytest.MonkeyPatch, text: str, kind: str, expected: list[tuple[object, ...]]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert read(open_rows("-", kind=kind)) == expected


def test_where_tells_the_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('id,text\n1,"two\nlines"\n\n2,b\n')
    rows = open_rows(tmp_path / "x.csv", ["text"])
    assert [rows.where(row) for row in (0, 1)] == [f"{rows.name} line 2", f"{rows.name} line 5"]
    (tmp_path / "x.jsonl").write_text('\n{"a": 1}\n\n{"a": 2}\n')
    assert open_rows(tmp_path / "x.jsonl").where(1).endswith("x.jsonl line 4")


def test_files_that_have_a_column_as_other_types_are_read_as_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2], "m": [1, 2], "t": ["a", "b"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [0.5], "m": ["x"], "t": pa.array([None], pa.string())}), tmp_path / "b.parquet")
    rows = open_rows(tmp_path)
    table = pa.Table.from_batches(list(rows.batches()))
    assert table.to_pydict() == {"n": [1.0, 2.0, 0.5], "m": ["1", "2", "x"], "t": ["a", "b", None]}
    assert [batch.schema.names for batch in rows.batches(1, ["m"])] == [["m"]] * 3


@pytest.mark.parametrize("size", [100, 1 << 25])
def test_fingerprint_tells_content_and_nothing_else(tmp_path: Path, size: int) -> None:
    data = bytearray(random.Random(0).randbytes(size).replace(b"\0", b"x").hex().encode()[:size])
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "b.txt").write_bytes(data)
    first, second = (open_rows(tmp_path / f"{name}.txt").fingerprint() for name in "ab")
    assert first == second
    data[-1] ^= 1
    (tmp_path / "b.txt").write_bytes(data)
    assert open_rows(tmp_path / "b.txt").fingerprint() != first


def test_text_column_writes_out_what_is_no_text() -> None:
    table = pa.table(
        {"n": [1, None], "f": [2.5, 3.0], "b": [b"caf\xc3\xa9", None], "t": ["x", None], "y": [True, False]}
    )
    assert [text_column(table, name) for name in table.column_names] == [
        ["1", None],
        ["2.5", "3.0"],
        ["café", None],
        ["x", None],
        ["true", "false"],
    ]
    assert text_column(pa.table({"d": pa.array(["a", None, "a"]).dictionary_encode()}), "d") == ["a", None, "a"]


def test_the_longest_texts_are_guessed() -> None:
    rows = open_rows({"id": ["a", "b"], "n": [10**15, 10**15], "body": ["long text", "longer text"]})
    assert guess_text_column(rows) == "body"
    assert guess_text(rows).sentence == (
        "Reading column 'body' of the data: its texts are the longest (10 characters on average); "
        "--input names another (id, n)"
    )


def test_python_objects() -> None:
    assert read(open_rows(["a", None, "b"])) == [("a",), (None,), ("b",)]
    assert read(open_rows(["a", 7, float("nan")])) == [("a",), ("7",), (None,)]
    assert read(open_rows([("a", 1), ("b", None)])) == [("a", 1), ("b", None)]
    assert open_rows([("a", 1)]).columns == ["0", "1"]
    assert read(open_rows([{"x": 1}, {"y": "z"}])) == [(1, None), (None, "z")]
    assert read(open_rows({"x": np.arange(2), "y": ["a", "b"]})) == [(0, "a"), (1, "b")]
    assert read(open_rows(np.array(["a", "b"]))) == [("a",), ("b",)]
    assert read(open_rows(np.array([["a", "b"]]))) == [("a", "b")]
    assert read(open_rows(pa.table({"x": ["a"]}))) == [("a",)]
    rows = open_rows(text for text in ("a", "b"))
    assert read(rows) == read(rows) == [("a",), ("b",)]
    assert open_rows(rows) is rows
    assert rows.fingerprint() == open_rows(["a", "b"]).fingerprint() != open_rows(["a", "c"]).fingerprint()


def test_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", None], "n": [1, 2]})
    assert read(open_rows(frame)) == [("a", 1), (None, 2)]
    assert read(open_rows(frame["text"])) == [("a",), (None,)]
    assert open_rows(pandas.Series(["a"])).columns == ["text"]
