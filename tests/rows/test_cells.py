"""Columns of a csv are numbers, dates or true and false where every cell is; else they stay texts."""

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from raw2vec.raw import Table
from raw2vec.rows import Rows, Typed, open_rows

CSV = """id,height,count,born,seen,ok,postcode,name
a1,1.5,3,2024-01-31,2024-01-31 10:00:00,True,01234,Ada
a2,,NA,,,false,50667,
a3,-2e3,7,2023-12-01,2024-02-01 00:30:00,TRUE,99999,NA
"""


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    (tmp_path / "people.csv").write_text(CSV)
    return open_rows(tmp_path / "people.csv")


def test_each_column_has_the_type_of_all_its_cells(rows: Rows) -> None:
    [batch] = Typed(rows).batches()
    assert [str(kind) for kind in batch.schema.types] == [
        "string",
        "double",
        "int64",
        "date32[day]",
        "timestamp[us]",
        "bool",
        "string",
        "string",
    ]
    assert batch.to_pylist()[0] == {
        "id": "a1",
        "height": 1.5,
        "count": 3,
        "born": date(2024, 1, 31),
        "seen": datetime(2024, 1, 31, 10),
        "ok": True,
        "postcode": "01234",
        "name": "Ada",
    }
    # Nothing is missing everywhere; 'NA' is so only where other cells are no text.
    assert batch.to_pylist()[1] | {"id": None, "ok": None, "postcode": None} == dict.fromkeys(rows.columns)
    assert batch.column("name").to_pylist() == ["Ada", None, "NA"]


def test_a_type_holds_for_all_batches_and_what_is_named_stays_text(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("n,label\n" + "".join(f"{place},{place}\n" for place in range(9000)) + "x,1\n")
    rows = Typed(open_rows(tmp_path / "long.csv"), texts=["label"])
    assert {kind for batch in rows.batches(1000) for kind in batch.schema.types} == {pa.string()}
    assert rows.where(1) == f"{tmp_path / 'long.csv'} line 3"


def test_a_table_reads_cells_as_the_columns_it_learned(rows: Rows) -> None:
    [typed], [written] = Typed(rows).batches(), rows.batches()
    table = Table(leave_out=["id"])
    table.learn(table.column(typed, "*"))
    learned, read = (table.windows(table.column(batch, "*")).ragged.values for batch in (typed, written))
    assert learned.equal(read) or bool(((learned == read) | (learned.isnan() & read.isnan())).all())
    assert int(learned.isnan().sum()) == 5


def test_a_cell_that_cannot_be_read_is_named(rows: Rows) -> None:
    [typed], [written] = Typed(rows).batches(), rows.batches()
    table = Table(leave_out=["id"])
    table.learn(table.column(typed, "*"))
    damaged = written.set_column(1, "height", pa.array(["1.5", "2.5", "tall"]))
    with pytest.raises(Exception, match="Row 2, column 'height' holds 'tall', where the column holds numbers"):
        table.windows(table.column(damaged, "*"))
