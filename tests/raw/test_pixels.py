"""Files of pictures: heads that say what pixels hold, half a JPEG, bombs, and large ones that are wanted small."""

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFile

from raw2vec.errors import NumberedList, Unreadable
from raw2vec.raw import Image
from raw2vec.raw import image as kind
from raw2vec.raw.pixels import look, pixels, quietly


def smooth(height: int, width: int) -> Pillow.Image:
    """An RGB picture with shapes, as photographs have them."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Pillow.fromarray(coarse).resize((width, height), Pillow.Resampling.BICUBIC)


def stored(picture: Pillow.Image, form: str, **options: Any) -> bytes:
    to = io.BytesIO()
    picture.save(to, form, **options)
    return to.getvalue()


def turned(orientation: int) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    return exif


RGB = smooth(200, 300).resize((30, 20), Pillow.Resampling.BOX)
DEEP = Pillow.fromarray(np.asarray(RGB.convert("L"), np.uint16) * 257)
FILES: dict[str, tuple[bytes, bool]] = {
    "JPEG": (stored(RGB, "JPEG"), True),
    "JPEG, grey": (stored(RGB.convert("L"), "JPEG"), False),
    "JPEG, progressive": (stored(RGB, "JPEG", progressive=True), True),
    "JPEG, CMYK": (stored(RGB.convert("CMYK"), "JPEG"), True),
    "JPEG, lying": (stored(RGB, "JPEG", exif=turned(6)), True),
    "PNG": (stored(RGB, "PNG"), True),
    "PNG, grey": (stored(RGB.convert("L"), "PNG"), False),
    "PNG, bits": (stored(RGB.convert("1"), "PNG"), False),
    "PNG, 16 bits": (stored(DEEP, "PNG"), False),
    "PNG, palette": (stored(RGB.quantize(64), "PNG"), True),
    "PNG, clear palette": (stored(RGB.quantize(64), "PNG", transparency=200), True),
    "PNG, LA": (stored(RGB.convert("LA"), "PNG"), False),
    "PNG, RGBA": (stored(RGB.convert("RGBA"), "PNG"), True),
    "PNG, lying": (stored(RGB, "PNG", exif=turned(8)), True),
    "GIF": (stored(RGB, "GIF"), True),
    "GIF, two": (stored(RGB, "GIF", save_all=True, append_images=[smooth(20, 30).rotate(180)]), True),
    "BMP": (stored(RGB, "BMP"), True),
    "TIFF": (stored(RGB, "TIFF"), True),
    "TIFF, packed": (stored(RGB, "TIFF", compression="tiff_lzw"), True),
    "TIFF, lying": (stored(RGB, "TIFF", exif=turned(6)), True),
    "TIFF, YCbCr": (stored(RGB.convert("YCbCr"), "TIFF"), True),
    "TIFF, floats": (stored(Pillow.fromarray(np.asarray(RGB.convert("L"), np.float32) / 255), "TIFF"), False),
    "TIFF, 32 bits": (stored(DEEP.convert("I"), "TIFF"), False),
    "WebP": (stored(RGB, "WEBP", quality=95), True),
    "WebP, lossless": (stored(RGB.convert("RGBA"), "WEBP", lossless=True), True),
    "WebP, lying": (stored(RGB, "WEBP", exif=turned(6)), True),
}


def png(width: int, height: int) -> bytes:
    """A grey PNG whose head says that it is so large; its pixels are zeros, zipped, as a bomb's are."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", FILES)
def test_a_head_says_what_the_pixels_are(name: str) -> None:
    content, coloured = FILES[name]
    size, said = look(content, 0)
    assert said == coloured
    found = pixels(content, 0, 3)
    assert found.shape == (*size, 3)
    assert size == ((30, 20) if "lying" in name else (20, 30))
    wanted = np.asarray(RGB if coloured else RGB.convert("L").convert("RGB"), np.int16)
    if "lying" in name:
        wanted = np.rot90(wanted, 1 if name.startswith("PNG") else -1)
    if name == "PNG, bits":
        wanted = np.asarray(RGB.convert("1").convert("RGB"), np.int16)
    rough = "alette" in name or "GIF" in name
    assert np.abs(found.astype(np.int16) - wanted).mean() < (20 if rough else 12)


@pytest.mark.parametrize("name", ["PNG", "PNG, grey", "JPEG", "WebP"])
def test_heads_are_read_without_the_pixels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(self: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    assert look(FILES[name][0], 0)[0] == (20, 30)


def test_a_png_that_says_at_its_end_how_it_is_turned() -> None:
    content = FILES["PNG, lying"][0]
    place = content.index(b"eXIf") - 4
    length = int.from_bytes(content[place : place + 4]) + 12
    chunk, rest = content[place : place + length], content[:place] + content[place + length :]
    late = rest[:-12] + chunk + rest[-12:]
    assert look(late, 0)[0] == pixels(late, 0, 3).shape[:2] == (30, 20)


@pytest.mark.parametrize("name", [name for name in FILES if name != "GIF, two"])
def test_half_a_file_is_refused(name: str) -> None:
    content = FILES[name][0]
    for share in (0.3, 0.6):
        with (
            quietly(),
            pytest.raises(Unreadable, match=r"Picture 7 cannot be read \(.+\): replace or remove it") as said,
        ):
            pixels(content[: int(len(content) * share)], 7, 3)
        assert said.value.reason
        assert said.value.path is None


def test_half_a_jpeg_is_refused_where_a_small_one_is_wanted() -> None:
    content = stored(smooth(400, 500), "JPEG")
    with pytest.raises(Unreadable, match=r"\(truncated\)"):
        pixels(content[: len(content) // 2], 0, 3, (16, 16))


@pytest.mark.parametrize(("width", "height"), [(20_000, 10_000), (400_000, 400_000), (2**31 - 1, 2)])
@pytest.mark.parametrize("own", [89_478_485, None])
def test_a_bomb_is_refused_by_its_head(
    width: int, height: int, own: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", own)
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height))
    made = Image(size=(8, 8))
    made.learn([RGB])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (made.learn, made.windows):
            with pytest.raises(
                Unreadable, match=rf"bomb\.png\) cannot be read \(.*{width * height:,} pixels, and 178,956"
            ):
                read([RGB, path])


def test_what_is_large_and_no_bomb_is_read_without_a_warning() -> None:
    wide = stored(Pillow.new("L", (30_000, 3_500), 77), "PNG")  # above what Pillow warns of
    made = Image(size=(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.learn([wide])
        assert set(made.windows([wide]).ragged.values.flatten().tolist()) == {77}


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(20_000, 3), (3, 20_000), (1, 1)])
def test_thin_pictures_and_a_single_pixel(form: str, size: tuple[int, int]) -> None:
    content = stored(Pillow.new("RGB", size, (200, 100, 50)), form)
    found = pixels(content, 0, 3, (16, 16)).reshape(-1, 3)
    assert np.abs(found.astype(int) - [200, 100, 50]).max() <= 3
    assert look(content, 0)[0] == size[::-1]


@pytest.mark.parametrize("orientation", [1, 6, 3])
@pytest.mark.parametrize("size", [(16, 16), (40, 20), (20, 40), (100, 99), (250, 10)])
def test_a_large_jpeg_is_made_small_nearly_as_by_way_of_all_its_pixels(size: tuple[int, int], orientation: int) -> None:
    content = stored(smooth(401, 503), "JPEG", quality=95, exif=turned(orientation))
    whole = Pillow.fromarray(pixels(content, 0, 3)).resize(size[::-1], Pillow.Resampling.BICUBIC)
    off: NDArray[Any] = np.abs(pixels(content, 0, 3, size).astype(int) - np.asarray(whole, int))
    assert off.mean() < 0.5
    assert off.max() <= 2


def test_a_large_jpeg_is_decoded_at_a_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: (load(self), seen.append(self.size))[0])
    content = stored(smooth(400, 800), "JPEG")
    for size in ((20, 20), (50, 100), (400, 800), (10, 800)):
        pixels(content, 0, 3, size)
    assert list(dict.fromkeys(seen)) == [(100, 50), (200, 100), (800, 400)]


def test_threads_read_the_same_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number:02}.jpg" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(stored(smooth(30 + number, 40).rotate(number), "JPEG"))
    paths[7].write_bytes(b"")
    made, found = Image(size=(9, 9)), []
    made.learn([RGB])
    workers: set[int] = set()
    plain = kind.pixels

    def noted(*words: Any) -> Any:
        workers.add(threading.get_ident())
        return plain(*words)

    monkeypatch.setattr(kind, "pixels", noted)
    for cores in (1, 4):
        monkeypatch.setattr(kind, "_cores", lambda cores=cores: cores)
        items = NumberedList(range(100, 140), paths, unreadable={})
        found.append(made.windows(items))
        assert [(row, error.reason) for row, error in items.unreadable.items()] == [(107, "empty")]
        with pytest.raises(Unreadable, match=r"Picture 7 .*07\.jpg\) is empty"):
            made.windows(paths)
    assert found[0].ragged.values.equal(found[1].ragged.values)
    assert found[1].owners.tolist() == [place for place in range(40) if place != 7]
    assert found[1].tokens.tolist() == [81 * (place != 7) for place in range(40)]
    assert len(workers) > 1
