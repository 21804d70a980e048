"""Pictures to pixels and back: whatever they are stored as, and of any size."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image as Pillow

from raw2vec.errors import BadFolder, BadInput
from raw2vec.raw import Image
from raw2vec.rows import open_rows

SIDES = st.one_of(st.integers(1, 9), st.just(200))
GREY = st.tuples(SIDES, st.integers(1, 9)).flatmap(lambda shape: arrays.arrays(np.uint8, shape))
RGB = st.tuples(st.integers(1, 9), SIDES).flatmap(lambda shape: arrays.arrays(np.uint8, (*shape, 3)))


def learned(items: list[Any], **options: Any) -> Image:
    made = Image(**options)
    made.learn(iter(items))
    return made


def pixels(item: Any, **options: Any) -> NDArray[np.uint8]:
    """What an item looks like to the model, (H, W) or (H, W, C)."""
    made = learned([item], **options)
    found: NDArray[np.uint8] = made.restore(made.windows([item]).ragged)[0]
    return found


def ramp(height: int, width: int, channels: int | None = None) -> NDArray[np.uint8]:
    shape = (height, width) if channels is None else (height, width, channels)
    return np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)


def encoded(picture: Pillow.Image, form: str = "PNG", **options: Any) -> bytes:
    to = io.BytesIO()
    picture.save(to, form, **options)
    return to.getvalue()


@settings(max_examples=60, deadline=None)
@given(pictures=st.one_of(st.lists(GREY, min_size=1, max_size=4), st.lists(RGB, min_size=1, max_size=4)))
def test_any_sizes_come_back(pictures: list[NDArray[np.uint8]]) -> None:
    made = learned(pictures)
    windows = made.windows(pictures)
    assert windows.ragged.values.dtype == torch.uint8
    assert windows.ragged.shapes.tolist() == [list(picture.shape[:2]) for picture in pictures]
    assert windows.tokens.tolist() == [picture.shape[0] * picture.shape[1] for picture in pictures]
    assert windows.owners.tolist() == list(range(len(pictures)))
    assert not windows.truncated.any()
    for picture, back in zip(pictures, made.restore(windows.ragged), strict=True):
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, picture)


@settings(max_examples=30, deadline=None)
@given(picture=st.one_of(GREY, RGB))
def test_however_it_is_held(picture: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> None:
    content = encoded(Pillow.fromarray(picture))
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    path.write_bytes(content)
    held = [path, str(path), content, {"bytes": content, "path": None}, {"bytes": None, "path": str(path)}]
    for item in [*held, Pillow.fromarray(picture), picture / np.float32(255), picture.astype(np.uint16) * 257]:
        np.testing.assert_array_equal(pixels(item), picture)


def test_the_layout_that_users_have() -> None:
    assert pixels(ramp(3, 4)).shape == (3, 4)
    assert pixels(ramp(3, 4, 1)).shape == (3, 4, 1)
    assert pixels(ramp(3, 4, 3)).shape == (3, 4, 3)
    assert pixels(ramp(3, 4, 4)).shape == (3, 4, 3)


def test_colour() -> None:
    red = np.zeros((2, 2, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    assert pixels(red, colour="grey").tolist() == [[76, 76], [76, 76]]
    assert pixels(ramp(2, 2), colour="rgb").tolist() == ramp(2, 2)[:, :, None].repeat(3, 2).tolist()
    made = learned([ramp(2, 2), red])
    assert made.form.channels == 3
    np.testing.assert_array_equal(made.restore(made.windows([ramp(2, 2)]).ragged)[0][:, :, 1], ramp(2, 2))


def test_size() -> None:
    made = learned([ramp(3, 4), ramp(8, 5)], size=(6, 2))
    assert made.form.shape == (6, 2)
    assert made.windows([ramp(3, 4), ramp(6, 2)]).ragged.shapes.tolist() == [[6, 2]] * 2
    np.testing.assert_array_equal(made.restore(made.windows([ramp(6, 2)]).ragged)[0], ramp(6, 2))
    assert set(np.unique(pixels(np.full((9, 9), 7, np.uint8), size=(3, 3)))) == {7}
    assert learned([ramp(3, 4), ramp(4, 3)]).form.shape is None


def test_the_middle_size_is_the_usual_one() -> None:
    some = [ramp(3, 9), ramp(8, 2), ramp(4, 4)]
    assert (learned(some).form.shape, learned(some).form.usual) == (None, (4, 4))
    assert learned([ramp(3, 9), ramp(3, 9)]).form.usual == (3, 9)


def test_turned_as_exif_says() -> None:
    exif = Pillow.Exif()
    exif[274] = 6  # stored lying on its left side
    assert pixels(encoded(Pillow.fromarray(ramp(2, 3)), exif=exif)).tolist() == np.rot90(ramp(2, 3), -1).tolist()


def test_transparency_is_laid_on_white() -> None:
    clear = np.zeros((1, 3, 4), np.uint8)
    clear[0, 1, 3], clear[0, 2, 3] = 255, 51
    wanted = [[[255] * 3, [0] * 3, [204] * 3]]
    assert pixels(clear).tolist() == wanted
    assert pixels(encoded(Pillow.fromarray(clear, "RGBA"))).tolist() == wanted
    grey = Pillow.fromarray(np.ascontiguousarray(clear[:, :, [0, 3]]), "LA")
    assert pixels(encoded(grey)).tolist() == [[255, 0, 204]]
    palette = Pillow.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert pixels(encoded(palette)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert pixels(encoded(palette, transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_other_ways_to_store_pictures() -> None:
    deep = np.array([[0, 257, 65535]], np.uint16)
    assert pixels(encoded(Pillow.fromarray(deep))).tolist() == [[0, 1, 255]]
    assert pixels(encoded(Pillow.fromarray(np.array([[0.0, 0.2, 1.0]], np.float32)), "TIFF")).tolist() == [[0, 51, 255]]
    assert pixels(encoded(Pillow.new("CMYK", (1, 1), (0, 255, 255, 0)), "TIFF")).tolist() == [[[255, 0, 0]]]
    assert pixels(encoded(Pillow.new("1", (2, 1), 1))).tolist() == [[255, 255]]
    assert pixels(np.array([[True, False]])).tolist() == [[255, 0]]
    frames = [Pillow.new("L", (2, 2), level) for level in (10, 200)]
    assert np.unique(pixels(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))).tolist() == [10]


def test_saved_and_loaded(tmp_path: Path) -> None:
    for items, options in (([ramp(3, 4)], {}), ([ramp(3, 4, 3), ramp(4, 4, 3)], {"size": [5, 5], "colour": "grey"})):
        made = learned(items, **options)
        made.save(tmp_path)
        again = Image.load(tmp_path, made.settings)
        assert (again.form, again.identity(), again.settings) == (made.form, made.identity(), made.settings)
        assert torch.equal(again.windows(items).ragged.values, made.windows(items).ragged.values)
    assert learned([ramp(3, 4)]).identity() != learned([ramp(4, 3)]).identity()
    (tmp_path / "image.json").write_text('{"shape": 3}')
    with pytest.raises(BadFolder, match=r"image\.json is damaged"):
        Image.load(tmp_path, {})
    (tmp_path / "image.json").unlink()
    with pytest.raises(BadFolder, match=r"has no image\.json"):
        Image.load(tmp_path, {})


def test_frozen_and_thawed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.fromarray(ramp(3, 4, 3)).save(path)
    made = Image()
    for item in (ramp(3, 4), ramp(3, 4, 3), ramp(3, 4) / 255, path, path.read_bytes(), Pillow.open(path)):
        frozen = made.freeze(item)
        assert isinstance(frozen, torch.Tensor)
        np.testing.assert_array_equal(pixels(made.thaw(frozen)), pixels(item))


def test_one_or_several() -> None:
    made = Image()
    assert [made.items(x)[1] for x in (ramp(3, 4), ramp(3, 4, 3), "a.png", b"png", {"path": "a"})] == [True] * 5
    assert [made.items(x)[1] for x in ([ramp(3, 4)], np.zeros((5, 3, 7)), np.zeros((5, 3, 4, 3)))] == [False] * 3
    assert len(made.items(np.zeros((5, 3, 7)))[0]) == 5
    grey = learned([ramp(3, 4)])
    assert grey.items(np.zeros((5, 4, 3), np.uint8))[1] is False, "pictures that are 3 wide"
    assert learned([ramp(3, 4, 3)]).items(np.zeros((5, 4, 3), np.uint8))[1] is True


@pytest.mark.parametrize("several", [[ramp(3, 4), ramp(2, 2)], [ramp(3, 4, 3)], np.stack([ramp(3, 4)] * 3)])
def test_columns(several: Any) -> None:
    rows = open_rows(several)
    made = Image()
    items = [item for batch in rows.batches() for item in made.column(batch, "image")]
    for item, wanted in zip(items, several, strict=True):
        np.testing.assert_array_equal(item, wanted)


def test_columns_of_other_sources() -> None:
    content = encoded(Pillow.fromarray(ramp(2, 3)))
    table = pa.table(
        {
            "bytes": [content, None],
            "dicts": [{"bytes": content, "path": "a.png"}, None],
            "lists": [ramp(2, 3).tolist(), None],
        }
    )
    for name in table.column_names:
        item, missing = Image().column(table, name)
        assert missing is None
        np.testing.assert_array_equal(pixels(item), ramp(2, 3))


PICTURE = encoded(Pillow.fromarray(ramp(20, 30)))
HALF = PICTURE[: len(PICTURE) // 2]
BAD: list[tuple[Any, str]] = [
    (HALF, r"Picture 1 cannot be read \(.*\): replace or remove it"),
    (b"hello", r"Picture 1 cannot be read \(no picture that Pillow knows\)"),
    (b"", "Picture 1 is empty: it has no bytes"),
    ("nowhere.png", r"Picture 1 \(nowhere\.png\) cannot be read: No such file"),
    ({"bytes": b"hello", "path": "a.png"}, r"Picture 1 \(a\.png\) cannot be read"),
    (None, r"Picture 1 is missing \(None\)"),
    ({"bytes": None, "path": None}, "Picture 1 is missing"),
    (3.5, "Picture 1 is a float: give an array"),
    (np.zeros((0, 3), np.uint8), r"Picture 1 is empty: its shape is \(0, 3\)"),
    (np.zeros((3, 28, 28), np.uint8), r"Picture 1 has the shape \(3, 28, 28\): .* which come last"),
    (np.zeros(3, np.uint8), r"Picture 1 has the shape \(3,\)"),
    (np.full((2, 2), 16.0), "Picture 1 holds floats from 16 to 16: give uint8"),
    (np.full((2, 2), np.nan), "Picture 1 holds floats from nan to nan"),
    (np.full((2, 2), -0.1), "Picture 1 holds floats from -0.1"),
    (np.zeros((2, 2), np.int64), "Picture 1 holds int64: give uint8 from 0 to 255"),
]


@pytest.mark.parametrize(("item", "sentence"), BAD, ids=[sentence[:30] + str(n) for n, (_, sentence) in enumerate(BAD)])
def test_bad_items(item: Any, sentence: str) -> None:
    good = ramp(20, 30)
    if item is not HALF:  # whose head is whole, and no more is learned from
        with pytest.raises(BadInput, match=sentence):
            learned([good, item])
    with pytest.raises(BadInput, match=sentence):
        learned([good]).windows([good, item])


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(BadInput, match=r"Picture 0 \(.*text\.png\) cannot be read"):
        learned([tmp_path / "text.png"])


def test_bad_sizes_and_settings() -> None:
    with pytest.raises(BadInput, match=r"Picture 1 is 5 pixels high and 6 wide, .* 3 by 4: .*raw\.size=\[28,28\]"):
        learned([ramp(3, 4)]).windows([ramp(3, 4), ramp(5, 6)])
    with pytest.raises(BadInput, match="There is no picture to learn from"):
        learned([])
    with pytest.raises(BadInput, match="knows no pictures yet"):
        Image().windows([ramp(3, 4)])
    with pytest.raises(BadInput, match=r"no colour 'gray'\. Did you mean 'grey'\?"):
        Image(colour="gray")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"size is \[0, 3\]"):
        Image(size=(0, 3))
