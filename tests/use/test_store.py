"""A store in a folder: its files, few and whole, and the folder of its own. What holds of all is in test_stores.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from raw2vec.errors import BadFolder, BadInput
from raw2vec.use.stores import Store, create_store, is_store, open_store

pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")

ROWS, WIDTH = 300, 8
VECTORS = np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)
COLUMNS = pa.table(
    {
        "title": [f"row {row}" for row in range(ROWS)],
        "number": pa.array(np.arange(ROWS) % 10),
        "Big Name": pa.array(np.arange(ROWS)),
    }
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", WIDTH, "space-1", model="tickets", text="title")


def test_many_small_adds_leave_few_files(store: Store) -> None:
    for start in range(0, 240, 2):
        store.add(VECTORS[start : start + 2], COLUMNS.slice(start, 2))
    versions = len(list((store.folder / "rows.lance" / "_versions").glob("*.manifest")))
    assert versions < 60
    store.finish()
    assert len(list((store.folder / "rows.lance" / "data").iterdir())) == 1
    assert len(list((store.folder / "rows.lance" / "_versions").glob("*.manifest"))) == 1
    assert [hit.row for hit in store.search(VECTORS[123:124], k=1)[0]] == [123]


def test_a_folder_that_is_no_store_or_not_whole_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="is not a store"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(BadFolder, match="is not a store"):
        Store.open(tmp_path)
    store.add(VECTORS, COLUMNS)
    about = store.folder / "store.json"
    whole = about.read_text()
    for content in ("", "{", "[]", "{}", json.dumps({**json.loads(whole), "width": "8"}), "\x00"):
        about.write_text(content)
        with pytest.raises(BadFolder, match="damaged"):
            Store.open(store.folder)
    about.write_text(json.dumps({**json.loads(whole), "format": 99}))
    with pytest.raises(BadFolder, match="newer raw2vec"):
        Store.open(store.folder)
    about.write_text(json.dumps({**json.loads(whole), "id": "another"}))
    with pytest.raises(BadFolder, match="rows of another store"):
        Store.open(store.folder)
    about.write_text(whole)
    shutil.copytree(store.folder, tmp_path / "broken")
    for file in (tmp_path / "broken" / "rows.lance" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadFolder, match="missing or damaged"):
        Store.open(tmp_path / "broken").search(VECTORS[:1])
    for file in (tmp_path / "broken" / "rows.lance" / "_versions").iterdir():
        file.write_bytes(b"garbage")
    with pytest.raises(BadFolder, match="missing or damaged"):
        Store.open(tmp_path / "broken")
    shutil.rmtree(store.folder / "rows.lance")
    with pytest.raises(BadFolder, match="missing or damaged"):
        Store.open(store.folder)


def test_the_matrix_is_a_cache(store: Store) -> None:
    store.add(VECTORS, COLUMNS)
    found = store.search(VECTORS[:3])
    (store.folder / "vectors.f32").unlink()
    assert Store.open(store.folder).search(VECTORS[:3]) == found
    (store.folder / "vectors.json").unlink()
    assert Store.open(store.folder).search(VECTORS[:3]) == found


def test_a_store_needs_a_folder_of_its_own(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a store already"):
        create_store(store.folder, WIDTH, "space-1")
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "thesis.doc").touch()
    with pytest.raises(BadInput, match=r"not empty \(it holds thesis.doc\)"):
        Store.create(tmp_path / "occupied", WIDTH, "space-1")
    with pytest.raises(BadInput, match="Cannot write to the store"):
        Store.create(tmp_path / "occupied" / "thesis.doc", WIDTH, "space-1")
    (store.folder / "store.json").unlink()  # as when a creation was cut short
    assert len(Store.create(store.folder, WIDTH, "space-1")) == 0


@pytest.mark.parametrize("address", ["gopher://old", "postgresq://host/db"])
def test_addresses_where_there_are_no_stores_are_answered(address: str) -> None:
    for ask in (open_store, is_store, lambda place: create_store(place, 8, "space-1")):
        with pytest.raises(BadInput, match=r"no stores at \w+:// addresses\. Name a folder, s3://"):
            ask(address)
