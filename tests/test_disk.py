"""No room, no permission, a file where a folder should be: one sentence each, and nothing that was not there before."""

import errno
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from files_at_most import files_at_most
from raw2vec import bundle
from raw2vec.disk import alone, cause, drafts, locked, replace, replacing, room, writing
from raw2vec.errors import BadInput, Unwritable

FULL, CLOSED = (OSError(number, os.strerror(number), "o/x") for number in (errno.ENOSPC, errno.EACCES))


@pytest.mark.parametrize(
    ("error", "kept", "sentence"),
    [
        (FULL, "", "o cannot be written: No space left on device. Make room, or name a place on another disk."),
        (CLOSED, "", "o cannot be written: Permission denied. Name another place."),
        (FULL, "9 rows are kept", "o cannot be written: No space left on device. 9 rows are kept: make room and go on"),
        (CLOSED, "9 rows are kept", "o cannot be written: Permission denied. 9 rows are kept: mend that and go on"),
        (OSError("76800 requested and 11232 written"), "", "o cannot be written: No space left on device."),
        (RuntimeError("I/O error: File too large (os error 27)"), "", "o cannot be written: File too large."),
    ],
)
def test_what_stops_a_write_is_one_sentence(error: Exception, kept: str, sentence: str) -> None:
    with pytest.raises(Unwritable) as told, writing(Path("o"), lambda: kept):
        raise error
    assert str(told.value).startswith(sentence)
    assert ("--resume" in str(told.value)) == bool(kept)


def test_a_file_that_cannot_be_read_is_not_called_one_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"rows\.csv cannot be read: No such file or directory"), writing(tmp_path / "o"):
        (tmp_path / "rows.csv").read_text()
    with pytest.raises(Unwritable, match=r"o cannot be written"), writing(tmp_path / "o"):
        (tmp_path / "nowhere" / ".o.partial").write_text("")


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace", "rename"):
        work = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, work=work: (done.append(name), work(*given)))
    with replacing(tmp_path / "a") as draft:
        draft.write_text("whole")
    with bundle.replacing(tmp_path / "model") as draft:
        (draft / "inner").mkdir()
        for file in ("recipe.json", "inner/weights"):
            (draft / file).write_text("whole")
    assert done == ["fsync", "replace", "fsync", "fsync", "rename"]


def test_a_small_file_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, done = tmp_path / "about.json", []
    for name in ("fsync", "replace"):
        work = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, work=work: (done.append(name), work(*given)))
    replace(place, "größer", tmp_path / "draft")
    assert (place.read_text(encoding="utf-8"), done) == ("größer", ["fsync", "replace"])
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(FULL))
    with pytest.raises(OSError, match="No space"):
        replace(place, "x", tmp_path / "draft")
    assert [path.name for path in tmp_path.iterdir()] == ["about.json"]


def test_a_lock_whose_file_is_gone_is_taken_anew(tmp_path: Path) -> None:
    path, held, over = tmp_path / "lock", threading.Event(), threading.Event()

    def second() -> None:
        with locked(path):
            held.set()
            over.wait(60)

    waiting = threading.Thread(target=second)
    with locked(path):
        waiting.start()
        time.sleep(0.3)  # it waits by now for the file that goes
        path.unlink()
    assert held.wait(60)
    assert path.exists(), "a third one would take the lock beside it"
    over.set()
    waiting.join()


def test_the_outermost_block_has_the_say() -> None:
    outer = "outer cannot be written: No space left on device. All is kept: make room and go on with --resume."
    told = pytest.raises(Unwritable, match=re.escape(outer))
    with told, writing(Path("outer"), lambda: "All is kept"), writing(Path("inner")):
        raise FULL
    with pytest.raises(Unwritable, match="outer cannot be written"), writing(Path("outer")), writing(Path("inner")):
        raise FULL


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2"), BadInput("no column"), KeyboardInterrupt()])
def test_what_is_no_disk_s_fault_is_left_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as told, writing(Path("o"), lambda: "all is kept"):
        raise error
    assert told.value is error
    assert cause(error) is None


def stopped(*made: Path) -> None:
    """Writes some files, and fails."""
    for path in made:
        path.write_bytes(b"x" * 101)
    raise FULL


def test_folders_that_were_made_go_and_others_stay(tmp_path: Path) -> None:
    own, inner = tmp_path / "own", tmp_path / "own" / "a" / "b"
    own.mkdir()
    with pytest.raises(OSError, match="No space"), room(inner / "file"):
        stopped()
    assert list(tmp_path.rglob("*")) == [own]
    with pytest.raises(OSError, match="No space"), room(inner / "file"):
        stopped(own / "a" / "kept")
    assert sorted(tmp_path.rglob("*")) == [own, own / "a", own / "a" / "kept"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.txt"
    told = pytest.raises(Unwritable, match=r"a\.txt cannot be written: File too large")
    with files_at_most(100), told, replacing(out) as partial:
        stopped(partial)
    assert not list(tmp_path.iterdir())
    for content in (b"old", b"new"):
        with replacing(out) as partial:
            partial.write_bytes(content)
    with pytest.raises(Unwritable), replacing(out) as partial:
        stopped(partial)
    assert [(path.name, path.read_bytes()) for path in out.parent.iterdir()] == [("a.txt", b"new")]


def test_drafts_go_when_a_write_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"), drafts(tmp_path / "draft", tmp_path / "never made"):
        stopped(tmp_path / "draft")
    assert not list(tmp_path.iterdir())


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far.txt").write_text("old")
    (tmp_path / "near.txt").symlink_to(tmp_path / "far.txt")
    with replacing(tmp_path / "near.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "near.txt").is_symlink()
    assert (tmp_path / "far.txt").read_text() == "new"


@pytest.mark.parametrize("place", [".", "..", "within"])
def test_a_file_does_not_take_the_name_of_a_folder(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "within").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with (
        pytest.raises(BadInput, match="is a folder, and a file is written: name one within it"),
        replacing(Path(place)),
    ):
        pass


def test_one_run_at_a_time_writes_a_place(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            alone(tmp_path / "m"),
            pytest.raises(BadInput, match=r"Another run is writing .*m: wait"),
            alone(tmp_path / "m"),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
