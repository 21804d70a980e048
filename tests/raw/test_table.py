import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.errors import BadFolder, BadInput
from raw2vec.ragged import Ragged
from raw2vec.raw.table import WHOLE_ROW, Table
from raw2vec.seeding import permutation

ROWS: list[dict[str, Any]] = [
    {"age": 30, "weight": 70.5, "town": "Bath", "member": True, "since": date(2020, 1, 1)},
    {"age": 40, "weight": None, "town": "York", "member": False, "since": date(2021, 1, 1)},
    {"age": None, "weight": 80.5, "town": None, "member": None, "since": None},
    {"age": 50, "weight": 90.5, "town": "York", "member": True, "since": date(2022, 1, 1)},
]


def learned(rows: Any = ROWS, **settings: Any) -> Table:
    table = Table(**settings)
    table.learn(rows)
    return table


def values(table: Table, rows: Any) -> np.ndarray:
    """(rows, columns)."""
    return table.windows(rows).ragged.values.numpy().reshape(len(rows), -1)


def test_numbers_are_standardised_and_categories_are_codes_by_frequency() -> None:
    found = values(learned(), ROWS)
    assert found.dtype == np.float32
    age, weight, town, member, since = found.T
    np.testing.assert_allclose(age, np.array([-1, 0, np.nan, 1]) / np.std([-1, 0, 1]), rtol=1e-6)
    np.testing.assert_allclose(weight, np.array([-1, np.nan, 0, 1]) / np.std([-1, 0, 1]), rtol=1e-6)
    np.testing.assert_array_equal(town, [2, 1, np.nan, 1])
    np.testing.assert_array_equal(member, [1, 2, np.nan, 1])
    assert np.isnan(since[2])
    assert since[0] < since[1] < since[3]


def test_the_form() -> None:
    form = learned().form
    assert (form.channels, form.dimensions, form.shape, form.vocabulary) == (1, 1, (5,), 0)
    assert form.categories == (0, 0, 2, 2, 0)


def test_windows_tell_of_every_row_in_order() -> None:
    windows = learned().windows(ROWS)
    assert windows.ragged.shapes.tolist() == [[5]] * 4
    assert windows.ragged.values.shape == (20, 1)
    assert windows.owners.tolist() == [0, 1, 2, 3]
    assert windows.tokens.tolist() == [5] * 4
    assert windows.truncated.tolist() == [0] * 4
    assert len(learned().windows([]).ragged) == 0


def test_rows_come_back_as_they_were() -> None:
    table = learned()
    restored = table.restore(table.windows(ROWS).ragged)
    assert [list(row) for row in restored] == [list(row) for row in ROWS]
    for row, expected in zip(restored, ROWS, strict=True):
        for name, value in expected.items():
            assert type(row[name]) is type(value)
            assert row[name] == (pytest.approx(value) if isinstance(value, float) else value)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_row_comes_back(data: st.DataObject) -> None:
    kinds = {
        "number": st.floats(-1e6, 1e6, width=32),
        "integer": st.integers(-10_000, 10_000),
        "text": st.text(max_size=3),
        "boolean": st.booleans(),
        "date": st.dates(date(1950, 1, 1), date(2050, 1, 1)),
    }
    row = st.fixed_dictionaries({name: st.none() | kind for name, kind in kinds.items()})
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    table = learned(rows)
    restored = table.restore(table.windows(rows).ragged)
    for found, expected in zip(restored, rows, strict=True):
        number = expected.pop("number")
        assert found.pop("number") == (None if number is None else pytest.approx(number, rel=1e-5, abs=1.0))
        assert found == expected


def test_times_come_back_with_their_zone() -> None:
    zone = timezone(timedelta(hours=2))
    plain = [{"at": datetime(2024, 5, 1, 12) + timedelta(seconds=9 * place)} for place in range(9)]
    zoned = [{"at": row["at"].replace(tzinfo=zone)} for row in plain]
    for rows in (plain, zoned):
        table = learned(rows)
        for found, row in zip(table.restore(table.windows(rows).ragged), rows, strict=True):
            assert abs(found["at"] - row["at"]) < timedelta(milliseconds=1)
            assert found["at"].utcoffset() == row["at"].utcoffset()


def test_a_date_among_times_is_its_midnight() -> None:
    table = learned([{"at": datetime(2024, 1, 1)}, {"at": datetime(2024, 1, 3)}])
    first, second = values(table, [{"at": date(2024, 1, 2)}, {"at": datetime(2024, 1, 2, 12)}])[:, 0]
    assert first == pytest.approx(0.0, abs=1e-6)
    assert second == pytest.approx(0.5)
    np.testing.assert_array_equal(
        values(table, [{"at": date(2024, 1, 2)}, {"at": datetime(2024, 1, 2, 12)}]),
        values(table, [{"at": datetime(2024, 1, 2, 12)}, {"at": date(2024, 1, 2)}])[::-1],
    )


def test_what_was_not_learned_is_code_zero_and_comes_back_as_nothing() -> None:
    table = learned()
    row = {**ROWS[0], "town": "Ghent"}
    assert values(table, [row])[0, 2] == 0
    assert table.restore(table.windows([row]).ragged)[0]["town"] is None


def test_rare_values_are_not_learned() -> None:
    rows = [{"town": town} for town in ["York"] * 3 + ["Bath"] * 3 + ["Ghent"] * 2 + ["Kyoto"]]
    assert learned(rows).form.categories == (4,)
    assert values(learned(rows, least=2), rows)[:, 0].tolist() == [2] * 3 + [1] * 3 + [3] * 2 + [0]
    assert values(learned(rows, most=1), rows)[:, 0].tolist() == [0] * 3 + [1] * 3 + [0] * 3
    with pytest.raises(BadInput, match="'town' has no value that is there 5 times"):
        learned(rows, least=5)


def test_a_constant_column_has_a_deviation_of_one() -> None:
    rows = [{"a": 0.1}, {"a": 0.1}, {"a": 0.1}]
    found = values(learned(rows), [*rows, {"a": 2.1}])[:, 0]
    np.testing.assert_allclose(found, [0, 0, 0, 2], atol=1e-6)


def test_a_column_of_nothing_is_missing_everywhere() -> None:
    rows = [{"a": None, "b": 1.0}, {"a": math.nan, "b": 2.0}]
    assert np.isnan(values(learned(rows), rows)[:, 0]).all()
    assert learned(rows).form.categories == (0, 0)


def test_all_ways_to_say_missing_are_one() -> None:
    table = learned()
    for nothing in (None, math.nan, np.float32("nan"), pd.NA, pd.NaT):
        assert np.isnan(values(table, [dict.fromkeys(ROWS[0], nothing)])).all()


def test_learning_by_blocks_is_learning_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"a": float(1e6 + place % 7), "b": f"{place % 5}", "c": place} for place in permutation(100, 1).tolist()]
    at_once = learned(rows)
    monkeypatch.setattr("raw2vec.raw.table._BLOCK", 9)
    by_blocks = learned(iter(rows))
    assert by_blocks.form == at_once.form
    np.testing.assert_allclose(values(by_blocks, rows), values(at_once, rows), rtol=1e-5, atol=1e-6)


def test_integers_and_fractions_make_a_column_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raw2vec.raw.table._BLOCK", 1)
    table = learned([{"a": 1}, {"a": 2.5}])
    assert table.restore(table.windows([{"a": 2.5}]).ragged) == [{"a": pytest.approx(2.5)}]


def test_a_row_is_the_same_alone_and_among_others() -> None:
    table = learned()
    together = values(table, ROWS)
    alone = np.concatenate([values(table, [row]) for row in ROWS])
    np.testing.assert_array_equal(together, alone)


def test_numbers_where_texts_were_learned_are_written_out() -> None:
    table = learned([{"ward": "1"}, {"ward": "2a"}])
    assert values(table, [{"ward": 1}, {"ward": "2a"}, {"ward": 3}])[:, 0].tolist() == [1, 2, 0]
    assert values(table, [{"ward": 1}])[0, 0] == 1


NEW = {"age": 35, "weight": 60.5, "town": "York", "member": False, "since": date(2021, 1, 1)}


def test_other_columns_are_ignored_and_order_does_not_matter() -> None:
    table = learned()
    turned = dict(reversed({**NEW, "shoe": "red"}.items()))
    np.testing.assert_array_equal(values(table, [turned]), values(table, [NEW]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"age": "old"}, "Row 1, column 'age' holds 'old', where the column holds numbers"),
        ({"age": True}, "Row 1, column 'age' holds True, where the column holds numbers"),
        ({"weight": math.inf}, "Row 1, column 'weight' holds inf, which is infinite"),
        ({"weight": 1e300}, "Row 1, column 'weight' holds 1e.300, which is infinite or too far"),
        ({"member": "yes"}, "Row 1, column 'member' holds 'yes', where the column holds true and false"),
        ({"since": 2020}, "Row 1, column 'since' holds 2020, where the column holds dates"),
        ({"town": ["York"]}, r"Row 1, column 'town' holds \['York'\], which is no number"),
    ],
)
def test_values_of_another_kind(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        learned().windows([NEW, {**NEW, **change}])


def test_a_column_that_is_not_there() -> None:
    row = {("Town" if name == "town" else name): value for name, value in NEW.items()}
    with pytest.raises(BadInput, match=r"Row 1 has no column 'town'.*Did you mean 'Town'\?"):
        learned().windows([NEW, row])


def test_items_that_are_no_rows() -> None:
    with pytest.raises(BadInput, match="Row 1 is a str"):
        learned().windows([NEW, "York"])
    with pytest.raises(BadInput, match="Row 1 is a NoneType"):
        learned([NEW, None])


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([1, 2, "n/a"], "Row 2, column 'a' holds 'n/a', where the column holds numbers"),
        (["x", 1, "y"], "Row 1, column 'a' holds 1, where the column holds texts"),
        ([1.0, None, -math.inf], "Row 2, column 'a' holds -inf"),
        ([None, b"x"], "Row 1, column 'a' holds b'x', which is no number"),
        ([date(2020, 1, 1), 7], "Row 1, column 'a' holds 7, where the column holds dates"),
        ([datetime(2020, 1, 1), 7.5], "Row 1, column 'a' holds 7.5, where the column holds dates"),
        ([1, 10**20], "Row 1, column 'a' holds 1000"),
        ([1e300, -1e300], "column 'a' are too large"),
    ],
)
@pytest.mark.parametrize("block", [1, 100])
def test_columns_that_cannot_be_learned(
    column: list[Any], sentence: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raw2vec.raw.table._BLOCK", block)
    with pytest.raises(BadInput, match=sentence):
        learned([{"a": value} for value in column])


def test_a_column_that_comes_late_or_goes() -> None:
    with pytest.raises(BadInput, match="Row 1 has a column 'b', which the first row has not"):
        learned([{"a": 1}, {"a": 1, "b": 2}])
    with pytest.raises(BadInput, match="Row 1 has no column 'b'"):
        learned([{"a": 1, "b": 2}, {"a": 1}])


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(BadInput, match="no rows with a column"):
        learned([])
    with pytest.raises(BadInput, match="learned no columns yet"):
        Table().windows(ROWS)
    with pytest.raises(BadInput, match=r"as in \['town'\]"):
        Table(leave_out="town")
    with pytest.raises(BadInput, match="most is 0"):
        Table(most=0)


def test_columns_left_out() -> None:
    table = learned(leave_out=["town"])
    assert table.columns == ["age", "weight", "member", "since"]
    assert values(table, ROWS).shape == (4, 4)
    assert "town" not in table.restore(table.windows(ROWS).ragged)[0]


def test_rows_of_a_batch() -> None:
    batch = pa.RecordBatch.from_pylist(ROWS)
    assert Table().column(batch, WHOLE_ROW) == ROWS
    assert Table(leave_out=["age", "label"]).column(batch, "*")[0].keys() == ROWS[0].keys() - {"age"}
    assert Table().column(pa.Table.from_batches([batch]), "town")[1] == {"town": "York"}
    with pytest.raises(BadInput, match=r"no column 'twon'.*Did you mean 'town'\?"):
        Table().column(batch, "twon")


def test_what_encode_may_be_handed() -> None:
    table = learned()
    frame = pd.DataFrame(ROWS)
    for inputs in (ROWS, frame, pa.Table.from_pylist(ROWS)):
        rows, single = table.items(inputs)
        assert not single
        np.testing.assert_array_equal(values(table, rows), values(table, ROWS))
    for one in (ROWS[0], frame.iloc[0]):
        rows, single = table.items(one)
        assert single
        np.testing.assert_array_equal(values(table, rows), values(table, ROWS[:1]))


def test_rows_by_number() -> None:
    array = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, np.nan]])
    table = Table()
    rows, single = table.items(array)
    table.learn(rows)
    assert not single
    assert table.columns == ["0", "1"]
    for inputs in (array[0], tuple(array[0])):
        rows, single = table.items(inputs)
        assert single
        np.testing.assert_array_equal(values(table, rows), values(table, array[:1]))
    np.testing.assert_array_equal(values(table, pd.DataFrame(array).to_dict("records")), values(table, array))
    with pytest.raises(BadInput, match="Row 0 has no column '1'"):
        table.windows([(1.0,)])


def test_a_frozen_row_thaws_to_itself() -> None:
    table = Table()
    for row in [*ROWS, {"at": datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "size": 1.5}]:
        assert table.thaw(table.freeze(row)) == row
    tensor = table.freeze({"a": np.float32(0.5), "b": pd.NaT, "c": np.int64(3), "d": pd.Timestamp("2024-05-01")})
    assert tensor.dtype == torch.uint8
    assert table.thaw(tensor) == {"a": 0.5, "b": None, "c": 3, "d": datetime(2024, 5, 1)}


def test_saved_and_loaded_it_makes_the_same_numbers(tmp_path: Path) -> None:
    table = learned(leave_out=["age"], most=5)
    table.save(tmp_path)
    again = Table.load(tmp_path, table.settings)
    assert again.identity() == table.identity()
    assert again.form == table.form
    np.testing.assert_array_equal(values(again, ROWS), values(table, ROWS))
    assert again.restore(again.windows(ROWS).ragged) == table.restore(table.windows(ROWS).ragged)


def test_another_mean_is_another_identity() -> None:
    assert learned(ROWS[:2]).identity() != learned().identity()
    assert learned().identity() == learned().identity()


def test_folders_that_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match=r"has no table\.json"):
        Table.load(tmp_path, {})
    for content in ("{", "[]", json.dumps({"columns": [{"name": "a"}]}), json.dumps({"columns": 3})):
        (tmp_path / "table.json").write_text(content)
        with pytest.raises(BadFolder, match=r"table\.json is damaged"):
            Table.load(tmp_path, {})


def test_generated_values_far_out_are_still_rows() -> None:
    table = learned()
    wild = torch.tensor([1e6, -1e6, 99.0, 99.0, 1e9]).view(-1, 1)
    row = table.restore(Ragged(wild, torch.tensor([[5]])))[0]
    assert row["town"] == "Bath"
    assert row["member"] is False
    assert row["since"].year == 9999
