"""What an index holds: of pairs the targets, which queries look for; each row's columns beside its vector."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput

pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")

SOURCE = '''
def halve(number):
    """Divide a number by two."""
    return number // 2


def double(number):
    return number * 2


def greet(name):
    return "hello " + name
'''
SMALL = {"size": "tiny", "steps": 2, "settings": {"raw.vocabulary": 300}}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "numbers.py").write_text(SOURCE)
    return tmp_path / "src"


@pytest.mark.parametrize("kind", ["pairs", "text"])
def test_of_a_source_tree_the_code_is_indexed_with_or_without_a_docstring(source, tmp_path, kind):
    model = Raw2Vec(kind=kind, **SMALL).fit(source)
    done = model.index(source, tmp_path / "store")
    assert (done.items, done.empty) == (3, 0)
    code = "def double(number):\n    return number * 2"
    (hit,) = model.search(tmp_path / "store", [code], k=1)[0]
    assert (hit.columns["name"], hit.columns["query"]) == ("double", None)
    assert hit.score == pytest.approx(1, abs=1e-5)


def test_of_pairs_the_targets_are_indexed_unless_another_column_is_named(tmp_path):
    pairs = [{"asked": f"where is number {row}", "answer": f"behind door {row}"} for row in range(30)]
    model = Raw2Vec(**SMALL).fit(pairs, input="asked", target="answer")
    for named, found in ((None, "answer"), ("asked", "asked")):
        store = tmp_path / found
        model.index(pairs, store, input=named)
        (hit,) = model.search(store, [pairs[7][found]], k=1)[0]
        assert (hit.row, hit.score) == (7, pytest.approx(1, abs=1e-5))


def test_columns_that_do_not_fit_are_told_with_the_file_and_a_way_out(tmp_path):
    rows = "".join(f"thing {row},{row}\n" for row in range(20))
    for name, head in (("a.csv", "body,year"), ("b.csv", "body,yeer"), ("c.csv", "body,year,more")):
        (tmp_path / name).write_text(head + "\n" + (rows if name != "c.csv" else rows.replace("\n", ",1\n")))
    (tmp_path / "d.csv").write_text("body,year\nthing,soon\n")
    model = Raw2Vec(**SMALL).fit(tmp_path / "a.csv", input="body")
    done = model.index(tmp_path / "a.csv", tmp_path / "store")
    assert (done.input, done.question) == ("body", "text")
    for name, told in (
        ("b.csv", "The column 'year', which this store's rows have, is missing. Did you mean 'yeer'? Rename one to it"),
        ("c.csv", "This store's rows have no column 'more'. Rename or leave it out, or name another --store."),
        ("d.csv", "The column 'year' holds string, which does not fit the store's int64 ("),
    ):
        with pytest.raises(BadInput) as raised:
            model.index(tmp_path / name, tmp_path / "store", input="body", resume=True)
        assert str(raised.value).startswith(f"{tmp_path / name} does not go with the rows of the store. {told}")
        assert str(raised.value).endswith("another --store.")
    assert model.embed(tmp_path / "a.csv", tmp_path / "v.npy").input == "body"


def test_empty_rows_are_counted_and_found_by_nothing(tmp_path):
    texts = [f"a printer and number {row}" for row in range(40)]
    texts[7], texts[21] = "", " \t"
    model = Raw2Vec(**SMALL).fit(texts)
    done = model.index(texts, tmp_path / "store")
    assert (done.items, done.empty, done.first_empty) == (40, 2, 7)
    written = model.embed(texts, tmp_path / "v.npy")
    assert (written.items, written.empty, written.first_empty) == (40, 2, 7)
    assert np.flatnonzero(~np.load(tmp_path / "v.npy").any(axis=1)).tolist() == [7, 21]
    hits, by_nothing = model.search(tmp_path / "store", ["a printer", ""], k=40)
    assert {hit.row: hit.score for hit in hits}[7] == 0
    assert {hit.score for hit in by_nothing} == {0}


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    lines = [
        f"a printer and number {row},{2000 + row},2024-01-{row + 1:02},{row / 2},00{row},{row}" for row in range(28)
    ]
    path.write_text("\n".join(["body,year,day,price,code,mixed", *lines, "the last one,,,,007,none of them"]) + "\n")
    return path


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("year > 2019", range(20, 28)),
        ("year = 2003", [3]),
        ("price < 1", [0, 1]),
        ("day >= '2024-01-27'", [26, 27]),
        ("year is null", [28]),
        ("code = '003'", [3]),
        ("mixed = '9'", [9]),
    ],
)
def test_numbers_and_dates_of_a_csv_are_compared_as_such(tickets, tmp_path, where, rows):
    model = Raw2Vec(**SMALL).fit(tickets, input="body")
    model.index(tickets, tmp_path / "store", input="body")
    hits = model.search(tmp_path / "store", ["a printer"], k=40, where=where)[0]
    assert sorted(hit.row for hit in hits) == list(rows)


def test_a_second_csv_of_other_types_is_refused_before_anything_is_added(tickets, tmp_path):
    model = Raw2Vec(**SMALL).fit(tickets, input="body")
    model.index(tickets, tmp_path / "store", input="body")
    other = tmp_path / "more.csv"
    other.write_text("body,year,day,price,code,mixed\none,unknown,2024-01-01,1.5,001,x\n")
    with pytest.raises(BadInput, match="year"):
        model.index(other, tmp_path / "store", input="body", resume=True)
    assert len(model.search(tmp_path / "store", ["a printer"], k=40)[0]) == 29
    other.write_text("body,year,day,price,code,mixed\none,2024,2024-01-01,2,1,1\n")
    assert model.index(other, tmp_path / "store", input="body", resume=True).new == 1


def test_of_another_column_nothing_is_gone_on_with(tickets, tmp_path):
    model = Raw2Vec(**SMALL).fit(tickets, input="body")
    model.index(tickets, tmp_path / "store", input="body")
    with pytest.raises(
        BadInput, match=r"29 rows of this data by the column 'body'.*and these are by the column 'code'"
    ):
        model.index(tickets, tmp_path / "store", input="code", resume=True)
    done = model.index(tickets, tmp_path / "store", input="body", resume=True)
    assert (done.items, done.new) == (29, 0)


def test_a_file_that_has_grown_is_not_indexed_a_second_time(tickets, tmp_path):
    model = Raw2Vec(**SMALL).fit(tickets, input="body")
    model.index(tickets, tmp_path / "store", input="body")
    with open(tickets, "a") as file:
        file.write(tickets.read_text().splitlines()[-1] + "\n")
    with pytest.raises(BadInput, match="has changed since"):
        model.index(tickets, tmp_path / "store", input="body", resume=True)


def test_pictures_that_cannot_be_read_are_counted_once(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for row in range(6):
        Image.fromarray(np.full((8, 8), 40 * row, np.uint8)).save(folder / f"{row}.png")
    model = Raw2Vec("reconstruction", size="tiny", steps=2).fit(folder)
    (folder / "2.png").write_bytes(b"no picture")
    first = model.index(folder, tmp_path / "store")
    again = model.index(folder, tmp_path / "store", resume=True)
    assert (first.items, first.new, len(first.unreadable)) == (5, 5, 1)
    assert (again.items, again.new, len(again.unreadable)) == (5, 0, 0)


def test_texts_alone_are_indexed_by_a_model_of_pairs(tmp_path):
    pairs = [{"asked": f"where is number {row}", "answer": f"behind door {row}"} for row in range(30)]
    model = Raw2Vec(**SMALL).fit(pairs, input="asked", target="answer")
    assert model.index([pair["answer"] for pair in pairs], tmp_path / "store").items == 30


def test_pictures_in_a_column_of_lists_are_indexed(tmp_path):
    pictures = [np.full((4, 4), row, np.uint8).tolist() for row in range(40)]
    rows = {"picture": pictures, "name": [f"grey {row}" for row in range(40)]}
    model = Raw2Vec("reconstruction", kind="image", size="tiny", steps=2).fit(rows, input="picture")
    assert model.index(rows, tmp_path / "store", input="picture").items == 40
    (hit,) = model.search(tmp_path / "store", [np.full((4, 4), 7, np.uint8)], k=1)[0]
    assert hit.columns["name"] == "grey 7"
