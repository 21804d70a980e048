"""What is wrong with an address or its server is said in a sentence, soon, and without a secret."""

import time
from socket import socket

import numpy as np
import pyarrow as pa
import pytest

from raw2vec.addresses import shown
from raw2vec.errors import BadFolder, BadInput, Unreachable
from raw2vec.use.index import Space, store_for
from raw2vec.use.stores import create_store, is_store, open_store
from store_servers import KEYS, PASSWORD, StoreKinds

ONES = np.ones((3, 4), np.float32)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("tickets.store", "tickets.store"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("postgresql://me@host/db?table=t", "postgresql://me@host/db?table=t"),
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:se@cr/et@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://host/db?user=me&password=secret&table=t", "postgresql://host/db?user=me&password=***&table=t"),
        ("postgresql://host:5432/db?user=x&password=a@b", "postgresql://host:5432/db?user=x&password=***"),
        ("postgresql://me:se@cr@host/db?password=a@b&x=y", "postgresql://me:***@host/db?password=***&x=y"),
        ("s3://key:secret@bucket/x", "s3://key:***@bucket/x"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, masked: str) -> None:
    assert shown(address) == masked


@pytest.fixture
def bucket(store_kinds: StoreKinds) -> None:
    store_kinds.place("s3")


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("s3://", BadInput, "an address in a bucket is s3://bucket/prefix"),
        ("s3:///prefix", BadInput, "an address in a bucket is s3://bucket/prefix"),
        ("s3://nowhere-at-all/x", BadFolder, "there is no bucket 'nowhere-at-all'. Create it"),
        ("s3://bucket/nothing", BadFolder, "is not a store"),
        ("s3://AKIA:s3cr3tkey@bucket/x", BadInput, "keys do not belong into an address"),
        ("s3://[bucket/x", BadInput, "Elsewhere write [ as %5B"),
        ("s3://bucket/x?secret_access_key=hidden", BadInput, "'secret_access_key' is nothing that an address may"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_said(address: str, kind: type[BadInput], says: str) -> None:
    with pytest.raises(kind) as refused:
        open_store(address)
    assert says in str(refused.value)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)


@pytest.mark.usefixtures("bucket")
def test_a_host_that_is_down_answers_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        down = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{down}")
    for ask in (open_store, is_store, lambda address: create_store(address, 4, "space")):
        with pytest.raises(Unreachable, match=f"http://127.0.0.1:{down} does not answer"):
            ask("s3://bucket/x")


@pytest.mark.usefixtures("bucket")
def test_a_host_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(Unreachable, match="does not answer"):
            open_store("s3://bucket/x")
        assert time.monotonic() - began < 100  # not for ever: the busiest machine has as much time


def test_a_lance_table_of_somebody_else_is_left_alone(store_kinds: StoreKinds) -> None:
    place = store_kinds.place("s3")
    import lancedb

    options = {"aws_endpoint": str(store_kinds.endpoint), "allow_http": "true"}
    lancedb.connect(place, storage_options=options).create_table("store", pa.table({"mine": [1]}))
    for ask in (open_store, lambda address: create_store(address, 4, "space")):
        with pytest.raises(BadFolder, match="its Lance table 'store' is something else"):
            ask(place)


def test_a_table_that_a_killed_writer_began_is_gone_on_with(
    store_kinds: StoreKinds, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, columns = store_kinds.place("s3"), pa.table({"x": [1, 2, 3]})
    with monkeypatch.context() as patched:
        patched.setattr("lancedb.merge.LanceMergeInsertBuilder.execute", _killed_at(3))
        with pytest.raises(KeyboardInterrupt):
            create_store(place, 4, "space").add(ONES, columns)
    store = open_store(place)
    assert len(store) == 0
    with pytest.raises(BadInput, match="'x', which this store's rows have, is missing"):
        store.add(ONES, pa.table({"y": [1, 2, 3]}))
    assert store.add(ONES, columns) == 3
    assert [hit.columns for hit in store.search(ONES[:1])[0]] == columns.to_pylist()


def _killed_at(number: int) -> object:
    """LanceDB's merges, of which the first is what the store is, the second its table's name, the third its rows."""
    from lancedb.merge import LanceMergeInsertBuilder

    calls, execute = [0], LanceMergeInsertBuilder.execute

    def merge(self: object, rows: object) -> object:
        calls[0] += 1
        if calls[0] == number:
            raise KeyboardInterrupt
        return execute(self, rows)

    return merge


def test_without_a_cache_a_store_in_a_bucket_is_searched_all_the_same(
    store_kinds: StoreKinds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAW2VEC_CACHE", "/proc/nowhere")
    store = create_store(store_kinds.place("s3"), 4, "space")
    store.add(ONES)
    assert [hit.row for hit in store.search(ONES[:1])[0]] == [0, 1, 2]


def test_the_keys_of_a_bucket_are_in_no_file_of_the_store(store_kinds: StoreKinds) -> None:
    import boto3

    store = create_store(store_kinds.place("s3"), 4, "space")
    store.add(ONES)
    store.search(ONES[:1])
    files = [path.read_bytes() for path in store_kinds.folder.rglob("*") if path.is_file()]
    host = boto3.client("s3")
    files += [
        host.get_object(Bucket="bucket", Key=one["Key"])["Body"].read()
        for one in host.list_objects_v2(Bucket="bucket")["Contents"]
    ]
    assert files
    assert not any(KEYS["AWS_SECRET_ACCESS_KEY"].encode() in content for content in files)


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (("/postgres?", "/nowhere?"), Unreachable, 'database "nowhere" does not exist'),
        (("//postgres:", "//stranger:"), Unreachable, 'role "stranger" does not exist'),
        (("table=", "table=a-b"), BadInput, "cannot be the table's name"),
        (("table=", "table=x;drop"), BadInput, "cannot be the table's name"),
        (("table=", "sslmod=1&table="), BadInput, "is no address of a database"),
        (("host=/", "host=/nowhere/"), Unreachable, "See whether the server runs"),
        (("table=", "table=pg_catalog.pg_class&x="), BadInput, "is no address of a database"),
        (("table=", "table=nothing"), BadFolder, "is not a store"),
    ],
)
def test_what_is_wrong_with_a_database_is_said(
    store_kinds: StoreKinds, change: tuple[str, str], kind: type[BadInput], says: str
) -> None:
    with pytest.raises(kind) as refused:
        open_store(store_kinds.place("postgresql").replace(*change))
    assert says in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_password_with_a_bracket_is_no_internal_error(store_kinds: StoreKinds) -> None:
    store_kinds.place("postgresql")
    with pytest.raises(BadInput, match=r"postgresql://me:\*\*\*@host/db cannot be read: .* write \[ as %5B"):
        open_store("postgresql://me:se[cret@host/db")


def test_a_server_that_is_down_answers_soon(store_kinds: StoreKinds) -> None:
    store_kinds.place("postgresql")
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"postgresql://me:{PASSWORD}@127.0.0.1:{free.getsockname()[1]}/db"
    with pytest.raises(Unreachable, match=r"postgresql://me:\*\*\*@127.0.0.1:\d+/db: .*refused"):
        open_store(address)


def test_a_table_that_is_no_store_is_left_alone(store_kinds: StoreKinds) -> None:
    import psycopg

    with psycopg.connect(store_kinds.database(), autocommit=True) as server:
        server.execute("CREATE TABLE letters (body text)")
    place = f"{store_kinds.database()}&table=letters"
    with pytest.raises(BadFolder, match="says not whose vectors it holds"):
        open_store(place)
    with (
        pytest.raises(BadFolder, match="says not whose vectors it holds"),
        store_for(place, Space(4, "space", "model"), None),
    ):
        pytest.fail("there is no store to be had")
    with pytest.raises(BadInput, match="is a table already"):
        create_store(place, 4, "space")


def test_a_connection_that_was_cut_is_made_again(store_kinds: StoreKinds) -> None:
    import psycopg

    store = create_store(store_kinds.place("postgresql"), 4, "space")
    store.add(ONES)
    with psycopg.connect(store_kinds.database(), autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'raw2vec'")
    with pytest.raises(Unreachable, match="terminating connection"):
        store.search(ONES[:1])
    assert len(store.search(ONES[:1])[0]) == 3


def test_rows_that_the_server_cannot_keep_are_refused_whole(store_kinds: StoreKinds) -> None:
    place = store_kinds.place("postgresql")
    store = create_store(place, 4, "space")
    for column in (["a", "b", "nul \x00"], pa.array([1, 2, 3], pa.duration("s")), [[float("nan")], [], []]):
        with pytest.raises(BadInput, match="annot"):
            store.add(ONES, pa.table({"x": column}))
    with pytest.raises(BadInput, match="at most 63 bytes"):
        store.add(ONES, pa.table({"ä" * 40: [1, 2, 3]}))
    with pytest.raises(BadInput, match="at most 16,000 numbers"):
        create_store(store_kinds.place("postgresql"), 16_001, "space")
    assert len(open_store(place)) == 0
    assert store.add(ONES, pa.table({"x": [1, 2, 3]})) == 3


@pytest.mark.parametrize("width", [2_500, 4_001])
def test_wide_vectors_are_indexed_as_float16_and_the_widest_not(store_kinds: StoreKinds, width: int) -> None:
    store = create_store(store_kinds.place("postgresql"), width, "space")
    vectors = np.random.default_rng(0).standard_normal((30, width)).astype(np.float32)
    store.add(vectors)
    if width > 4_000:
        with pytest.raises(BadInput, match="at most 4,000 numbers"):
            store.build_approximate_index(least_rows=10)
    else:
        store.build_approximate_index(least_rows=10)
        assert store.search(vectors[7:8], k=1, mode="approximate")[0][0].row == 7
    assert store.search(vectors[7:8], k=1)[0][0].row == 7


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("pg_sleep(100) is null", "no function 'pg_sleep'"),
        ("x = 1) or (select true", "brackets do not match"),
        ("x in (select 1)", "no column 'select'"),
        ("x = 1) union (x = 1", "brackets do not match"),
        ("x = 1 -- and more", "parser error"),
        ("x = 1 /* and more */", "parser error"),
        ("x = 1; commit; drop table letters", "parser error"),
        ("x = $$1$$", "parser error"),
        ("set_config('a.b', 'c', false) = 'c'", "no function 'set_config'"),
        ("_source = 'file'", "no column '_source'"),
        ("x = 1::regclass", "parser error"),
        ("current_user = 'me'", "no column 'current_user'"),
        ('"x"(10) is null', 'no function "x"'),
        ("`words` ('x') is null", "no function `words`"),
        ('length("ctid") = 1', "no column 'ctid'"),
        ("'open", "parser error"),
        ("words = {}", "parser error"),
    ],
)
def test_a_filter_can_do_nothing_but_filter(store_kinds: StoreKinds, where: str, says: str) -> None:
    store = create_store(store_kinds.place("postgresql"), 4, "space")
    store.add(ONES, pa.table({"x": [1, 2, 3], "words": ["100%", "{}", "%s"]}))
    with pytest.raises(BadInput, match="The columns are: x, words") as refused:
        store.search(ONES[:1], where=where)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("words = '100%'", [0]),
        ("words in ('{}', '%s')", [1, 2]),
        ("words like '%\\%%' and not x between 2 and 3", [0]),
        ("lower(`words`) = 'it''s' or \"x\" >= 3", [2]),
        ("case when x = 2 then true else false end", [1]),
        ("(x + 1) * 2 == 8 or x is distinct from 2", [0, 2]),
        ("cast(x as text) = '1'", [0]),
        ("abs(x - 3) <= 1e0", [1, 2]),
    ],
)
def test_filters_of_every_form_are_understood(store_kinds: StoreKinds, where: str, rows: list[int]) -> None:
    store = create_store(store_kinds.place("postgresql"), 4, "space")
    store.add(ONES, pa.table({"x": [1, 2, 3], "words": ["100%", "{}", "%s"]}))
    assert [hit.row for hit in store.search(ONES[:1], where=where)[0]] == rows


@pytest.mark.parametrize("kind", ["s3", "postgresql"])
def test_a_failed_indexing_leaves_no_store_or_says_what_is_there(store_kinds: StoreKinds, kind: str) -> None:
    place, space = store_kinds.place(kind), Space(4, "space", "model")

    def failing(error: Exception, rows: int = 0, resume: bool = False) -> None:
        with store_for(place, space, None, resume) as store:
            store.add(ONES[:rows])
            raise error

    with pytest.raises(BadInput, match="nonsense"):
        failing(BadInput("nonsense"))
    assert not is_store(place)
    with pytest.raises(Unreachable, match=r"gone\. 3 rows are in it: go on with --resume"):
        failing(Unreachable("gone."), rows=3)
    with pytest.raises(BadInput, match="add --resume") as refused:
        failing(BadInput("nonsense"))
    assert PASSWORD not in str(refused.value)
    with store_for(place, space, None, resume=True) as store:
        assert len(store) == 3
