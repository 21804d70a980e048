"""Writers of a store of any kind: killed in the middle and resumed, and two of them at the same rows."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from raw2vec.use.stores import Store, VectorStore, create_store, is_store, open_store
from store_servers import KINDS, StoreKinds

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SHARD, WIDTH = 17, 6

# Told to go, it indexes so many shards of a source from where the store says, and tells of each how many rows were new.
WRITER = """
import sys
import numpy as np, pyarrow as pa
from raw2vec.use.stores import create_store, open_store

place, shard, width, shards, create = sys.argv[1], *map(int, sys.argv[2:])
print("ready", flush=True)
sys.stdin.readline()
store = create_store(place, width, "space", text="title") if create else open_store(place)
print("there", flush=True)
while (start := store.resume_point("file")) < shards * shard:
    rows = np.arange(start, start + shard)
    vectors = np.sin(np.outer(rows + 1, np.arange(1, width + 1))).astype(np.float32)
    columns = pa.table({"title": [f"row {row}" for row in rows], "number": rows})
    print(store.add(vectors, columns, source="file", positions=rows), flush=True)
    if start // shard % 5 == 4:
        store.finish()
"""


def vectors_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.sin(np.outer(rows + 1, np.arange(1, WIDTH + 1))).astype(np.float32)


@contextmanager
def writer(place: str, shards: int, create: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to write to the store, killed with SIGKILL at the end if not before."""
    command = [sys.executable, "-c", WRITER, place, *map(str, (SHARD, WIDTH, shards, int(create)))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert said(process) == "ready"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def check_whole(store: VectorStore) -> int:
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


@pytest.mark.parametrize("kind", KINDS)
def test_killed_while_it_adds_a_writer_loses_and_doubles_nothing(kind: str, store_kinds: StoreKinds) -> None:
    place, draw, least = store_kinds.place(kind), random.Random(0), 0
    create_store(place, WIDTH, "space", text="title")
    for adds in (0, 3):
        with writer(place, shards=1000) as process:
            go(process)
            assert said(process) == "there"
            assert {said(process) for _ in range(adds)} <= {str(SHARD)}
            time.sleep(draw.uniform(0, 0.2))  # into the middle of the next one, or of tidying up
        found = check_whole(open_store(place))
        assert found >= least + adds * SHARD
        least = found
    store = open_store(place)
    start = store.resume_point("file")
    rows = np.arange(start, start + SHARD)
    columns = pa.table({"title": [f"row {row}" for row in rows], "number": rows})
    assert store.add(vectors_of(rows), columns, source="file", positions=rows) == SHARD
    store.finish()
    assert check_whole(open_store(place)) == start + SHARD


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_creation_it_leaves_a_store_or_room_for_one(kind: str, store_kinds: StoreKinds) -> None:
    place = store_kinds.place(kind)
    with writer(place, shards=1000, create=True) as process:
        go(process)
        time.sleep(random.Random(1).uniform(0, 0.3))
    store = open_store(place) if is_store(place) else create_store(place, WIDTH, "space", text="title")
    found = check_whole(store)
    rows = np.arange(found, found + SHARD)
    columns = pa.table({"title": [f"row {row}" for row in rows], "number": rows})
    assert store.add(vectors_of(rows), columns, source="file", positions=rows) == SHARD
    assert check_whole(open_store(place)) == found + SHARD


def test_between_a_commit_and_a_look_at_it_another_writer_may_commit(
    store_kinds: StoreKinds, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, vectors = store_kinds.place("s3"), vectors_of(np.arange(3 * SHARD))
    store, other = create_store(place, WIDTH, "space"), open_store(place)
    places = [np.arange(start, start + SHARD) for start in range(0, 3 * SHARD, SHARD)]
    assert store.add(vectors[places[0]], source="file", positions=places[0]) == SHARD
    assert isinstance(store, Store)
    look = store.refresh

    def late() -> None:
        if store._table.version > first:  # it has committed, and before it looks, the other does
            monkeypatch.setattr(store, "refresh", look)
            assert other.add(vectors[places[2]], source="file", positions=places[2]) == SHARD
        look()

    first = store._table.version
    monkeypatch.setattr(store, "refresh", late)
    assert store.add(vectors[places[1]], source="file", positions=places[1]) == SHARD
    assert store.add(vectors[places[2]], source="file", positions=places[2]) == 0
    assert len(open_store(place)) == 3 * SHARD


@pytest.mark.parametrize("kind", KINDS)
def test_two_writers_of_one_source_write_each_row_once(kind: str, store_kinds: StoreKinds) -> None:
    place, shards = store_kinds.place(kind), 10
    create_store(place, WIDTH, "space", text="title")
    with writer(place, shards) as one, writer(place, shards) as other:
        go(one, other)
        told = [process.communicate(timeout=300)[0].split() for process in (one, other)]
    assert sum(int(new) for lines in told for new in lines[1:]) == shards * SHARD
    assert check_whole(open_store(place)) == shards * SHARD
