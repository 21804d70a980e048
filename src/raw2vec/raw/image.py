"""Pictures to grids of pixels and back, of one size or of many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from PIL import Image as Pillow
from torch import Tensor

from raw2vec.errors import BadInput, NumberedList, Unreadable, nearest, numbered, place_of, spare
from raw2vec.ragged import Ragged
from raw2vec.raw.base import Form, Noted, Windows, listed
from raw2vec.raw.pixels import RESAMPLINGS, Pixels, Resampling, Size, encoded, is_file, look, pixels, quietly
from raw2vec.rows import item_column

Colour = Literal["auto", "grey", "rgb"]


@dataclass(frozen=True)
class _Learned:
    """channels: 1 or 3. shape: (height, width) of every picture, or None. axes: of users' arrays, 2 or 3. usual: the
    middle height and width."""

    channels: int
    shape: tuple[int, int] | None
    axes: int
    usual: tuple[int, int]


class Image(Noted):
    """Pictures ⇄ uint8 pixels: Ragged values (H*W, C) on grids (H, W), one window a picture.

    An item is an array (H, W) or (H, W, C) with 1, 3 or 4 channels, a PIL image, a path, the bytes of a file, or a dict
    of "bytes" and "path" as Hugging Face's data sets have them. Arrays are uint8, uint16 (divided by 257), bool, or
    floats from 0 to 1. Pictures are turned as their EXIF says, transparent ones laid on white, palettes and CMYK made
    RGB; of an animation the first frame counts.

    size: (height, width) that every picture is resized to; None keeps each picture's own. shorter: the size is cut from
    the middle of the picture brought to this length of its shorter edge; 0: the whole picture is resized, whatever its
    shape. resampling: how, by Pillow's names; draft is bicubic, from large JPEGs decoded at a fraction. colour: grey or
    rgb; auto is rgb when any picture learned from comes with colour channels. Where all pictures learned from are of
    one size, others are refused: models may rely on it.
    """

    note = "image.json"
    files = "picture"

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        colour: Colour = "auto",
        shorter: int = 0,
        resampling: Resampling = "draft",
    ):
        for name, value, known in (("colour", colour, get_args(Colour)), ("resampling", resampling, RESAMPLINGS)):
            if value not in known:
                raise BadInput(f"Image has no {name} '{value}'.{nearest(value, known)} It knows: {', '.join(known)}.")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise BadInput(f"Image's size is {list(size)}: give height and width, both at least 1, as in [28,28].")
        if shorter and (size is None or shorter < max(size)):
            raise BadInput(f"Image's shorter edge is {shorter}, of which its size is cut: give a size no larger.")
        self.settings: dict[str, Any] = {"size": list(size) if size else None, "colour": colour}
        if (shorter, resampling) != (0, "draft"):  # else as before there were these, so that identities stay
            self.settings |= {"shorter": shorter, "resampling": resampling}
        self.shorter, self.resampling = shorter, resampling
        self.size, self.colour = (size[0], size[1]) if size else None, colour
        self._known: _Learned | None = None

    @property
    def form(self) -> Form:
        known = self._learned()
        return Form(channels=known.channels, dimensions=2, shape=known.shape, usual=known.usual)

    def learn(self, items: Iterable[Any]) -> None:
        """Whether there is colour, and whether all pictures are of one size. BadInput where there is no picture.

        Of files this is in the head: one whose pixels are damaged is found by `windows`.
        """
        shapes: list[Size] = []
        coloured = with_channel = False
        with quietly():
            for number, item in numbered(items):
                try:
                    seen, has_colour = look(item, number)
                except Unreadable as error:
                    spare(items, number, error)
                    continue
                coloured |= has_colour
                with_channel |= isinstance(item, np.ndarray) and item.ndim == 3 and item.shape[2] == 1
                shapes.append(seen)
        if not shapes:
            raise BadInput("There is no picture to learn from.")
        channels = 3 if self.colour == "rgb" or (self.colour == "auto" and coloured) else 1
        shape = self.size or (shapes[0] if len(set(shapes)) == 1 else None)
        height, width = np.median(shapes, axis=0).astype(int).tolist()
        self._known = _Learned(channels, shape, 3 if channels == 3 or with_channel else 2, shape or (height, width))

    def windows(self, items: Iterable[Any]) -> Windows:
        """Every picture as one window, nothing ever cut. Files are decoded by as many threads as there are cores.

        Unreadable, by its number, for one that cannot be read; where `items` have a place to note such, it is without
        a window.
        """
        known, pairs = self._learned(), list(numbered(items))
        owners: list[int] = []
        pictures: list[Pixels] = []
        for place, found in enumerate(self._read(pairs)):
            if isinstance(found, Unreadable):
                spare(items, pairs[place][0], found)
            else:
                owners.append(place)
                pictures.append(found)
        shapes = torch.tensor([picture.shape[:2] for picture in pictures], dtype=torch.long).reshape(-1, 2)
        flat = [picture.reshape(-1, known.channels) for picture in pictures]
        values = np.concatenate(flat) if flat else np.empty((0, known.channels), np.uint8)
        places, tokens = torch.tensor(owners, dtype=torch.long), torch.zeros(len(pairs), dtype=torch.long)
        tokens[places] = shapes.prod(dim=1)
        return Windows(Ragged(torch.from_numpy(values), shapes), places, tokens, torch.zeros_like(tokens))

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
        if isinstance(item, np.ndarray):
            return torch.tensor(item)
        if isinstance(item, Pillow.Image):
            coloured = look(item, number or 0)[1]
            return torch.tensor(pixels(item, number or 0, 3 if coloured else 1))
        return torch.frombuffer(bytearray(encoded(item, number or 0)), dtype=torch.uint8)

    def thaw(self, tensor: Tensor) -> Any:
        return tensor.numpy() if tensor.ndim > 1 else tensor.numpy().tobytes()

    def _recall(self, told: dict[str, Any]) -> None:
        shape, (height, width) = told.pop("shape"), told.pop("usual")
        self._known = _Learned(shape=(shape[0], shape[1]) if shape else None, usual=(height, width), **told)

    def _learned(self) -> _Learned:
        if self._known is None:
            raise BadInput("This Image knows no pictures yet: call learn(pictures) or load(folder, settings) first.")
        return self._known

    def _read(self, pairs: Sequence[tuple[int, Any]]) -> Iterator[Pixels | Unreadable]:
        """The pixels of numbered items, in order, or why there are none."""
        threads = min(_cores(), len(pairs))
        with quietly():
            if threads < 2 or not is_file(pairs[0][1]):
                yield from map(self._fitted, pairs)
            else:  # Pillow lets others work while it decodes and resizes
                with ThreadPoolExecutor(threads) as pool:
                    yield from pool.map(self._fitted, pairs)

    def _fitted(self, pair: tuple[int, Any]) -> Pixels | Unreadable:
        """An item's pixels (H, W, C), in the colours and the size that were learned."""
        number, item = pair
        known = self._learned()
        try:
            found = pixels(item, number, known.channels, self.size, self.shorter, self.resampling)
        except Unreadable as error:
            return error
        if known.shape is not None and found.shape[:2] != known.shape:
            height, width = known.shape
            raise BadInput(
                f"Picture {number}{place_of(item)} is {found.shape[0]} pixels high and {found.shape[1]} wide, and all "
                f"that were learned from are {height} by {width}: resize it, or fit with --set raw.size=[28,28], "
                "whatever the size."
            )
        return found


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def are_drawings(items: Sequence[Any]) -> bool:
    """Whether these pictures are drawings or writing: half of their pixels or more are black or white to the end."""
    kind, some = Image(), NumberedList(range(len(items)), items, unreadable={})
    kind.learn(some)
    extreme = count = 0
    for found in map(kind._fitted, numbered(some)):  # one at a time: they may be large
        if not isinstance(found, Unreadable):
            extreme, count = extreme + int(((found == 0) | (found == 255)).sum()), count + found.size
    return count > 0 and extreme / count >= 0.5


def _as_bytes_of_pixels(item: Any) -> Any:
    """Whole numbers of a file without a uint8 (JSON has none) as uint8, where they are from 0 to 255."""
    if isinstance(item, np.ndarray) and item.dtype in (np.int32, np.int64) and item.size:
        return item.astype(np.uint8) if item.min() >= 0 and item.max() <= 255 else item
    return item
