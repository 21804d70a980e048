"""Series of numbers over time to standardised steps and back, of one channel or many, of any length."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from raw2vec.errors import BadInput, nearest, numbered
from raw2vec.ragged import Ragged
from raw2vec.raw.base import Form, Noted, Windows, listed
from raw2vec.rows import item_column

_MOST_AXES = 2  # of a series: time and channels
_LARGEST = float(np.finfo(np.float32).max)
_ROUNDING = float(np.finfo(np.float32).eps)
Layout = Literal["time-channels", "channels-time"]
Scale = Literal["channel", "item", "none"]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Learned:
    """mean and deviation, one a channel; length: of every series, or None; axes: of users' arrays, 1 or 2;
    usual: the middle length."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    length: int | None
    axes: int
    usual: int


class Series(Noted):
    """Series ⇄ float32 steps: Ragged values (T, C) on grids (T,), one window a series, T at least 1.

    An item is an array or nested list (T, C), or (T,) of one channel, or the path of an .npy file of one. NaN and None
    are missing and stay NaN; what is infinite, or too large for float32, is refused. layout: how users' arrays of two
    axes lie.

    scale: channel standardises by each channel's mean and deviation over all that was learned from; item by each
    series' own (Kim et al. 2022), which leaves its level and spread out and cannot be undone; none leaves numbers as
    they are. A channel that never changes has a deviation of 1. Where all series learned from are of one length, others
    are refused: models may rely on it.
    """

    note = "series.json"

    def __init__(self, layout: Layout = "time-channels", scale: Scale = "channel"):
        self.settings: dict[str, Any] = {"layout": layout, "scale": scale}
        for (name, value), allowed in zip(self.settings.items(), (get_args(Layout), get_args(Scale)), strict=True):
            if value not in allowed:
                close = nearest(str(value), allowed)
                raise BadInput(f"Series has no {name} '{value}'.{close} It knows: {', '.join(allowed)}.")
        self.layout, self.scale = layout, scale
        self._known: _Learned | None = None

    @property
    def form(self) -> Form:
        known = self._learned()
        shape = None if known.length is None else (known.length,)
        return Form(channels=len(known.mean), shape=shape, usual=(known.usual,))

    def learn(self, items: Iterable[Any]) -> None:
        """Channels, their means and deviations, and whether all series are of one length."""
        moments: _Moments | None = None
        lengths: list[int] = []
        axes = 1
        for number, item in numbered(items):
            array = _array(item, number)
            steps = self._steps(array, number, None if moments is None else len(moments.mean))
            moments = moments or _Moments(steps.shape[1])
            moments.add(steps)
            lengths.append(len(steps))
            axes = max(axes, array.ndim)
        if moments is None:
            raise BadInput("There is no series to learn from.")
        length = lengths[0] if len(set(lengths)) == 1 else None
        mean, deviation = tuple(moments.mean.tolist()), tuple(moments.deviation.tolist())
        self._known = _Learned(mean, deviation, length, axes, int(np.median(lengths)))

    def windows(self, items: Iterable[Any]) -> Windows:
        """Every series as one window, nothing ever cut. BadInput, by its number, for what cannot be read."""
        channels = len(self._learned().mean)
        parts = []
        for number, item in numbered(items):
            steps = self._steps(_array(item, number), number, channels)
            self._check_length(number, len(steps))
            parts.append(self._scaled(steps))
        values = np.concatenate([np.empty((0, channels)), *parts]).astype(np.float32)
        lengths = torch.tensor([len(part) for part in parts], dtype=torch.long)
        ragged = Ragged(torch.from_numpy(values), lengths[:, None])
        return Windows(ragged, torch.arange(len(parts)), lengths, torch.zeros_like(lengths))

    def restore(self, ragged: Ragged) -> list[Any]:
        """Arrays of float32 in users' layout and units, or, with scale="item", still standardised."""
        known, restored = self._learned(), []
        for item in ragged.items():
            steps = item.detach().double().cpu().numpy()
            if self.scale == "channel":
                steps = steps * np.array(known.deviation) + np.array(known.mean)
            steps = steps.astype(np.float32)
            across = self.layout == "channels-time"
            restored.append(steps[:, 0] if known.axes == 1 else np.ascontiguousarray(steps.T) if across else steps)
        return restored

    def column(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
        return item_column(batch, name)

    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        """An array or nested list of as many axes as users' series (two before `learn`) or fewer is a single one.

        So is a path; a list or an array of objects holds several.
        """
        axes = _MOST_AXES if self._known is None else self._known.axes
        return ([inputs], True) if _is_path(inputs) or 0 < _axes(inputs) <= axes else (listed(inputs), False)

    def freeze(self, item: Any, number: int | None = None) -> Tensor:
        return torch.tensor(_array(item, number), dtype=torch.float32)

    def thaw(self, tensor: Tensor) -> Any:
        return tensor.numpy()

    def _recall(self, told: dict[str, Any]) -> None:
        self._known = _Learned(tuple(told.pop("mean")), tuple(told.pop("deviation")), **told)

    def _learned(self) -> _Learned:
        if self._known is None:
            raise BadInput("This Series knows no numbers yet: call learn(series) or load(folder, settings) first.")
        return self._known

    def _steps(self, array: Numbers, number: int, channels: int | None) -> Numbers:
        """An item's array as (T, C), with as many channels as those before it had."""
        steps = array[:, None] if array.ndim == 1 else array.T if self.layout == "channels-time" else array
        if channels not in (None, steps.shape[1]):
            turned = "time-channels" if self.layout == "channels-time" else "channels-time"
            hint = f" --set raw.layout={turned} reads it the other way round." if array.ndim == 2 else ""
            raise BadInput(f"Series {number} has {steps.shape[1]} channels, and those before it have {channels}.{hint}")
        return steps

    def _check_length(self, number: int, steps: int) -> None:
        length = self._learned().length
        if length not in (None, steps):
            raise BadInput(
                f"Series {number} has {steps} steps, and all that were learned from have {length}: cut or fill it "
                "up, or fit with series of several lengths."
            )

    def _scaled(self, steps: Numbers) -> Numbers:
        if self.scale == "none":
            return steps
        if self.scale == "channel":
            return (steps - np.array(self._learned().mean)) / np.array(self._learned().deviation)
        own = _Moments(steps.shape[1])
        own.add(steps)
        return (steps - own.mean) / own.deviation


def _array(item: Any, number: int | None) -> Numbers:
    """An item as float64, (T,) or two axes, NaN where nothing is."""
    what = "A series" if number is None else f"Series {number}"
    if item is None:
        raise BadInput(f"{what} is missing (None): leave it out.")
    if _is_path(item):
        what, item = f"{what} ({os.fspath(item)})", _of_file(item, what)
    try:
        array = np.asarray(item)
        numbers = array.dtype.kind in "buif" or (array.dtype == object and not _holds_text(array))
        array = array.astype(np.float64) if numbers else array
    except (ValueError, TypeError):
        raise BadInput(f"{what} is no array of numbers, or its rows are of different lengths.") from None
    if array.dtype != np.float64:
        raise BadInput(f"{what} holds {array.dtype}, not numbers: convert it first.")
    if array.ndim not in (1, 2):
        raise BadInput(f"{what} has the shape {array.shape}: give one axis of time, or time and channels.")
    if not array.size:
        raise BadInput(f"{what} is empty: its shape is {array.shape}.")
    if (large := np.abs(array) > _LARGEST).any():
        place = np.argwhere(large)[0].tolist()
        raise BadInput(f"{what} holds an infinite number, or one too large for float32, at {place}: make it NaN.")
    return array


def _is_path(item: Any) -> bool:
    return isinstance(item, str | os.PathLike)


def _of_file(path: str | os.PathLike[str], what: str) -> NDArray[Any]:
    """The array of an .npy file."""
    reason = "it is no .npy file of plain numbers"
    try:
        found = np.load(path)
        if isinstance(found, np.ndarray):
            return found
    except OSError as error:
        reason = error.strerror or reason
    except (ValueError, EOFError):
        pass
    raise BadInput(f"{what} ({os.fspath(path)}) cannot be read ({reason}): replace or remove it.")


def _holds_text(array: NDArray[Any]) -> bool:
    return any(isinstance(value, str | bytes) for value in array.flat)


def _axes(inputs: Any) -> int:
    """How deep lists, tuples and arrays lie within each other, a file's array among them; 0 of an empty list."""
    if isinstance(inputs, list | tuple) or (isinstance(inputs, np.ndarray) and inputs.dtype.kind == "O"):
        return 1 + _axes(inputs[0]) if len(inputs) else 0
    return _MOST_AXES if _is_path(inputs) else int(getattr(inputs, "ndim", 0))


class _Moments:
    """Mean and deviation, per channel, of steps that stream by, NaN left out (Chan, Golub & LeVeque 1983)."""

    def __init__(self, channels: int):
        self.count, self.mean, self.squares = np.zeros(channels), np.zeros(channels), np.zeros(channels)

    def add(self, steps: Numbers) -> None:
        there = ~np.isnan(steps)
        count = there.sum(axis=0)
        mean = np.where(there, steps, 0).sum(axis=0) / np.maximum(count, 1)
        squares = (np.where(there, steps - mean, 0) ** 2).sum(axis=0)
        shift, share = mean - self.mean, count / np.maximum(self.count + count, 1)
        self.squares += squares + shift**2 * self.count * share
        self.mean += shift * share
        self.count += count

    @property
    def deviation(self) -> Numbers:
        """1 where a channel never changes, by more than float32 would round away."""
        found = np.sqrt(self.squares / np.maximum(self.count, 1))
        return np.asarray(np.where(found <= _ROUNDING * np.abs(self.mean), 1.0, found))
