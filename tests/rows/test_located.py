"""Paths in a table begin at its folder, and none leads out of it: what is wrong is refused by its line."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raw2vec.errors import BadInput
from raw2vec.rows import NUMBERS, Files, Joined, Rows, Typed, item_column, located, open_rows, written

FORMATS = ("csv", "tsv", "jsonl", "parquet", "txt")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty table's folder with files beside and below it; work goes on elsewhere, where there are others."""
    for name in ("data/a.png", "data/deep/b.png", "data/both.png", "here/c.png", "here/both.png", "out/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "data" / "table"


def write(table: Path, paths: list[str | None], form: str = "csv") -> Rows:
    """A table of paths and numbers in this format."""
    place = table.with_suffix(f".{form}")
    if form in ("csv", "tsv"):
        sign = "," if form == "csv" else "\t"
        place.write_text(f"path{sign}n\n" + "".join(f"{path or ''}{sign}{n}\n" for n, path in enumerate(paths)))
    elif form == "jsonl":
        place.write_text("".join(json.dumps({"path": path, "n": n}) + "\n" for n, path in enumerate(paths)))
    elif form == "parquet":
        pq.write_table(pa.table({"path": paths, "n": range(len(paths))}), place)
    else:
        place.write_text("".join(f"{path or ''}\n" for path in paths))
    return open_rows(place)


def contents(rows: Rows, column: str = "path", size: int = 2) -> list[str | None]:
    """What is in the files that the rows lead to."""
    found: list[str | None] = []
    for batch in located(rows, column).batches(size):
        items = item_column(batch, column)
        found += [item and (item.get("bytes") or Path(item["path"]).read_bytes().decode()) for item in items]
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_paths_begin_at_the_table_or_else_at_the_working_directory(table: Path, form: str) -> None:
    absolute = str(table.parent / "a.png")
    paths = ["a.png", "deep/b.png", "deep/../a.png", "c.png", absolute, "both.png"]
    wanted = ["data/a.png", "data/deep/b.png", "data/a.png", "here/c.png", "data/a.png", "data/both.png"]
    rows = write(table, [*paths, None, "a.png"], form)
    column = rows.columns[0]
    assert contents(rows, column) == [*wanted, None, "data/a.png"]
    back = [written(pa.Table.from_batches([batch])) for batch in located(rows, column).batches(3)]
    plain = [pa.Table.from_batches([batch]) for batch in rows.batches(3)]
    assert pa.concat_tables(back).equals(pa.concat_tables(plain)), "as they are written, types and all"


def test_from_within_its_own_folder(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(table, ["a.png", "./deep/b.png"])
    monkeypatch.chdir(table.parent)
    assert contents(open_rows("table.csv")) == ["data/a.png", "data/deep/b.png"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../out/d.png", r"leads out of .*data, where the table is, or the working directory: put the file there"),
        ("../out/nothing.png", "leads out of"),
        ("link.png", "leads out of"),
        ("linked/d.png", "leads out of"),
        ("{out}/d.png", "leads out of"),
        ("/etc/passwd", "leads out of"),
        ("..", "leads out of"),
        ("nothing.png", r"leads to no file: paths begin at .*data, where the table is, or the working directory"),
        ("deep", "is a folder"),
        ("a.png\x7f", "leads to no file"),
    ],
)
def test_what_leads_out_or_nowhere_is_refused_by_its_line(table: Path, path: str, reason: str) -> None:
    out = table.parent.parent / "out"
    os.symlink(out / "d.png", table.parent / "link.png")
    os.symlink(out, table.parent / "linked")
    rows = located(write(table, ["a.png", "a.png", path.format(out=out)]), "path")
    with pytest.raises(BadInput, match=rf"table\.csv line 4: the path '.*' {reason}"):
        list(rows.batches(2))
    with pytest.raises(BadInput, match=r"table\.csv line 4"):
        rows.fingerprint()


def test_a_folder_whose_name_begins_alike_is_another(table: Path) -> None:
    (table.parent.parent / "database").mkdir()
    (table.parent.parent / "database" / "e.png").write_bytes(b"e")
    with pytest.raises(BadInput, match="leads out of"):
        contents(write(table, ["../database/e.png"]))


def test_a_link_within_the_folder_is_fine(table: Path) -> None:
    os.symlink(table.parent / "a.png", table.parent / "link.png")
    assert contents(write(table, ["link.png"])) == ["data/a.png"]


def test_standard_input_begins_at_the_working_directory(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(text: str) -> Rows:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return open_rows("-", ["path"])

    assert contents(piped("path,n\nc.png,1\n")) == ["here/c.png"]
    with pytest.raises(BadInput, match=r"standard input line 2: the path '../data/a.png' leads out of the working dir"):
        contents(piped("path,n\n../data/a.png,1\n"))


def test_files_joined_begin_each_at_its_own_folder(table: Path) -> None:
    there = open_rows(write(table, ["both.png"]))
    here = write(Path("table").absolute(), ["both.png", "nothing.png"])
    rows = located(Joined("both", [there, here]), "path")
    with pytest.raises(BadInput, match=r"here.*table\.csv line 3"):
        list(rows.batches())
    assert next(iter(rows.batches())).num_rows == 1


def test_structures_with_bytes_keep_them(table: Path) -> None:
    cells = [{"bytes": b"x", "path": "/gone"}, {"bytes": None, "path": "a.png"}, None, {"bytes": None, "path": None}]
    place = table.with_suffix(".parquet")
    pq.write_table(pa.table({"image": pa.array(cells)}), place)
    [batch] = located(open_rows(place), "image").batches()
    items = item_column(batch, "image")
    assert items == [{"bytes": b"x", "path": "/gone"}, {"bytes": None, "path": str(table.parent / "a.png")}, None, None]
    assert written(pa.Table.from_batches([batch])).column("image").to_pylist() == cells
    pq.write_table(pa.table({"image": pa.array([{"bytes": None, "path": "../out/d.png"}])}), place)
    with pytest.raises(BadInput, match=r"table\.parquet row 0: the path '../out/d\.png' leads out of"):
        list(located(open_rows(place), "image").batches())


def test_what_is_no_table_stays_as_it_is(table: Path) -> None:
    data: list[Any] = [["../out/d.png"], {"path": ["../out/d.png"]}, table.parent]
    for rows in map(open_rows, data):
        assert located(rows, rows.columns[0]) is rows
    assert isinstance(open_rows(table.parent), Files)
    rows = write(table, ["a.png"])
    assert located(rows, "label") is rows


def test_numbers_beside_paths_are_still_told(table: Path) -> None:
    [batch] = Typed(located(write(table, ["a.png", "both.png"]), "path"), ["path"], NUMBERS).batches()
    assert batch.schema.field("n").type == pa.int64()
    assert written(pa.Table.from_batches([batch])).to_pylist() == [
        {"path": "a.png", "n": 0},
        {"path": "both.png", "n": 1},
    ]


def test_other_files_another_fingerprint(table: Path) -> None:
    rows = write(table, ["a.png", "both.png"])
    before = located(rows, "path").fingerprint()
    assert located(rows, "path").fingerprint() == before
    (table.parent / "a.png").write_bytes(b"DATA/A.PNG")
    after = located(rows, "path").fingerprint()
    (table.parent / "a.png").write_bytes(b"longer than that")
    assert len({before, after, located(rows, "path").fingerprint()}) == 3
