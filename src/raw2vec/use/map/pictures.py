"""Items as small pictures on sheets, and as sounds to play: what a page shows of what it cannot read itself."""

from __future__ import annotations

import base64
import io
import math
import os
import wave
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from raw2vec.raw import Raw
from raw2vec.rows import content_kind
from raw2vec.use.map.base import Sheets

Small = NDArray[np.uint8]
_SIDES = ((2_000, 64), (10_000, 48))  # up to so many items, pixels of a picture; 32 for more
_SHEET = 2048  # pixels: no side of a sheet is longer, or old screens do not show it
_LINE, _PAPER = 40, 255  # of curves, dark on white
_SOUNDS = 6_000_000  # bytes of all sounds on a page


def side_for(items: int) -> int:
    """Pixels of a small picture where there are so many of them."""
    return next((side for most, side in _SIDES if items <= most), 32)


def small(kind: str, raw: Raw, items: Sequence[Any], side: int) -> list[Small]:
    """Pictures (side, side, 3) of pictures, spectrograms of sounds and curves of series."""
    windows = raw.windows(items).ragged
    if kind == "image":
        return [_picture(np.asarray(item), side) for item in raw.restore(windows)]
    if kind == "audio" and raw.form.dimensions == 2:
        return [_spectrogram(np.asarray(item)[..., 0], side) for item in windows.items()]
    return [_curves(np.asarray(item, np.float32).reshape(len(item), -1), side) for item in windows.items()]


def _picture(pixels: Small, side: int) -> Small:
    """As large as there is room for, small ones by whole factors, in the middle of white."""
    picture = Image.fromarray(pixels.squeeze(-1) if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).convert(
        "RGB"
    )
    longest = max(picture.size)
    times = max(1, side // longest) if longest <= side else side / longest
    size = tuple(max(1, round(length * times)) for length in picture.size)
    how = Image.Resampling.NEAREST if times >= 1 else Image.Resampling.LANCZOS
    sheet = Image.new("RGB", (side, side), "white")
    picture = picture.resize((size[0], size[1]), how)
    sheet.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(sheet)


def _spectrogram(frames: NDArray[np.float32], side: int) -> Small:
    """Frames (T, bands), low bands at the foot: loud is dark."""
    low, high = np.percentile(frames, (5, 99.5))
    shares = np.clip((frames.T[::-1] - low) / max(high - low, 1e-9), 0, 1)
    picture = Image.fromarray(np.asarray(255 - 235 * shares, np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture.convert("RGB"))


def _curves(steps: NDArray[np.float32], side: int) -> Small:
    """A line for each of the first three channels of (T, C), each on its own scale; gaps stay gaps."""
    sheet = Image.new("RGB", (4 * side, 4 * side), (_PAPER,) * 3)
    pen = ImageDraw.Draw(sheet)
    for channel, colour in zip(steps.T[:3], ((0, 90, 140), (200, 90, 0), (0, 130, 90)), strict=False):
        if not np.isfinite(channel).any():
            continue
        low, high = np.nanmin(channel), np.nanmax(channel)
        across = np.linspace(0.04, 0.96, len(channel)) * sheet.width
        up = (0.92 - 0.84 * (channel - low) / max(high - low, 1e-9)) * sheet.height
        there = np.isfinite(channel)
        for part in np.split(np.arange(len(channel)), np.flatnonzero(~there)):
            kept = [(float(across[place]), float(up[place])) for place in part if there[place]]
            if len(kept) > 1:
                pen.line(kept, fill=colour, width=6)
    return np.asarray(sheet.resize((side, side), Image.Resampling.LANCZOS))


def sheets(pictures: Sequence[Small], drawn: bool) -> Sheets | None:
    """The pictures (side, side, 3), all of one size; None where there are none."""
    if not pictures:
        return None
    side = len(pictures[0])
    columns = min(_SHEET // side, max(1, math.ceil(math.sqrt(len(pictures)))))
    rows = _SHEET // side
    made = []
    for start in range(0, len(pictures), columns * rows):
        part = pictures[start : start + columns * rows]
        sheet = np.full((math.ceil(len(part) / columns) * side, columns * side, 3), 255, np.uint8)
        for place, picture in enumerate(part):
            top, left = place // columns * side, place % columns * side
            sheet[top : top + side, left : left + side] = picture
        made.append(_address(sheet))
    return Sheets(side, side, columns, rows, made, drawn)


def _address(sheet: Small) -> str:
    """A sheet as the smaller of PNG, which drawings are small in, and JPEG."""
    picture = Image.fromarray(sheet)
    grey = bool((sheet == sheet[:, :, :1]).all())
    found = []
    for form, options in (("png", {"optimize": True}), ("jpeg", {"quality": 82})):
        file = io.BytesIO()
        (picture.convert("L") if grey else picture).save(file, form, **options)
        found.append((len(file.getvalue()), form, file.getvalue()))
    _, form, content = min(found)
    return _data(f"image/{form}", content)


def playable(items: Iterable[Any], rate: int) -> tuple[dict[int, str], int]:
    """Sounds by their places, as addresses that hold the data, until there are too many bytes; how many had no room."""
    found: dict[int, str] = {}
    total = left_out = 0
    for place, item in enumerate(items):
        content = _sound(item, rate)
        if content is None:
            continue
        if total + len(content) > _SOUNDS:
            left_out += 1
            continue
        total += len(content)
        found[place] = _data("audio/flac" if content.startswith(b"fLaC") else "audio/wav", content)
    return found, left_out


def _sound(item: Any, rate: int) -> bytes | None:
    """A sound's file: its own, or a new one of samples."""
    if isinstance(item, Mapping):
        item = item.get("bytes") or item.get("path")
    if isinstance(item, str | os.PathLike):
        item = Path(item).read_bytes()
    if isinstance(item, bytes):
        return item if content_kind(item) == "audio" else None
    samples, rate = item if isinstance(item, tuple) else (item, rate)
    samples = np.asarray(samples)
    levels = samples if samples.dtype == np.int16 else np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1 if levels.ndim == 1 else levels.shape[1])
        out.setsampwidth(2)
        out.setframerate(int(rate))
        out.writeframes(levels.tobytes())
    return file.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
