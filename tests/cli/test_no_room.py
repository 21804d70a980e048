"""Every command that writes, where there is no room or no folder to write to: one sentence, and no leavings."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import raw2vec
from files_at_most import files_at_most
from raw2vec import folder
from raw2vec.cli import app
from raw2vec.train import checkpoint
from raw2vec.train.loop import Trainer
from raw2vec.use import base
from raw2vec.use.stores import Store
from small import labelled

posix = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
FIT = ("fit", "PLACE/rows.csv", "--label", "kind", "--encoder", "dense", "--size", "tiny", "--steps", "6")
WRITES = {
    "fit": (*FIT, "--out"),
    "predict": ("predict", "PLACE/classes", "PLACE/rows.csv", "--out"),
    "embed": ("embed", "PLACE/classes", "PLACE/rows.csv", "--out"),
    "index": ("index", "PLACE/classes", "PLACE/rows.csv", "--store"),
    "reconstruct": ("reconstruct", "PLACE/pictures", "PLACE/pictures.npy", "--out"),
    "sample": ("sample", "PLACE/pictures", "-n", "200", "--out"),
    "interpolate": ("interpolate", "PLACE/pictures", "PLACE/pictures.npy", "--steps", "200", "--out"),
    "score": ("score", "PLACE/pictures", "PLACE/pictures.npy", "--out"),
}
OUTS = [
    *[("fit", "m"), ("index", "s"), ("reconstruct", "r"), ("reconstruct", "r.png"), ("sample", "s.png")],
    *[("interpolate", "i.png"), ("interpolate", "i"), ("score", "s.csv"), ("score", "s.parquet"), ("score", "s.npy")],
    *[("predict", f"p{suffix}") for suffix in (".csv", ".jsonl", ".parquet")],
    *[("embed", f"v{suffix}") for suffix in ("", ".npy", ".parquet")],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A table of texts with a model of their kinds, and pictures with one that leads back."""
    place = tmp_path_factory.mktemp("room")
    lines = [f"{text},{kind}" for text, kind in labelled(200)]
    (place / "rows.csv").write_text("\n".join(["text,kind", *lines]) + "\n")
    np.save(place / "pictures.npy", np.random.default_rng(0).integers(0, 256, (200, 6, 6), np.uint8))
    run(place, *FIT, "--out", "PLACE/classes")
    words = ("--objective", "variational", "--size", "tiny", "--steps", "2")
    run(place, "fit", "PLACE/pictures.npy", *words, "--out", "PLACE/pictures")
    return place


def run(place: Path, *words: str, code: int = 0) -> dict:
    """The JSON object of a command that ends with this exit code."""
    result = CliRunner().invoke(app, [*(word.replace("PLACE", str(place)) for word in words), "--json"])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return json.loads(result.stdout)


def needs_store(command: str) -> None:
    if command == "index":
        pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")


@posix
@pytest.mark.parametrize(("command", "out"), OUTS)
def test_no_room_at_all(place, tmp_path, command, out):
    needs_store(command)
    with files_at_most(50):
        told = run(place, *WRITES[command], str(tmp_path / "new" / out), code=2)["error"]
    assert f"{out} cannot be written: File too large." in told
    assert "--resume" not in told
    assert "Make room" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "out"), OUTS)
def test_a_file_where_the_folder_should_be(place, tmp_path, command, out):
    needs_store(command)
    (tmp_path / "letter").write_text("dear")
    told = run(place, *WRITES[command], str(tmp_path / "letter" / out), code=2)["error"]
    assert out in told
    assert "cannot be written" in told
    assert "--resume" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize(("command", "out"), OUTS)
def test_missing_folders_are_made(place, tmp_path, command, out):
    needs_store(command)
    made = run(place, *WRITES[command], str(tmp_path / "a" / "b" / out))["out"]
    assert Path(made).exists()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [out]


@posix
@pytest.mark.parametrize("out", ["v", "v.npy", "v.parquet"])
def test_vectors_that_found_room_are_kept_and_gone_on_with(place, tmp_path, monkeypatch, out):
    monkeypatch.setattr(base, "BLOCK_ROWS", 50)
    words = (*WRITES["embed"], str(tmp_path / out))
    whole = run(place, *WRITES["embed"], str(tmp_path / "whole.npy"))
    kept = set()
    for size in (2_000, 8_000, 12_000, 20_000, 30_000, 40_000, 60_000):
        with files_at_most(size):
            result = CliRunner().invoke(app, [*(word.replace("PLACE", str(place)) for word in words), "--json"])
        if result.exit_code == 0:
            break
        told = json.loads(result.stdout)["error"]
        assert result.exit_code == 2
        left = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {"whole.npy"}
        assert not {name for name in left if name.endswith((".joining", ".partial"))}
        kept.add("rows are kept" in told)
        assert ("rows are kept: make room and go on with --resume" in told) == bool(left)
        if left:
            assert run(place, *words, "--resume")["items"] == whole["items"]
            break
        assert [path.name for path in tmp_path.iterdir()] == ["whole.npy"]
    assert kept


def full(*_: object, **options: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_fit_that_cannot_keep_its_checkpoint_keeps_nothing(place, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_file", full)
    told = run(place, *WRITES["fit"], str(tmp_path / "m"), code=2)["error"]
    assert told.endswith("m cannot be written: No space left on device. Make room, or name a place on another disk.")
    assert not list(tmp_path.iterdir())


def test_a_fit_that_cannot_be_saved_is_gone_on_with(place, tmp_path, monkeypatch):
    words = (*WRITES["fit"], str(tmp_path / "m"))
    with monkeypatch.context() as patched:
        patched.setattr(folder, "save_file", full)
        told = run(place, *words, code=2)["error"]
    assert told.endswith("The last checkpoint is kept: make room and go on with --resume.")
    assert [path.name for path in tmp_path.iterdir()] == ["m.training"]
    monkeypatch.setattr(Trainer, "_step", full)  # there is nothing left to train
    assert run(place, *words, "--resume")["steps"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_fit_replaces_an_older_model_once_it_is_whole(place, tmp_path, monkeypatch):
    words = (*WRITES["fit"], str(tmp_path / "m"))
    first = run(place, *words)
    assert not first["replaced"]
    old = raw2vec.load(tmp_path / "m").fingerprint_
    with monkeypatch.context() as patched:
        patched.setattr(folder, "save_file", full)
        run(place, *words, "--seed", "1", code=2)
    assert raw2vec.load(tmp_path / "m").fingerprint_ == old
    assert run(place, *words, "--seed", "1", "--resume")["replaced"]
    assert raw2vec.load(tmp_path / "m").fingerprint_ != old
    result = CliRunner().invoke(app, [word.replace("PLACE", str(place)) for word in words])
    assert f"it replaced the model that was in {tmp_path / 'm'}" in result.stdout
    assert raw2vec.load(tmp_path / "m").fingerprint_ == old


def test_a_finished_fit_is_not_trained_again(place, tmp_path, monkeypatch):
    words = (*WRITES["fit"], str(tmp_path / "m"), "--resume")
    first = run(place, *words)
    assert not first["finished_already"]
    monkeypatch.setattr(Trainer, "run", full)
    again = run(place, *words)
    assert again["finished_already"]
    assert not again["replaced"]
    assert again["metrics"] == first["metrics"]
    result = CliRunner().invoke(app, [word.replace("PLACE", str(place)) for word in words])
    assert "it was finished already, and nothing was trained" in result.stdout
    told = run(place, *words, "--seed", "1", code=2)["error"]
    assert "m has another recipe: seed was 0, now 1; run without --resume to replace it" in told
    (tmp_path / "rows.csv").write_text((place / "rows.csv").read_text() + "a ship,harbour\n")
    told = run(tmp_path, *FIT, "--out", str(tmp_path / "m"), "--resume", code=2)["error"]
    assert "m was begun on other data; run without --resume" in told
    assert raw2vec.load(tmp_path / "m").report["metrics"] == first["metrics"]


@posix
def test_an_indexing_that_runs_out_of_room_is_gone_on_with(place, tmp_path, monkeypatch):
    needs_store("index")
    monkeypatch.setattr(base, "BLOCK_ROWS", 50)
    words, add, left = (*WRITES["index"], str(tmp_path / "s")), Store.add, [1, 1]

    def add_once(store, *given, **more):
        if not left:
            with files_at_most(1000):
                return add(store, *given, **more)
        left.pop()
        return add(store, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "add", add_once)
        told = run(place, *words, code=2)["error"]
    assert told.endswith("s cannot be written: File too large. 100 rows are in it: make room and go on with --resume.")
    again = run(place, *words, "--resume")
    assert (again["items"], again["new"]) == (200, 100)


@pytest.mark.parametrize("there", [True, False])
def test_a_refused_indexing_leaves_the_disk_as_it_was(place, tmp_path, there):
    needs_store("index")
    store = tmp_path / "own" / "s"
    if there:
        store.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    bad = tmp_path.with_name(tmp_path.name + ".csv")
    bad.write_text("text,_kind\na ship,harbour\n")
    for model, data, reason in (
        ("PLACE/classes", "PLACE/pictures.npy", "column"),
        ("PLACE/pictures", "PLACE/rows.csv", "rows.csv line 2: the path"),
        ("PLACE/classes", str(bad), "cannot keep a column named '_kind'"),
    ):
        told = run(place, "index", model, data, "--store", str(store), code=2)["error"]
        assert reason in told
        assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_other_things_gets_no_lock(place, tmp_path):
    needs_store("index")
    (tmp_path / "letter").write_text("dear")
    assert "is not empty" in run(place, *WRITES["index"], str(tmp_path), code=2)["error"]
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_another_model_s_store_is_left_as_it_was(place, tmp_path):
    needs_store("index")
    words = ("--store", str(tmp_path / "s"))
    run(place, *WRITES["index"], str(tmp_path / "s"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    told = run(place, "index", "PLACE/pictures", "PLACE/pictures.npy", *words, "--resume", code=2)["error"]
    assert "fingerprint" in told
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_few_rows_get_a_note_and_no_approximate_index(place, tmp_path):
    needs_store("index")
    note = "exact search is faster below 150,000 rows, so no approximate index was built"
    words = (*WRITES["index"], str(tmp_path / "s"), "--approximate")
    found = run(place, *words)
    assert (found["items"], found["recall"], found["notes"]) == (200, None, [note])
    result = CliRunner().invoke(app, [*(word.replace("PLACE", str(place)) for word in words), "--resume"])
    assert f"note: {note}" in result.stdout
    told = run(place, "search", str(tmp_path / "s"), "ship", "--mode", "approximate", code=2)["error"]
    assert "has no approximate index. Search exactly: of so few rows it is faster." in told


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "PLACE/classes", "PLACE/rows.csv", "--out", "PLACE/rows.csv"),
        ("embed", "PLACE/pictures", "PLACE/pictures.npy", "--out", "PLACE/./pictures.npy"),
        ("score", "PLACE/pictures", "PLACE/pictures.npy", "--out", "PLACE/pictures.npy"),
        ("embed", "PLACE/classes", "PLACE/folder", "--out", "PLACE/folder/rows.parquet"),
        ("sample", "PLACE/pictures", "--like", "PLACE/sheet.png", "--out", "PLACE/sheet.png"),
    ],
)
def test_what_is_read_is_never_written_over(place, words):
    (place / "folder").mkdir(exist_ok=True)
    pq.write_table(pa.table({"text": ["one", "two"]}), place / "folder" / "rows.parquet")
    (place / "sheet.png").write_bytes(b"not looked at")
    kept = Path(words[-1].replace("PLACE", str(place)))
    before = kept.read_bytes()
    told = run(place, *words, code=2)["error"]
    assert told.endswith("is what is read: it would be written over. Name another file with --out.")
    assert kept.read_bytes() == before


def test_columns_that_give_way_to_new_ones_are_told(place):
    lines = [f"{text},mine,9" for text, _ in labelled(20)]
    (place / "own.csv").write_text("\n".join(["text,prediction,score", *lines]) + "\n")
    words = ("predict", "PLACE/classes", "PLACE/own.csv", "--input", "text", "--out", "PLACE/told.csv")
    assert run(place, *words)["replaced"] == ["prediction"]
    shown = CliRunner().invoke(app, [word.replace("PLACE", str(place)) for word in words])
    assert "DATA's own 'prediction' gave way to what was found" in shown.output
