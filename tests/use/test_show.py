"""Items as files: what is on the sheet, what is heard, what is read back, and nothing half written."""

import wave
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raw2vec.errors import BadInput
from raw2vec.use.show import EASY, GAP, SILENCE, Shown, above_each_other, picture_grid, write, writer_for
from tiny_autoencoder import pictures

sizes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=7)


@given(sizes, st.integers(1, 4))
def test_every_picture_stands_in_the_middle_of_its_cell(asked: list[tuple[int, int]], columns: int) -> None:
    items = pictures(*asked)
    sheet = picture_grid(items, columns)
    tall, wide = (max(size[axis] for size in asked) for axis in (0, 1))
    rows = -(-len(items) // columns)
    assert sheet.shape == (rows * (tall + GAP) - GAP, columns * (wide + GAP) - GAP)
    for place, item in enumerate(items):
        top, left = place // columns * (tall + GAP), place % columns * (wide + GAP)
        cell = sheet[top : top + tall, left : left + wide]
        height, width = item.shape
        down, right = (tall - height) // 2, (wide - width) // 2
        np.testing.assert_array_equal(cell[down : down + height, right : right + width], item)
        assert (cell == 255).sum() >= cell.size - item.size


def test_grey_and_colour_share_a_sheet_and_none_is_blank() -> None:
    grey, deep = np.full((1, 1), 7, np.uint8), np.full((1, 1, 1), 9, np.uint8)
    colour = np.array([[[1, 2, 3]]], np.uint8)
    sheet = picture_grid([grey, None, colour, deep], 4)
    assert sheet.shape == (1, 4 + 3 * GAP, 3)
    cells = sheet[0, :: 1 + GAP].tolist()
    assert cells == [[7, 7, 7], [255, 255, 255], [1, 2, 3], [9, 9, 9]]
    assert picture_grid([grey, deep]).shape == (1, 2 + GAP), "grey stays grey; two go side by side"
    with pytest.raises(BadInput, match="no pictures"):
        picture_grid([None])


def test_originals_stand_above_what_was_made_of_them() -> None:
    assert above_each_other("abc", "ABC", 2) == ["a", "b", "A", "B", "c", None, "C", None]


def test_a_sheet_of_pairs_is_read_back(tmp_path: Path) -> None:
    dark, light = [np.full((2, 2), level, np.uint8) for level in (1, 2)], [np.full((2, 2), 200, np.uint8)] * 2
    write("image", tmp_path / "pairs.png", Shown(light, dark))
    enlarged = np.asarray(Image.open(tmp_path / "pairs.png"))
    assert enlarged.shape == (2 * EASY + GAP, 2 * EASY + GAP), "the gap stays thin"
    assert (enlarged[:EASY, :EASY] == 1).all()
    assert (enlarged[:EASY, EASY + GAP :] == 2).all()
    for made in (enlarged[EASY + GAP :, :EASY], enlarged[EASY + GAP :, EASY + GAP :]):
        assert (made == 200).all()
    assert (enlarged[EASY : EASY + GAP] == 255).all()
    assert (enlarged[:, EASY : EASY + GAP] == 255).all()


def test_small_pictures_are_enlarged_pixel_by_pixel(tmp_path: Path) -> None:
    one, other = pictures((2, 3), (2, 3))
    write("image", tmp_path / "two.png", Shown([one, other]))
    sheet, factor = np.asarray(Image.open(tmp_path / "two.png")), EASY // 3
    for begin, item in ((0, one), (3 * factor + GAP, other)):
        np.testing.assert_array_equal(sheet[:, begin : begin + 3 * factor], item.repeat(factor, 0).repeat(factor, 1))


def test_a_folder_of_pictures_has_originals_beside(tmp_path: Path) -> None:
    items = [*pictures((3, 2)), np.zeros((2, 2, 3), np.uint8)]
    write("image", tmp_path / "new", Shown(items, items))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "00000-original.png",
        "00000.png",
        "00001-original.png",
        "00001.png",
    ]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "00000.png")), items[0])


def test_sounds_follow_each_other_after_a_silence(tmp_path: Path) -> None:
    sounds = [np.full(100, 0.5, np.float32), np.full(50, -2.0, np.float32)]
    write("audio", tmp_path / "all.wav", Shown(sounds, rate=400))
    heard, rate = listen(tmp_path / "all.wav")
    pause = int(SILENCE * rate)
    assert (rate, len(heard)) == (400, 150 + pause)
    np.testing.assert_allclose(heard[:100], 0.5, atol=1e-4)
    assert (heard[100 : 100 + pause] == 0).all()
    np.testing.assert_allclose(heard[100 + pause :], -1, atol=1e-4)
    write("audio", tmp_path / "each", Shown(sounds, rate=400))
    assert len(listen(tmp_path / "each" / "00001.wav")[0]) == 50


def listen(path: Path) -> tuple[np.ndarray, int]:
    """Samples in [-1, 1] and their rate."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767, file.getframerate()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_series_are_rows_of_steps(tmp_path: Path, suffix: str) -> None:
    series = [np.array([[1, 2], [3, np.nan]], np.float32), np.array([[5, 6]], np.float32)]
    write("series", tmp_path / f"s{suffix}", Shown(series))
    read = pa_csv.read_csv if suffix == ".csv" else pq.read_table
    columns = read(tmp_path / f"s{suffix}").to_pydict()
    assert (columns["item"], columns["step"], columns["0"]) == ([0, 0, 1], [0, 1, 0], [1.0, 3.0, 5.0])


def test_series_of_one_length_are_one_array(tmp_path: Path) -> None:
    write("series", tmp_path / "s.npy", Shown([np.ones(3), np.zeros(3)]))
    assert np.load(tmp_path / "s.npy").tolist() == [[1, 1, 1], [0, 0, 0]]
    with pytest.raises(BadInput, match="different lengths do not fit one"):
        write("series", tmp_path / "s.npy", Shown([np.ones(3), np.zeros(2)]))
    assert [path.name for path in tmp_path.iterdir()] == ["s.npy"], "the old file stays, nothing half written beside it"
    assert np.load(tmp_path / "s.npy").shape == (2, 3)


def test_rows_of_a_table_keep_their_columns(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
    write("table", tmp_path / "t.parquet", Shown(rows))
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == rows
    write("table", tmp_path / "t.csv", Shown([(1, 2), (3, 4)]))
    assert (tmp_path / "t.csv").read_text().splitlines() == ['"0","1"', "1,2", "3,4"]


def test_texts_are_lines(tmp_path: Path) -> None:
    write("text", tmp_path / "t.txt", Shown(["one\ntwo", "three"]))
    assert (tmp_path / "t.txt").read_text() == "one two\nthree\n"


def test_places_that_will_not_do_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'image' are written to \.png, a folder"):
        writer_for("image", tmp_path / "a.csv")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(BadInput, match="holds other files"):
        write("image", tmp_path / "full", Shown(pictures((2, 2))))
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        write("image", tmp_path / "dir.png", Shown(pictures((2, 2))))
    with pytest.raises(BadInput, match="cannot be written"):
        write("text", tmp_path / "full" / "x" / "t.txt", Shown(["a"]))
    (tmp_path / "empty").mkdir()
    write("image", tmp_path / "empty", Shown(pictures((2, 2))))
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["00000.png"]
