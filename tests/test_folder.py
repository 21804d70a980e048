"""Model folders: whole or refused with the file's name, put in place in one step, and never over anything else."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import raw2vec
from raw2vec import folder
from raw2vec.errors import BadFolder, BadInput
from raw2vec.system import Raw2Vec
from small import recipe, rows, texts

FILES = (
    "recipe.json",
    "raw.json",
    "tokenizer.json",
    "model.safetensors",
    "heads.safetensors",
    "golden.safetensors",
    "report.json",
    "README.md",
    "metrics.jsonl",
)
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")
BOUND = FILES[:6]  # those that make what the model says


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two model folders of the same recipe and sizes, learned from other rows with another seed."""
    place = tmp_path_factory.mktemp("models")
    for name, seed in (("one", 0), ("other", 1)):
        made = recipe("supervised", raw__vocabulary=70, training__steps=2, seed=seed)
        Raw2Vec(recipe=made).fit(rows(seed=seed), out=place / name)
    return place / "one", place / "other"


@pytest.fixture
def place(two: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the first folder, to be damaged."""
    return Path(shutil.copytree(two[0], tmp_path / "m"))


def test_a_whole_folder_holds_these_files_and_opens(place: Path) -> None:
    assert {*FILES} <= {path.name for path in place.iterdir()}
    assert raw2vec.load(place).encode(texts(3)).shape == (3, 16)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(place: Path, name: str) -> None:
    (place / name).unlink()
    with pytest.raises(BadFolder, match=name.replace(".", r"\.")):
        raw2vec.load(place)


@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_named(place: Path, name: str, share: float) -> None:
    held = (place / name).read_bytes()
    (place / name).write_bytes(held[: int(len(held) * share)])
    with pytest.raises(BadFolder, match=name.replace(".", r"\.")):
        raw2vec.load(place)


@pytest.mark.parametrize("name", [name for name in BOUND if name != "raw.json"])
def test_a_file_of_another_model_is_named(place: Path, two: tuple[Path, Path], name: str) -> None:
    shutil.copy(two[1] / name, place / name)
    with pytest.raises(BadFolder, match=name.replace(".", r"\.") + " is not the file"):
        raw2vec.load(place)


@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors", "golden.safetensors"])
def test_one_flipped_bit_is_found(place: Path, name: str) -> None:
    held = bytearray((place / name).read_bytes())
    held[-3] ^= 1
    (place / name).write_bytes(held)
    with pytest.raises(BadFolder, match=name):
        raw2vec.load(place)


def test_raw_json_of_another_model_is_found(place: Path, two: tuple[Path, Path]) -> None:
    shutil.copy(two[1] / "raw.json", place / "raw.json")
    with pytest.raises(BadFolder, match="is not the file that this folder was saved with"):
        raw2vec.load(place)


@pytest.mark.parametrize("text", ["[]", "{}", "null", "{", '{"files": 1, "settings": {}, "labels": null}', "\x00\x01"])
def test_a_raw_json_of_anything_else_is_named(place: Path, text: str) -> None:
    (place / "raw.json").write_text(text)
    with pytest.raises(BadFolder, match=r"raw\.json"):
        raw2vec.load(place)


def test_what_is_no_model_folder_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="There is no model folder"):
        raw2vec.load(tmp_path / "none")
    with pytest.raises(BadFolder, match=r"holds no recipe\.json"):
        raw2vec.load(tmp_path)
    (tmp_path / "file").write_text("a")
    with pytest.raises(BadFolder, match="There is no model folder"):
        raw2vec.load(tmp_path / "file")


def test_saving_over_a_model_replaces_it_whole(place: Path, two: tuple[Path, Path]) -> None:
    (place / "note of mine.txt").write_text("an old model's")
    other = raw2vec.load(two[1])
    other.save(place)
    assert raw2vec.load(place).fingerprint_ == other.fingerprint_
    assert {path.name for path in place.iterdir()} == {path.name for path in two[1].iterdir()}
    assert [path.name for path in place.parent.iterdir()] == ["m"], "nothing is left beside it"


def test_killed_between_its_two_renames_the_older_model_is_still_there(place: Path, two: tuple[Path, Path]) -> None:
    old, other = raw2vec.load(place).fingerprint_, raw2vec.load(two[1])
    place.rename(place.with_name(f".{place.name}.old"))
    assert raw2vec.load(place).fingerprint_ == old
    other.save(place)
    assert raw2vec.load(place).fingerprint_ == other.fingerprint_
    assert [path.name for path in place.parent.iterdir()] == ["m"], "nothing is left beside it"


def test_a_folder_of_anything_else_is_never_touched(tmp_path: Path, two: tuple[Path, Path]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"a picture")
    (tmp_path / "file").write_text("text")
    for name, reason in (("photos", "holds other files"), ("file", "is a file")):
        with pytest.raises(BadInput, match=reason):
            raw2vec.load(two[0]).save(tmp_path / name)
        with pytest.raises(BadInput, match=reason):
            Raw2Vec(recipe=recipe()).fit(rows(), out=tmp_path / name)
    assert (tmp_path / "photos" / "a.png").read_bytes() == b"a picture"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "photos"], "the fit did not even begin"


def test_an_empty_folder_and_new_parents_will_do(tmp_path: Path, two: tuple[Path, Path]) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        raw2vec.load(two[0]).save(out)
        raw2vec.load(out)


@pytest.mark.parametrize("name", ["recipe.json", "model.safetensors", "tokenizer.json", "golden.safetensors"])
def test_a_full_disk_leaves_the_old_model_and_a_sentence(
    place: Path, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Writes fail at this file as they do on a disk with no room left."""
    old = raw2vec.load(place).fingerprint_
    write, save = Path.write_text, folder.save_file

    def full_text(path: Path, *args: object, **options: object) -> int:
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, *args, **options)

    def full_tensors(tensors: object, path: Path, *args: object) -> None:
        if path.name == name:
            raise safetensors.SafetensorError(
                "Error while serializing: I/O error: No space left on device (os error 28)"
            )
        save(tensors, path, *args)

    monkeypatch.setattr(Path, "write_text", full_text)
    monkeypatch.setattr(folder, "save_file", full_tensors)
    with pytest.raises(BadInput, match=r"m cannot be written: .*No space left on device"):
        raw2vec.load(two[1]).save(place)
    monkeypatch.undo()
    assert raw2vec.load(place).fingerprint_ == old
    assert [path.name for path in place.parent.iterdir()] == ["m"]


def test_a_read_only_place_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "closed")  # as for all but root
    with pytest.raises(BadInput, match="closed is read-only"):
        Raw2Vec(recipe=recipe()).fit(rows(), out=tmp_path / "closed" / "m")
    assert not list((tmp_path / "closed").iterdir())


def test_the_fingerprint_is_that_of_the_vectors(place: Path, two: tuple[Path, Path]) -> None:
    model = raw2vec.load(place)
    mark, vectors = model.fingerprint_, model.encode(texts(5))
    assert raw2vec.load(place).fingerprint_ == mark
    parts = model.parts_

    def changed() -> bool:
        return folder.fingerprint(parts) != mark

    parts.report = {"metrics": {}}
    parts.recipe = parts.recipe.changed({"seed": 99, "training.steps": 77, "columns.input": "other"})
    with torch.no_grad():
        for weight in parts.objectives.parameters():
            weight.add_(1.0)
    parts.labels = None
    assert not changed(), "how it was trained, judged and labelled is not what its vectors are"
    assert np.array_equal(model.encode(texts(5)), vectors)

    weight = parts.model.embedding.table.weight
    row = int(parts.raw.windows([texts(5)[0]]).ragged.values[0])
    with torch.no_grad():
        weight[row, 0] += 1.0
    assert changed()
    assert not np.array_equal(model.encode(texts(5)), vectors)
    with torch.no_grad():
        weight[row, 0] -= 1.0
    assert raw2vec.load(two[1]).fingerprint_ != mark
    parts.recipe = parts.recipe.changed({"raw.max_tokens": 5})
    assert changed(), "long texts have other vectors then"


def test_nothing_in_a_folder_can_be_executed(two: tuple[Path, Path]) -> None:
    for path in two[0].rglob("*"):
        if path.is_file():
            assert path.suffix in {".json", ".jsonl", ".safetensors", ".md", ".txt"}
            assert not path.stat().st_mode & 0o111
            if path.suffix == ".json":
                json.loads(path.read_text())
