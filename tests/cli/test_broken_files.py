"""Pictures and sounds as files: in folders by their labels, in tables by their paths, and some of them broken."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image as Pillow
from typer.testing import CliRunner

from raw2vec.cli import app

SMALL = ("--size", "tiny", "--steps", "20", "--set", "training.hold_out=0.3")
BROKEN = {21: ("dark/zz0.jpg", "truncated"), 22: ("dark/zz1.jpg", "empty"), 45: ("light/zz2.png", "no picture")}


def call(*words: str) -> dict:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def listed(found: list[dict], folder: Path) -> None:
    """Three files by their rows, paths and reasons."""
    assert [each["row"] for each in found] == list(BROKEN)
    for each, (path, reason) in zip(found, BROKEN.values(), strict=True):
        assert each["item"] == str(folder / path)
        assert each["reason"].startswith(reason)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light pictures in two folders, three broken ones, a table of all; models of the folder and the table."""
    place, draw = tmp_path_factory.mktemp("broken"), np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 128)):
        (place / "photos" / name).mkdir(parents=True)
        for number in range(21 if name == "dark" else 22):
            pixels = draw.integers(low, low + 128, (10, 12, 3), np.uint8)
            Pillow.fromarray(pixels).save(place / "photos" / name / f"{number:02}.jpg")
    whole = (place / "photos/dark/00.jpg").read_bytes()
    for (path, _), content in zip(BROKEN.values(), (whole[: len(whole) // 2], b"", b"hello"), strict=True):
        (place / "photos" / path).write_bytes(content)
    with open(place / "list.csv", "w", newline="") as file:
        paths = sorted((place / "photos").rglob("*.*"))
        rows = [(path.relative_to(place).as_posix(), path.parent.name, number) for number, path in enumerate(paths)]
        csv.writer(file).writerows([("path", "kind", "number"), *rows])
    call(
        "fit",
        str(place / "list.csv"),
        "--kind",
        "image",
        "--input",
        "path",
        "--label",
        "kind",
        *SMALL,
        *out(place, "m"),
    )
    return place


def out(place: Path, name: str) -> tuple[str, str]:
    return "--out", str(place / name)


def test_a_folder_s_own_folders_are_labels_and_broken_pictures_are_left_out(place: Path, tmp_path: Path) -> None:
    found = call("fit", str(place / "photos"), "--label", "label", *SMALL, *out(tmp_path, "m"))
    assert (found["kind"], found["task"], found["items"]) == ("image", "classes", 46)
    listed(found["unreadable"], place / "photos")
    report = json.loads((tmp_path / "m" / "report.json").read_text())
    listed(report["unreadable"], place / "photos")
    [note] = [note for note in report["notes"] if note.startswith("left out")]
    assert note.startswith("left out: 3 pictures that cannot be read: ")
    assert "zz0.jpg (truncated)" in note
    assert set(call("predict", str(tmp_path / "m"), str(place / "photos/light"))["predictions"][0]) >= {"prediction"}


@pytest.mark.parametrize("form", ["v.npy", "v.parquet", "v"])
def test_every_row_has_a_vector_and_a_broken_one_is_named(place: Path, tmp_path: Path, form: str) -> None:
    words = ["embed", str(place / "m"), str(place / "list.csv"), *out(tmp_path, form)]
    found = call(*words)
    assert found["items"] == 46
    listed(found["unreadable"], place / "photos")
    if form == "v":
        listed(call(*words, "--resume")["unreadable"], place / "photos")
    if form == "v.npy":
        vectors = np.load(tmp_path / form)
    else:
        table = pq.read_table(tmp_path / form)
        assert table["path"][0].as_py() == "photos/dark/00.jpg", "as it stands in the table"
        vectors = np.stack(table["vector"].to_numpy())
    assert np.flatnonzero(~vectors.any(axis=1)).tolist() == list(BROKEN)
    assert np.isfinite(vectors).all()


def test_an_index_is_without_them(place: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    words = ["index", str(place / "m"), str(place / "list.csv"), "--store", store]
    found = call(*words)
    assert found["items"] == 43
    listed(found["unreadable"], place / "photos")
    hits = call("search", store, str(place / "photos/dark/03.jpg"), "-k", "50", "--where", "number < 30")["results"][0]
    rows = hits["hits"] if isinstance(hits, dict) else hits
    assert len(rows) == 28
    assert "photos/dark/zz0.jpg" not in json.dumps(rows)
    assert "photos/dark/03.jpg" in json.dumps(rows)
    again = call(*words, "--resume")
    assert again["new"] == 0


def test_one_of_them_is_told_as_one(place: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Pillow.new("L", (8, 8), number).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "1.png").write_bytes(b"")
    words = [str(place / "m"), str(tmp_path / "photos")]
    told = CliRunner().invoke(app, ["index", *words, "--store", str(tmp_path / "store")]).stdout
    assert "1 file that cannot be read, and was left out: " in told
    assert "of the column 'path'" in told
    assert f"next: raw2vec search {tmp_path / 'store'} PICTURE" in told
    told = CliRunner().invoke(app, ["embed", *words, *out(tmp_path, "v.npy")]).stdout
    assert "1 file that cannot be read, and got a vector of zeros: " in told
    assert call("embed", *words, "--input", "path", *out(tmp_path, "w.npy"))["input"] == "path"
    told = refused("search", str(tmp_path / "store"), "a few words")
    assert f"There is no picture 'a few words': {tmp_path / 'store'} is searched by the path of a picture, not" in told


def test_measured_and_predicted_without_them(place: Path, tmp_path: Path) -> None:
    found = call("evaluate", str(place / "m"), str(place / "list.csv"), "--label", "kind")
    assert any(note.startswith("left out: 3 pictures that cannot be read") for note in found["notes"])
    found = call("predict", str(place / "m"), str(place / "list.csv"))
    assert [row["row"] for row in found["predictions"] if row["prediction"] is None] == list(BROKEN)
    assert found["predictions"][0]["path"] == "photos/dark/00.jpg"
    listed(found["unreadable"], place / "photos")
    call("predict", str(place / "m"), str(place / "list.csv"), *out(tmp_path, "p.csv"))
    lines = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert (len(lines), lines[0]["path"], lines[21]["prediction"]) == (46, "photos/dark/00.jpg", "")


def test_scored_without_them(place: Path, tmp_path: Path) -> None:
    data = str(place / "list.csv")
    call("fit", data, "--kind", "image", "--input", "path", *SMALL, "--set", "raw.size=[8,8]", *out(tmp_path, "m"))
    found = call("score", str(tmp_path / "m"), data, "--input", "path", *out(tmp_path, "s.npy"))
    listed(found["unreadable"], place / "photos")
    assert np.flatnonzero(np.isnan(np.load(tmp_path / "s.npy"))).tolist() == list(BROKEN)


def test_more_than_half_broken_is_refused(tmp_path: Path) -> None:
    for number in range(10):
        Pillow.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "9.png").read_bytes()
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(whole[:20] if number else b"")
    told = refused("fit", str(tmp_path), *SMALL, *out(tmp_path.parent, "none"))
    assert "pictures that cannot be read: " in told
    assert "more than half of the" in told
    assert "0.png (empty)" in told
    assert not (tmp_path.parent / "none").exists()


def test_a_path_that_leads_out_or_nowhere_is_refused_by_its_line(place: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path\n{place}/photos/dark/00.jpg\n")
    told = refused("embed", str(place / "m"), str(tmp_path / "list.csv"), *out(tmp_path, "v.npy"))
    assert "list.csv line 2: the path" in told
    assert "leads out of" in told
    (tmp_path / "list.csv").write_text("path\nnothing.jpg\n")
    for words in (["embed", str(place / "m")], ["fit", "--kind", "image", "--input", "path"]):
        told = refused(*words, str(tmp_path / "list.csv"), *out(tmp_path, "v.npy"))
        assert "list.csv line 2: the path 'nothing.jpg' leads to no file" in told
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_sounds_in_a_table(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for number in range(30):
        soundfile.write(tmp_path / "clips" / f"{number:02}.wav", draw.normal(0, 0.1, 800).astype(np.float32), 8000)
    (tmp_path / "clips" / "07.wav").write_bytes(b"RIFF")
    rows = "".join(f'{{"clip": "clips/{number:02}.wav", "loud": "{number % 2}"}}\n' for number in range(30))
    (tmp_path / "list.jsonl").write_text(rows)
    data, model = str(tmp_path / "list.jsonl"), str(tmp_path / "m")
    words = ["--kind", "audio", "--input", "clip", "--label", "loud", *SMALL, "--set", "raw.rate=8000"]
    found = call("fit", data, *words, "--out", model)
    assert [(each["row"], each["item"]) for each in found["unreadable"]] == [(7, str(tmp_path / "clips/07.wav"))]
    assert any("1 sound that cannot be read" in note for note in found["notes"])
    found = call("embed", model, data, *out(tmp_path, "v.npy"))
    assert [each["row"] for each in found["unreadable"]] == [7]
    assert np.flatnonzero(~np.load(tmp_path / "v.npy").any(axis=1)).tolist() == [7]


def test_both_sides_of_a_pair_are_files_of_the_table_s_folder(place: Path, tmp_path: Path) -> None:
    """Pictures as inputs and as targets: a pair without one is no pair, whichever side it is of."""
    data = str(place / "list.csv")
    for sides in (("path", "kind"), ("kind", "path")):
        model, store = str(tmp_path / sides[0]), str(tmp_path / f"{sides[0]}.store")
        columns = ["--input", sides[0], "--target", sides[1]]
        found = call("fit", data, "--kind", "pairs", *columns, *SMALL, "--out", model)
        listed(found["unreadable"], place / "photos")
        assert any("3 pictures that cannot be read" in note for note in found["notes"])
        found = call("index", model, data, "--input", "path", "--store", store)
        assert found["items"] == 43
        listed(found["unreadable"], place / "photos")
        found = call("evaluate", model, data, *columns)
        assert any("3 pictures that cannot be read" in note for note in found["notes"])
        found = call("predict", model, data, "--input", "path", "--labels", "dark, light")
        assert [row["row"] for row in found["predictions"] if row["prediction"] is None] == list(BROKEN)
        listed(found["unreadable"], place / "photos")
