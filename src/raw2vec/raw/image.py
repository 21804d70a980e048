"""Pictures to grids of pixels and back, of one size or of many."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError
from torch import Tensor

from raw2vec.errors import BadFolder, BadInput, nearest, numbered
from raw2vec.ragged import Ragged
from raw2vec.raw.base import Form, Raw, Windows, listed
from raw2vec.rows import item_column

_NOTE = "image.json"
_WAY_OUT = "give uint8 from 0 to 255, uint16, or floats from 0 to 1"
Colour = Literal["auto", "grey", "rgb"]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Learned:
    """channels: 1 or 3. shape: (height, width) of every picture, or None. axes: of users' arrays, 2 or 3. usual: the
    middle height and width."""

    channels: int
    shape: tuple[int, int] | None
    axes: int
    usual: tuple[int, int]


class Image(Raw):
    """Pictures ⇄ uint8 pixels: Ragged values (H*W, C) on grids (H, W), one window a picture.

    An item is an array (H, W) or (H, W, C) with 1, 3 or 4 channels, a PIL image, a path, the bytes of a file, or a dict
    of "bytes" and "path" as Hugging Face's data sets have them. Arrays are uint8, uint16 (divided by 257), bool, or
    floats from 0 to 1. Pictures are turned as their EXIF says, transparent ones laid on white, palettes and CMYK made
    RGB; of an animation the first frame counts.

    size: (height, width) that every picture is resized to (bicubic); None keeps each picture's own. colour: grey or
    rgb; auto is rgb when any picture learned from comes with colour channels. Where all pictures learned from are of
    one size, others are refused: models may rely on it.
    """

    def __init__(self, size: tuple[int, int] | None = None, colour: Colour = "auto"):
        if colour not in get_args(Colour):
            known = get_args(Colour)
            raise BadInput(f"Image has no colour '{colour}'.{nearest(colour, known)} It knows: {', '.join(known)}.")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise BadInput(f"Image's size is {list(size)}: give height and width, both at least 1, as in [28,28].")
        self.settings: dict[str, Any] = {"size": list(size) if size else None, "colour": colour}
        self.size, self.colour = (size[0], size[1]) if size else None, colour
        self._known: _Learned | None = None

    @property
    def form(self) -> Form:
        known = self._learned()
        return Form(channels=known.channels, dimensions=2, shape=known.shape, usual=known.usual)

    def learn(self, items: Iterable[Any]) -> None:
        """Whether there is colour, and whether all pictures are of one size. BadInput where there is no picture."""
        shapes: list[tuple[int, int]] = []
        coloured = with_channel = False
        for number, item in numbered(items):
            pixels = _decoded(item, number)
            coloured |= pixels.shape[2] == 3
            with_channel |= isinstance(item, np.ndarray) and item.ndim == 3 and item.shape[2] == 1
            shapes.append((pixels.shape[0], pixels.shape[1]))
        if not shapes:
            raise BadInput("There is no picture to learn from.")
        channels = 3 if self.colour == "rgb" or (self.colour == "auto" and coloured) else 1
        shape = self.size or (shapes[0] if len(set(shapes)) == 1 else None)
        height, width = np.median(shapes, axis=0).astype(int).tolist()
        self._known = _Learned(channels, shape, 3 if channels == 3 or with_channel else 2, shape or (height, width))

    def windows(self, items: Iterable[Any]) -> Windows:
        """Every picture as one window, nothing ever cut. BadInput, by its number, for one that cannot be read."""
        known = self._learned()
        pictures = [self._fitted(item, number) for number, item in numbered(items)]
        shapes = torch.tensor([picture.shape[:2] for picture in pictures], dtype=torch.long).reshape(-1, 2)
        flat = [picture.reshape(-1, known.channels) for picture in pictures]
        values = np.concatenate(flat) if flat else np.empty((0, known.channels), np.uint8)
        lengths = shapes.prod(dim=1)
        ragged = Ragged(torch.from_numpy(values), shapes)
        return Windows(ragged, torch.arange(len(pictures)), lengths, torch.zeros_like(lengths))

    def restore(self, ragged: Ragged) -> list[Any]:
        """Arrays of uint8, each (H, W) or (H, W, C) as users had them; of the size they were resized to, if any."""
        pictures = [item.cpu().numpy() for item in ragged.items()]
        return [picture if self._learned().axes == 3 else picture[:, :, 0] for picture in pictures]

    def column(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
        return [_as_bytes_of_pixels(item) for item in item_column(batch, name)]

    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        """A single picture is a path, bytes, a dict, a PIL image or an array; arrays of one axis more are several.

        An array of three axes is one picture where the last axis holds channels (1, 3 or 4) and users' own arrays had
        such an axis, or where nothing is learned yet; else it is several grey ones.
        """
        if isinstance(inputs, np.ndarray):
            channels = inputs.ndim == 3 and inputs.shape[2] in (1, 3, 4)
            single = inputs.ndim == 2 or (channels and (self._known is None or self._known.axes == 3))
        else:
            single = isinstance(inputs, str | os.PathLike | bytes | Mapping | Pillow.Image)
        return ([inputs], True) if single else (listed(inputs), False)

    def freeze(self, item: Any, number: int | None = None) -> Tensor:
        """Pixels (H, W) or (H, W, C) of arrays and PIL images, else the file's bytes (n,)."""
        content = _encoded(item, number or 0) if not isinstance(item, np.ndarray | Pillow.Image) else None
        if content is not None:
            return torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return torch.tensor(_decoded(item, number or 0) if isinstance(item, Pillow.Image) else item)

    def thaw(self, tensor: Tensor) -> Any:
        return tensor.numpy() if tensor.ndim > 1 else tensor.numpy().tobytes()

    def identity(self) -> str:
        return json.dumps({"settings": self.settings, "learned": asdict(self._learned())})

    def save(self, folder: str | Path) -> None:
        """Writes image.json."""
        Path(folder, _NOTE).write_text(json.dumps(asdict(self._learned())) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Self:
        path, made = Path(folder, _NOTE), cls(**settings)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            shape, (height, width) = found.pop("shape"), found.pop("usual")
            made._known = _Learned(shape=(shape[0], shape[1]) if shape else None, usual=(height, width), **found)
        except FileNotFoundError:
            raise BadFolder(f"{folder} has no {_NOTE}.") from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise BadFolder(f"{path} is damaged ({error}).") from None
        return made

    def _learned(self) -> _Learned:
        if self._known is None:
            raise BadInput("This Image knows no pictures yet: call learn(pictures) or load(folder, settings) first.")
        return self._known

    def _fitted(self, item: Any, number: int) -> Pixels:
        """An item's pixels (H, W, C), in the colours and the size that were learned."""
        known = self._learned()
        pixels = _coloured(_decoded(item, number), known.channels)
        if self.size is not None and pixels.shape[:2] != self.size:
            return _resized(pixels, self.size)
        if known.shape is not None and pixels.shape[:2] != known.shape:
            height, width = known.shape
            raise BadInput(
                f"Picture {number}{_place(item)} is {pixels.shape[0]} pixels high and {pixels.shape[1]} wide, and all "
                f"that were learned from are {height} by {width}: resize it, or fit with --set raw.size=[28,28], "
                "whatever the size."
            )
        return pixels


def are_drawings(items: Sequence[Any]) -> bool:
    """Whether these pictures are drawings or writing: half of their pixels or more are black or white to the end."""
    kind = Image()
    kind.learn(items)
    pixels = kind.windows(items).ragged.values
    return bool(((pixels == 0) | (pixels == 255)).float().mean() >= 0.5)


def _decoded(item: Any, number: int) -> Pixels:
    """Any item as uint8 pixels (H, W, C), C being 1 or 3."""
    if isinstance(item, np.ndarray):
        return _of_array(item, number)
    if isinstance(item, Pillow.Image):
        return _of_picture(item, number, "")
    content, place = _encoded(item, number), _place(item)
    try:
        with Pillow.open(io.BytesIO(content)) as picture:
            picture.load()
            return _of_picture(picture, number, place)
    except BadInput:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything for a damaged file
        reason = "no picture that Pillow knows" if isinstance(error, UnidentifiedImageError) else error
        raise BadInput(f"Picture {number}{place} cannot be read ({reason}): replace or remove it.") from None


def _encoded(item: Any, number: int) -> bytes:
    """The bytes of the picture's file, not empty."""
    content = (item.get("bytes") or item.get("path")) if isinstance(item, Mapping) else item
    if isinstance(content, str | os.PathLike):
        try:
            content = Path(content).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(f"Picture {number}{_place(item)} cannot be read: {reason}.") from None
    if item is None or content is None:
        raise BadInput(f"Picture {number} is missing ({item}): leave it out.")
    if not isinstance(content, bytes | bytearray | memoryview):
        raise BadInput(f"Picture {number} is a {type(item).__name__}: give an array, a PIL image, a path or bytes.")
    if not content:
        raise BadInput(f"Picture {number}{_place(item)} is empty: it has no bytes.")
    return bytes(content)


def _place(item: Any) -> str:
    """' (cat.png)' of an item that has a path."""
    path = item.get("path") if isinstance(item, Mapping) else item
    return f" ({os.fspath(path)})" if isinstance(path, str | os.PathLike) else ""


def _of_array(array: NDArray[Any], number: int) -> Pixels:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise BadInput(
            f"Picture {number} has the shape {array.shape}: give (height, width), or (height, width, channels) with "
            "1, 3 or 4 channels, which come last."
        )
    if not array.size:
        raise BadInput(f"Picture {number} is empty: its shape is {array.shape}.")
    pixels = _bytes(array, number).reshape(*array.shape[:2], -1)
    return _on_white(Pillow.fromarray(np.ascontiguousarray(pixels), "RGBA")) if pixels.shape[2] == 4 else pixels


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


def _of_picture(picture: Pillow.Image, number: int, place: str) -> Pixels:
    if not (picture.width and picture.height):
        raise BadInput(f"Picture {number}{place} is empty: it is {picture.width} pixels wide, {picture.height} high.")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("F", "I") or picture.mode.startswith("I;16"):
        return _deep(np.asarray(picture), number)[:, :, None]
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        pixels = _on_white(picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA"))
        return pixels[:, :, :1] if grey else pixels
    return _three_axes(np.asarray(picture.convert("L" if grey else "RGB")))


def _deep(array: NDArray[Any], number: int) -> Pixels:
    """Pixels (H, W) of more than 8 bits: floats as they are, integers as 16 bits where they fit."""
    if np.issubdtype(array.dtype, np.floating):
        return _bytes(array, number)
    if array.min() < 0 or array.max() > 0xFFFF:
        raise BadInput(f"Picture {number} holds numbers from {array.min()} to {array.max()}: give 8 or 16 bits.")
    return _from_16_bits(array)


def _on_white(picture: Pillow.Image) -> Pixels:
    """RGBA laid on white, (H, W, 3)."""
    white = Pillow.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return np.asarray(white.convert("RGB"))


def _coloured(pixels: Pixels, channels: int) -> Pixels:
    """Grey to RGB by repeating, RGB to grey by luma (ITU-R BT.601)."""
    if pixels.shape[2] == channels:
        return pixels
    return pixels.repeat(3, axis=2) if channels == 3 else _three_axes(np.asarray(_picture(pixels).convert("L")))


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Bicubic, smoothed first where it shrinks."""
    return _three_axes(np.asarray(_picture(pixels).resize(size[::-1], Pillow.Resampling.BICUBIC)))


def _picture(pixels: Pixels) -> Pillow.Image:
    return Pillow.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]))


def _three_axes(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _as_bytes_of_pixels(item: Any) -> Any:
    """Whole numbers of a file without a uint8 (JSON has none) as uint8, where they are from 0 to 255."""
    if isinstance(item, np.ndarray) and item.dtype in (np.int32, np.int64) and item.size:
        return item.astype(np.uint8) if item.min() >= 0 and item.max() <= 255 else item
    return item
