"""A store under duress: killed at any moment, read while it is written, out of room, not to be written to."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from files_at_most import files_at_most
from raw2vec.errors import BadInput
from raw2vec.use.stores import Store

pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

SHARD, WIDTH = 17, 6

# Indexes a source that never ends, going on from where the store says, and tidies up now and then.
WRITER = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
from raw2vec.errors import BadFolder
from raw2vec.use.stores import Store

folder, shard, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
import lancedb
print("ready", flush=True)
store = Store.open(folder) if (folder / "store.json").exists() else Store.create(folder, width, "space", text="title")
while True:
    rows = np.arange(store.resume_point("file"), store.resume_point("file") + shard)
    vectors = np.sin(np.outer(rows + 1, np.arange(1, width + 1))).astype(np.float32)
    columns = pa.table({"title": [f"row {row}" for row in rows], "number": rows})
    store.add(vectors, columns, source="file", positions=rows)
    if rows[0] // shard % 7 == 6:
        store.finish()
"""


def vectors_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.sin(np.outer(rows + 1, np.arange(1, WIDTH + 1))).astype(np.float32)


@contextmanager
def writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes to the store, killed with SIGKILL at the end if not before."""
    command = [sys.executable, "-c", WRITER, str(folder), str(SHARD), str(WIDTH)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def check_whole(store: Store) -> int:
    """Every row from 0 is there once, with its own vector and columns, in whole shards; gives their number."""
    rows = np.arange(store.resume_point("file"))
    assert len(rows) == len(store)
    assert len(rows) % SHARD == 0
    if len(rows):
        hits = store.search(np.ones((1, WIDTH)), k=len(rows) + 1)[0]
        assert sorted(hit.row for hit in hits) == rows.tolist()
        assert all(hit.columns == {"title": f"row {hit.row}", "number": hit.row} for hit in hits)
        vectors = vectors_of(rows).astype(np.float64)
        cosines = vectors.sum(axis=1) / np.linalg.norm(vectors, axis=1) / WIDTH**0.5
        np.testing.assert_allclose([hit.score for hit in hits], cosines[[hit.row for hit in hits]], atol=1e-6)
    return len(rows)


def killed_and_resumed(folder: Path, moments: list[float]) -> None:
    for moment in moments:
        with writer(folder) as process:
            time.sleep(moment)
            assert process.poll() is None, "the writer ended by itself"
        if (folder / "store.json").exists():
            check_whole(Store.open(folder))
    store = Store.open(folder) if (folder / "store.json").exists() else Store.create(folder, WIDTH, "space")
    start = store.resume_point("file")
    rows = np.arange(start, start + SHARD)
    columns = pa.table({"title": [f"row {row}" for row in rows], "number": rows})
    store.add(vectors_of(rows), columns, source="file", positions=rows)
    store.finish()
    assert check_whole(store) == start + SHARD
    store.finish()  # once more: Lance merges a new file with older ones only when both are in the word index
    assert len(list((folder / "rows.lance" / "data").iterdir())) == 1  # nothing of the killed writers is left


@posix
def test_killed_while_adding_and_resumed_every_row_is_there_once(tmp_path: Path) -> None:
    draw = random.Random(0)
    killed_and_resumed(tmp_path / "store", [draw.uniform(0, 0.05), draw.uniform(0.2, 1), draw.uniform(0.2, 1)])


@posix
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_twenty_moments(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    killed_and_resumed(tmp_path / "store", [draw.uniform(0, 1) ** 2 for _ in range(10)])
    for number in range(10):  # in creation
        killed_and_resumed(tmp_path / f"store{number}", [draw.uniform(0, 0.08)])


@posix
def test_a_reader_sees_whole_versions_while_another_process_writes(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with writer(folder):
        while not (folder / "store.json").exists():
            time.sleep(0.01)
        reader, seen, end = Store.open(folder), set(), time.monotonic() + 2.5
        while time.monotonic() < end:
            rows = len(reader)
            assert rows % SHARD == 0
            hits = reader.search(vectors_of(np.array([3])), k=5, where="number >= 0")[0] if rows else []
            assert [hit.columns for hit in hits] == [{"title": f"row {hit.row}", "number": hit.row} for hit in hits]
            assert not rows or (hits[0].row == 3 and hits[0].score == 1)
            assert rows >= max(seen, default=0)
            seen.add(rows)
            reader.refresh() if len(seen) % 2 else (reader := Store.open(folder))
    assert len(seen) > 2
    check_whole(Store.open(folder))


@posix
def test_two_writers_of_one_source_write_each_row_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    Store.create(folder, WIDTH, "space", text="title")
    with writer(folder), writer(folder):
        time.sleep(1)
    assert check_whole(Store.open(folder)) > 0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "store", WIDTH, "space")
    rows = np.arange(SHARD)
    store.add(vectors_of(rows), pa.table({"title": [f"row {row}" for row in rows], "number": rows}), source="file")
    return store


@pytest.mark.parametrize("late", [SHARD, 1], ids=["a shard", "a row"])
def test_rows_that_do_not_lie_in_their_order_are_found_all_the_same(store: Store, late: int) -> None:
    """As Lance leaves them now and then when it merges a file that is in an index with one that is not."""
    store.search(np.ones((1, WIDTH)))  # a matrix of the first shard is there
    rows = np.arange(SHARD, 3 * SHARD)
    store.add(vectors_of(rows), pa.table({"title": [f"row {row}" for row in rows], "number": rows}), source="file")
    table = store._table
    lying = table._inner.to_arrow()
    table._inner.add(pa.concat_tables([lying[-late:], lying[:-late]]), mode="overwrite")
    for handle in (store, Store.open(store.folder)):
        handle.refresh()
        assert check_whole(handle) == 3 * SHARD
    store.add(vectors_of(rows[-1:] + 1), pa.table({"title": [f"row {3 * SHARD}"], "number": [3 * SHARD]}))
    store.finish()
    assert [hit.row for hit in store.search(vectors_of(np.arange(3 * SHARD + 1)), k=1, where="number >= 0")[-1]] == [51]


@posix
def test_out_of_room_the_store_is_as_it_was(store: Store) -> None:
    rows = np.arange(SHARD, SHARD + 1700)
    columns = pa.table({"title": [f"row {row}" for row in rows], "number": rows})
    with files_at_most(4000), pytest.raises(BadInput, match=r"Cannot write to the store .*as it was"):
        store.add(vectors_of(rows), columns, source="file")
    assert check_whole(Store.open(store.folder)) == SHARD
    assert check_whole(store) == SHARD
    assert store.add(vectors_of(rows), columns, source="file") == 1700
    with files_at_most(4000), pytest.raises(BadInput, match="Cannot write to the store"):
        store.search(np.ones((1, WIDTH)))  # the matrix has no room
    store.finish()
    assert check_whole(Store.open(store.folder)) == SHARD + 1700


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_can_be_searched_and_not_added_to(store: Store) -> None:
    store.folder.chmod(0o555)
    (store.folder / "writer.lock").chmod(0o444)
    try:
        with pytest.raises(BadInput, match=r"Cannot write to the store .*Permission denied"):
            store.add(np.ones((1, WIDTH)), pa.table({"title": ["x"], "number": [1]}))
        assert check_whole(Store.open(store.folder)) == SHARD
    finally:
        store.folder.chmod(0o755)
