"""Pictures to pixels: whatever they are stored as, of the colours and size asked for, and nothing that is a bomb."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from raw2vec.errors import BadInput, Unreadable, place_of

MOST_PIXELS = 178_956_970
"""Pillow's own limit: half a gigabyte once unpacked. What says that it has more is not unpacked."""
_WAY_OUT = "give uint8 from 0 to 255, uint16, or floats from 0 to 1"
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and what stands there where height and width change places
_GREY = ("1", "L", "LA", "La")
Pixels = NDArray[np.uint8]
Size = tuple[int, int]
"""Height and width."""
Resampling = Literal["draft", "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
RESAMPLINGS = get_args(Resampling)


def is_file(item: Any) -> bool:
    """Whether a picture has to be decoded: a path, bytes, or a dict of either."""
    return isinstance(item, str | os.PathLike | bytes | bytearray | memoryview | Mapping)


def pixels(
    item: Any,
    number: int,
    channels: int,
    size: Size | None = None,
    shorter: int = 0,
    resampling: Resampling = "draft",
) -> Pixels:
    """An item's pixels (H, W, channels), grey or RGB, resized (smoothed first where it shrinks) if asked.

    shorter: the size is cut from the middle of the picture brought to this length of its shorter edge; 0: all of it is
    resized. resampling: Pillow's, by name; by "draft" bicubic, and a JPEG much larger than what is asked for is decoded
    at a half, a quarter or an eighth, still of twice the size.
    Unreadable, with the number and the reason, for a file that is damaged, empty, missing, or too large.
    """
    if isinstance(item, np.ndarray):
        array = _of_array(item, number)
        fits = size is None or (size == array.shape[:2] and shorter in (0, min(size)))
        if array.shape[2] == channels and fits:
            return array
        picture = _picture(array)
    elif isinstance(item, Pillow.Image):
        picture = _plain(item, number, "")
    else:
        content, place = encoded(item, number), place_of(item)
        with _opened(content, number, place) as stored:
            picture = _plain(_reduced(stored, size if resampling == "draft" else None), number, place)
    mode = "RGB" if channels == 3 else "L"  # luma by ITU-R BT.601
    picture = picture if picture.mode == mode else picture.convert(mode)
    if size is not None:
        picture = _resized(picture, size, shorter, resampling)
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def _resized(picture: Pillow.Image, size: Size, shorter: int, resampling: Resampling) -> Pillow.Image:
    """The picture at this size, or the middle of it."""
    way = Pillow.Resampling["BICUBIC" if resampling == "draft" else resampling.upper()]
    whole = size[::-1]
    if shorter:  # lengths are cut, not rounded, as torchvision and transformers have it
        whole = (shorter * picture.width // min(picture.size), shorter * picture.height // min(picture.size))
    picture = picture if picture.size == whole else picture.resize(whole, way)
    left, top = (whole[0] - size[1]) // 2, (whole[1] - size[0]) // 2
    return picture.crop((left, top, left + size[1], top + size[0])) if whole != size[::-1] else picture


def look(item: Any, number: int) -> tuple[Size, bool]:
    """A picture's size, and whether it has colour channels. Of a file only the head is read, not the pixels."""
    if isinstance(item, np.ndarray):
        array = _of_array(item, number)
        return (array.shape[0], array.shape[1]), array.shape[2] == 3
    if isinstance(item, Pillow.Image):
        return _head(item, number, "")
    content, place = encoded(item, number), place_of(item)
    with _opened(content, number, place) as stored:
        if stored.format == "PNG" and "exif" not in stored.info and b"eXIf" in content:
            stored.load()  # what says how it is turned stands behind the pixels
        return _head(stored, number, place)


def encoded(item: Any, number: int) -> bytes:
    """The bytes of the picture's file, not empty."""
    content = (item.get("bytes") or item.get("path")) if isinstance(item, Mapping) else item
    if isinstance(content, str | os.PathLike):
        try:
            content = Path(content).read_bytes()
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or error)
            raise Unreadable(f"Picture {number}{place_of(item)} cannot be read: {reason}.", item, reason) from None
    if item is None or content is None:
        raise Unreadable(f"Picture {number} is missing ({item}): leave it out.", item, "missing")
    if not isinstance(content, bytes | bytearray | memoryview):
        raise BadInput(f"Picture {number} is a {type(item).__name__}: give an array, a PIL image, a path or bytes.")
    if not content:
        raise Unreadable(f"Picture {number}{place_of(item)} is empty: it has no bytes.", item, "empty")
    return bytes(content)


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of Pillow: of half the size that it refuses, of tags that it cannot read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


@contextmanager
def _opened(content: bytes, number: int, place: str) -> Iterator[Pillow.Image]:
    """A picture's file with its head read; what goes wrong in the block, as Unreadable."""
    try:
        with Pillow.open(io.BytesIO(content)) as stored:
            if stored.width * stored.height > MOST_PIXELS:
                raise Pillow.DecompressionBombError(f"{stored.width * stored.height}")
            yield stored
    except BadInput as error:
        reason = str(error).removeprefix(f"Picture {number}{place} ").rstrip(".")
        raise Unreadable(str(error), place[2:-1] or None, reason) from None
    except Exception as error:  # Pillow's readers raise nearly anything for a damaged file
        reason = _reason(error)
        told = f"Picture {number}{place} cannot be read ({reason}): replace or remove it."
        raise Unreadable(told, place[2:-1] or None, reason) from None


def _reason(error: Exception) -> str:
    told = str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        return "no picture that Pillow knows"
    if isinstance(error, Pillow.DecompressionBombError) and (said := re.search(r"\d+", told)):
        return f"it says that it has {int(said[0]):,} pixels, and {MOST_PIXELS:,} are the most that are unpacked"
    return "truncated" if "truncated" in told.lower() else told


def _head(picture: Pillow.Image, number: int, place: str) -> tuple[Size, bool]:
    _refuse_empty(picture, number, place)
    size, turned = (picture.height, picture.width), False
    if picture.format != "TIFF":  # which Pillow turns itself
        turned = _exif(picture).get(_ORIENTATION) in _TURNED
    return (size[::-1] if turned else size), not (picture.mode in _GREY or _is_deep(picture))


def _exif(picture: Pillow.Image) -> Pillow.Exif:
    """What is known without the pixels: a PNG's own way to its EXIF unpacks all of it where there is none."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return Pillow.Image.getexif(picture)
    return picture.getexif()


def _reduced(stored: Pillow.Image, size: Size | None) -> Pillow.Image:
    """The picture decoded: a JPEG at a fraction of its size and then resized, where that fraction is still twice what
    is asked for; any other whole."""
    if size is None or stored.format not in ("JPEG", "MPO"):
        stored.load()
        return stored
    whole = stored.size
    height, width = size[::-1] if stored.getexif().get(_ORIENTATION) in _TURNED else size
    drawn = stored.draft(None, (2 * width, 2 * height))
    stored.load()
    if drawn is None or stored.size == whole:
        return stored
    # Its last pixel may stand for a few that are there and some that are not: the box leaves these out.
    return stored.resize((width, height), Pillow.Resampling.BICUBIC, drawn[1])


def _plain(picture: Pillow.Image, number: int, place: str) -> Pillow.Image:
    """The picture as L or RGB: turned as its EXIF says, transparency laid on white, more than 8 bits brought to 8."""
    _refuse_empty(picture, number, place)
    picture = ImageOps.exif_transpose(picture)
    if _is_deep(picture):
        return Pillow.fromarray(_deep(np.asarray(picture), number))
    grey = picture.mode in _GREY
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        laid = _on_white(picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA"))
        return laid.getchannel(0) if grey else laid
    mode = "L" if grey else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _refuse_empty(picture: Pillow.Image, number: int, place: str) -> None:
    if not (picture.width and picture.height):
        raise BadInput(f"Picture {number}{place} is empty: it is {picture.width} pixels wide, {picture.height} high.")


def _is_deep(picture: Pillow.Image) -> bool:
    return picture.mode in ("F", "I") or picture.mode.startswith("I;16")


def _deep(array: NDArray[Any], number: int) -> Pixels:
    """Pixels (H, W) of more than 8 bits: floats as they are, integers as 16 bits where they fit."""
    if np.issubdtype(array.dtype, np.floating):
        return _bytes(array, number)
    if array.min() < 0 or array.max() > 0xFFFF:
        raise BadInput(f"Picture {number} holds numbers from {array.min()} to {array.max()}: give 8 or 16 bits.")
    return _from_16_bits(array)


def _on_white(picture: Pillow.Image) -> Pillow.Image:
    """RGBA laid on white, RGB."""
    white = Pillow.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB")


def _of_array(array: NDArray[Any], number: int) -> Pixels:
    """uint8 (H, W, C), C being 1 or 3."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise BadInput(
            f"Picture {number} has the shape {array.shape}: give (height, width), or (height, width, channels) with "
            "1, 3 or 4 channels, which come last."
        )
    if not array.size:
        raise BadInput(f"Picture {number} is empty: its shape is {array.shape}.")
    found = _bytes(array, number).reshape(*array.shape[:2], -1)
    if found.shape[2] != 4:
        return found
    return np.asarray(_on_white(Pillow.fromarray(np.ascontiguousarray(found), "RGBA")))


def _bytes(array: NDArray[Any], number: int) -> Pixels:
    """Numbers of any range that is told by their type, as uint8."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return _from_16_bits(array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise BadInput(f"Picture {number} holds {array.dtype}: {_WAY_OUT}.")
    if not (np.min(array) >= 0 and np.max(array) <= 1):  # NaN is not either
        raise BadInput(f"Picture {number} holds floats from {np.min(array):g} to {np.max(array):g}: {_WAY_OUT}.")
    return np.asarray(np.rint(array * 255), np.uint8)


def _from_16_bits(array: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(array / 257), np.uint8)


def _picture(array: Pixels) -> Pillow.Image:
    return Pillow.fromarray(np.ascontiguousarray(array if array.shape[2] == 3 else array[:, :, 0]))
