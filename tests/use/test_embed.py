"""Embedding files: the formats, going on, refusing what does not belong, and disks that say no."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.rows import Rows, open_rows
from raw2vec.use import base
from raw2vec.use.embed import Embedded, embed

FORMS = ("v.npy", "v.parquet", "v")


def vectors_of(texts: list[str]) -> NDArray[np.float32]:
    return np.array([[len(text), sum(map(ord, text))] for text in texts], np.float32)


class Encoder:
    """Two numbers a text; texts of more than four characters count as cut. Stops when told to."""

    def __init__(self, stop_at: int = 10**9):
        self.calls, self.stop_at = 0, stop_at

    def __call__(self, texts: list[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.calls += 1
        if self.calls > self.stop_at:
            raise KeyboardInterrupt
        return vectors_of(texts), np.array([max(len(text) - 4, 0) for text in texts])


TEXTS = [f"t{number}" * (number % 3) for number in range(95)]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BLOCK_ROWS", 10)


def data(texts: list[str] = TEXTS) -> Rows:
    return open_rows({"text": texts, "number": list(range(len(texts)))}, [])


def run(out: Path, encoder: Encoder | None = None, rows: Rows | None = None, **options: object) -> Embedded:
    options = {"fingerprint": "model", **options}
    return embed(rows or data(), "text", encoder or Encoder(), out, **options)


def read(out: Path) -> NDArray[np.float32]:
    if out.suffix == ".npy":
        return np.load(out)
    table = pq.read_table(out) if out.suffix else pa.concat_tables(map(pq.read_table, sorted(out.glob("*.parquet"))))
    assert table.column_names == ["text", "number", "vector"]
    assert table["number"].to_pylist() == list(range(len(table)))
    return np.stack(table["vector"].to_numpy())


@pytest.mark.parametrize("form", FORMS)
def test_every_row_in_order_and_counted(tmp_path: Path, form: str) -> None:
    seen: list[int] = []
    made = run(tmp_path / form, progress=seen.append)
    assert np.array_equal(read(tmp_path / form), vectors_of(TEXTS))
    cut, empty = sum(len(text) > 4 for text in TEXTS), sum(not text for text in TEXTS)
    assert made == Embedded(95, 95, cut, empty, [not text for text in TEXTS].index(True))
    assert sum(seen) == 95
    assert [path.name for path in tmp_path.iterdir()] == [form], "nothing is left beside it"


@pytest.mark.parametrize("form", FORMS)
def test_it_goes_on_where_it_stopped(tmp_path: Path, form: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / form, Encoder(stop_at=4))
    assert form == "v" or not (tmp_path / form).exists()
    encoder = Encoder()
    made = run(tmp_path / form, encoder, resume=True)
    assert (made.items, made.new, encoder.calls) == (95, 55, 6)
    assert (made.truncated, made.empty) == (sum(len(t) > 4 for t in TEXTS), sum(not t for t in TEXTS))
    assert np.array_equal(read(tmp_path / form), vectors_of(TEXTS))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", ["model", "data", "column"])
def test_what_was_begun_with_another_is_refused(tmp_path: Path, form: str, change: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / form, Encoder(stop_at=4))
    encoder = Encoder()
    rows = data(TEXTS[1:]) if change == "data" else data()
    column = "number" if change == "column" else "text"
    with pytest.raises(BadInput, match=f"was begun with another {change}"):
        embed(rows, column, encoder, tmp_path / form, fingerprint="other" * (change == "model") or "model", resume=True)
    assert encoder.calls == 0


def test_done_and_run_again(tmp_path: Path) -> None:
    run(tmp_path / "v")
    with pytest.raises(BadInput, match="holds vectors already; add --resume"):
        run(tmp_path / "v")
    assert json.loads((tmp_path / "v" / "_manifest.json").read_text())["finished"]
    assert run(tmp_path / "v", Encoder(stop_at=0), resume=True).new == 0
    run(tmp_path / "v.npy")
    run(tmp_path / "v.npy", rows=data(TEXTS[:20]))
    assert len(np.load(tmp_path / "v.npy")) == 20, "a file is replaced"


def test_without_resume_a_single_file_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "v.npy", Encoder(stop_at=4))
    assert run(tmp_path / "v.npy", rows=data(TEXTS[:30])).new == 30
    assert np.array_equal(read(tmp_path / "v.npy"), vectors_of(TEXTS[:30]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("resume", [False, True])
def test_refused_before_the_first_shard_it_leaves_nothing(tmp_path: Path, form: str, resume: bool) -> None:
    def refuse(table: pa.Table, column: str) -> list[str]:
        raise BadInput("Text 7 is none.")

    with pytest.raises(BadInput, match="Text 7"):
        run(tmp_path / form, read=refuse, resume=resume)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_killed_before_its_first_shard_is_a_new_one_whatever_it_was_begun_with(
    tmp_path: Path, resume: bool
) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "shard-00000.parquet.partial").write_bytes(b"half")
    held = {"origin": {"model": "other"}, "rows": 0, "finished": False, "shards": []}
    (tmp_path / "v" / "_manifest.json").write_text(json.dumps(held))
    assert run(tmp_path / "v", resume=resume).new == len(TEXTS)
    assert np.array_equal(read(tmp_path / "v"), vectors_of(TEXTS))


@pytest.mark.parametrize("form", FORMS)
def test_two_runs_to_one_place_do_not_mix(tmp_path: Path, form: str) -> None:
    def again(items: int) -> None:
        with pytest.raises(BadInput, match=f"Another run is writing .*{form}: wait for its end, or give another --out"):
            run(tmp_path / form, resume=True)

    run(tmp_path / form, progress=again)
    np.testing.assert_array_equal(read(tmp_path / form), vectors_of(TEXTS))
    assert not list(tmp_path.glob(".*")), "the lock is gone"


def test_a_folder_may_have_a_dot_and_a_link_stays_one(tmp_path: Path) -> None:
    assert run(tmp_path / "v1.5").items == len(TEXTS)
    (tmp_path / "far").mkdir()
    (tmp_path / "v").symlink_to(tmp_path / "far")
    (tmp_path / "v.npy").symlink_to(tmp_path / "far.npy")
    for place in ("v", "v.npy"):
        run(tmp_path / place)
        assert (tmp_path / place).is_symlink()
        np.testing.assert_array_equal(read(tmp_path / place), vectors_of(TEXTS))


def test_places_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a folder, a \.npy or a \.parquet file, not to '\.csv'"):
        run(tmp_path / "v.csv")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="holds other files"):
        run(tmp_path / "v")
    assert (tmp_path / "v" / "letter.txt").read_text() == "dear"


def test_a_folder_killed_before_its_first_manifest_was_whole_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "_manifest.json.partial").write_text('{"orig')
    assert run(tmp_path / "v", resume=True).new == len(TEXTS)
    assert not (tmp_path / "v" / "_manifest.json.partial").exists()


def test_no_rows(tmp_path: Path) -> None:
    empty = open_rows({"text": ["a"]}, [])
    empty.batches = lambda rows=1, columns=None: iter(())  # type: ignore[method-assign]
    for form in FORMS:
        with pytest.raises(BadInput, match="no rows to embed"):
            run(tmp_path / form, rows=empty)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", [3, "manifest", "joining"])
def test_a_full_disk_keeps_what_was_there_and_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, where: object
) -> None:
    """Putting a file in place fails as on a disk without room: the fourth shard, its manifest, or the whole."""
    if where == "joining" and form == "v":
        pytest.skip("a folder has no last step of that kind")
    out = tmp_path / form
    if form != "v":
        out.write_bytes(b"of last week")
    replace, shards = os.replace, 0

    def full(source: str | Path, target: str | Path) -> None:
        nonlocal shards
        name = Path(target).name
        shards += name.startswith("shard")
        broken = {"manifest": name == "_manifest.json" and shards == 4, "joining": name == form}
        if broken.get(str(where), shards > 3 and name.startswith("shard")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(BadInput, match=f"{form} cannot be written: No space left on device.*--resume"):
            run(out)
    assert form == "v" or out.read_bytes() == b"of last week"
    made = run(out, resume=True)
    assert (made.items, made.new) == (95, 0 if where == "joining" else 65)
    assert np.array_equal(read(out), vectors_of(TEXTS))


def test_a_manifest_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, put = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("synced"), sync(file)))
    monkeypatch.setattr(os, "replace", lambda source, place: (done.append(Path(place).name), put(source, place)))
    run(tmp_path / "v")
    places = [place for place, name in enumerate(done) if name == "_manifest.json"]
    assert places
    assert {done[place - 1] for place in places} == {"synced"}


def test_a_manifest_counts_only_whole_shards(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "v", Encoder(stop_at=3))
    held = json.loads((tmp_path / "v" / "_manifest.json").read_text())
    assert (held["rows"], held["finished"], len(held["shards"])) == (30, False, 3)
    (tmp_path / "v" / "shard-00003.parquet").write_bytes(b"half a shard")
    run(tmp_path / "v", resume=True)
    assert np.array_equal(read(tmp_path / "v"), vectors_of(TEXTS))


@pytest.mark.parametrize("form", ["v.npy", "v.parquet"])
def test_killed_while_it_tidies_up_it_has_nothing_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def killed(path: Path) -> None:
        unlink(path)
        raise KeyboardInterrupt

    unlink = Path.unlink
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / form)
    encoder = Encoder()
    assert run(tmp_path / form, encoder, resume=True).new == 0
    assert encoder.calls == 0
    assert np.array_equal(read(tmp_path / form), vectors_of(TEXTS))
    assert [path.name for path in tmp_path.iterdir()] == [form]


def test_a_damaged_manifest_is_said_to_be(tmp_path: Path) -> None:
    run(tmp_path / "v")
    for text in ("", "{", "[]", "{}"):
        (tmp_path / "v" / "_manifest.json").write_text(text)
        with pytest.raises(BadInput, match=r"_manifest\.json is damaged"):
            run(tmp_path / "v", resume=True)


def test_a_column_called_vector_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    rows = open_rows({"text": ["one", "two"], "vector": ["mine", "too"]}, [])
    for out in (tmp_path / "v.parquet", tmp_path / "v"):
        with pytest.raises(BadInput, match=r"has a column 'vector'.*rename it, or write a \.npy"):
            run(out, rows=rows)
        assert not list(tmp_path.iterdir())
    assert run(tmp_path / "v.npy", rows=rows).items == 2


def test_a_folder_of_shards_opens_as_one_table(tmp_path: Path) -> None:
    run(tmp_path / "v")
    assert pq.read_table(tmp_path / "v")["text"].to_pylist() == TEXTS
