"""Sounds to samples: files of any rate and depth, and arrays, as one channel at one rate."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.signal import resample_poly

from raw2vec.errors import BadInput, Unreadable, place_of

MOST_CHANNELS = 32
_LOUDEST = 8.0  # floats beyond this were never scaled; decoders overshoot 1 by far less


@dataclass(frozen=True)
class Sound:
    """samples: float32 of one channel at `rate`, perhaps cut; seconds: how long the whole sound is."""

    samples: NDArray[np.float32]
    rate: int
    seconds: float


def sound_of(item: Any, number: int | None, rate: int, seconds: float) -> Sound:
    """An item at `rate`, of one channel, cut after `seconds`."""
    content = file_of(item, number)
    heard = _of_array(item, number, rate) if content is None else _of_file(content, number, place_of(item), seconds)
    if not len(heard.samples):
        raise _fault(item, content, f"{_what(number)}{place_of(item)} is empty: it has no samples.", "empty")
    limit = len(heard.samples) if seconds == math.inf else math.ceil(seconds * heard.rate)
    samples = _resampled(heard.samples[:limit], heard.rate, rate)
    if np.isinf(samples).any():
        told = f"{_what(number)}{place_of(item)} holds an infinite number: replace or remove it."
        raise _fault(item, content, told, "an infinite number")
    return Sound(samples if seconds == math.inf else samples[: max(1, round(seconds * rate))], rate, heard.seconds)


def _fault(item: Any, content: bytes | None, told: str, reason: str) -> BadInput:
    """Of a file that it cannot be read, of an array that it is wrong."""
    return BadInput(told) if content is None else Unreadable(told, item, reason)


def _resampled(samples: NDArray[np.float32], old: int, new: int) -> NDArray[np.float32]:
    if old == new:
        return samples
    shared = math.gcd(old, new)
    return np.asarray(resample_poly(samples, new // shared, old // shared), np.float32)


def file_of(item: Any, number: int | None) -> bytes | None:
    """The bytes of an item's file, or None for an array."""
    content = (item.get("bytes") or item.get("path")) if isinstance(item, Mapping) and "array" not in item else item
    if content is None:
        raise Unreadable(f"{_what(number)} is missing ({item}): leave it out.", item, "missing")
    if isinstance(content, str | os.PathLike):
        try:
            return Path(content).read_bytes()
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or error)
            raise Unreadable(f"{_what(number)}{place_of(item)} cannot be read: {reason}.", item, reason) from None
    return bytes(content) if isinstance(content, bytes | bytearray | memoryview) else None


def _of_file(content: bytes, number: int | None, place: str, seconds: float) -> Sound:
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, frames = int(file.samplerate), int(file.frames)
            wanted = frames if seconds == math.inf else min(frames, math.ceil(seconds * rate))
            samples = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        told = f"{_what(number)}{place} cannot be read ({reason}): replace or remove it."
        raise Unreadable(told, place[2:-1] or None, reason) from None
    return Sound(samples, rate, (frames if len(samples) == wanted else len(samples)) / rate)


def _of_array(item: Any, number: int | None, rate: int) -> Sound:
    """An array, a tuple (array, rate) or a dict of both; rate is that of an array that comes without."""
    values = item
    if isinstance(item, Mapping):
        values, rate = item["array"], item.get("sampling_rate") or rate
    elif with_rate(item):
        values, rate = item
    if isinstance(rate, bool) or rate != int(rate) or rate < 1:
        raise BadInput(f"{_what(number)} has the rate {rate}: give whole samples a second.")
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.dtype not in (np.int16, np.int32) and array.dtype.kind != "f":
        raise BadInput(
            f"{_what(number)} is a {type(item).__name__} of {array.dtype}: give a path, a file's bytes, floats from "
            "-1 to 1, or int16."
        )
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 0 < array.shape[1] <= MOST_CHANNELS):
        raise BadInput(f"{_what(number)} has the shape {array.shape}: give (samples,) or (samples, channels).")
    samples = (array if array.dtype.kind == "f" else array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    samples = samples if array.ndim == 1 else samples.mean(axis=1)
    loudest = np.abs(samples).max(initial=0, where=np.isfinite(samples))
    if loudest > _LOUDEST:
        raise BadInput(f"{_what(number)} holds floats up to {loudest:g}: give them from -1 to 1, or int16.")
    return Sound(samples, int(rate), len(samples) / int(rate))


def with_rate(item: Any) -> bool:
    """Whether this is (array, rate), which a tuple of two sounds is not."""
    rated = isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], int | float | np.number)
    return rated and np.ndim(item[0]) > 0


def _what(number: int | None) -> str:
    return "A sound" if number is None else f"Sound {number}"
