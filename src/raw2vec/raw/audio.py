"""Sounds to samples or log-mel spectrograms and back, whatever rate, depth and file they come in."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from raw2vec.errors import BadInput, Unreadable, nearest, numbered, spare
from raw2vec.ragged import Ragged
from raw2vec.raw.base import Form, Noted, Windows, listed
from raw2vec.raw.samples import MOST_CHANNELS, Sound, file_of, sound_of, with_rate
from raw2vec.rows import item_column
from raw2vec.seeding import generator

_SILENCE = 1e-10  # the least power whose logarithm is taken
_ROUNDS = 32  # of Griffin & Lim's algorithm
Features = Literal["waveform", "log-mel"]


@dataclass(frozen=True)
class _Learned:
    """mean and deviation, one a mel bin, none of waveforms; length: frames or samples of every sound, or None;
    usual: of the middle one."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    length: int | None
    usual: int


class Audio(Noted):
    """Sounds ⇄ float32 samples, grids (samples,), or log-mel spectrograms, grids (frames, mels); one channel each.

    An item is a path or the bytes of a file that libsndfile reads (wav, flac, ogg, mp3, …, of any depth); an array
    (samples,) or (samples, channels) of floats from -1 to 1, int16 or int32, at `rate` already; a tuple (array, rate);
    or a dict of "bytes" and "path", or of "array" and "sampling_rate", as Hugging Face's data sets have them. Channels
    are averaged, other rates resampled to `rate` (polyphase). NaN is missing and stays NaN; infinity is refused.

    max_seconds: what is longer is cut, and counted in `truncated`; None keeps all. features: waveform is samples as
    they are; log-mel the logarithm of the power in `mels` bands of hearing (Slaney's Auditory Toolbox, 1998) of a Hann
    window of `n_fft` samples every `hop`, standardised by the mean and deviation of each band over all learned from; a
    band that never changes has a deviation of 1. Where all sounds learned from are of one length, others are refused.
    """

    note = "audio.json"
    files = "sound"

    def __init__(
        self,
        rate: int = 16_000,
        features: Features = "log-mel",
        n_fft: int = 400,
        hop: int = 160,
        mels: int = 80,
        max_seconds: float | None = 30.0,
    ):
        self.settings: dict[str, Any] = {
            "rate": rate,
            "features": features,
            "n_fft": n_fft,
            "hop": hop,
            "mels": mels,
            "max_seconds": max_seconds,
        }
        _check(self.settings)
        self.rate, self.features, self.n_fft, self.hop, self.mels = rate, features, n_fft, hop, mels
        self.max_seconds = math.inf if max_seconds is None else max_seconds
        self._window = torch.hann_window(n_fft)
        self._filters = mel_filters(rate, n_fft, mels) if features == "log-mel" else torch.empty(0)
        self._known: _Learned | None = None

    @property
    def form(self) -> Form:
        known, bands = self._learned(), (self.mels,) if self.features == "log-mel" else ()
        shape = None if known.length is None else (known.length, *bands)
        return Form(channels=1, dimensions=1 + len(bands), shape=shape, usual=(known.usual, *bands))

    def learn(self, items: Iterable[Any]) -> None:
        """Each band's mean and deviation, and whether all sounds are of one length."""
        lengths: list[int] = []
        count, total, squares = (np.zeros(self.mels) for _ in range(3))
        for number, item in numbered(items):
            try:
                frames = self._frames(sound_of(item, number, self.rate, self.max_seconds)).numpy().astype(np.float64)
            except Unreadable as error:
                spare(items, number, error)
                continue
            lengths.append(len(frames))
            if self.features == "log-mel":
                count += (~np.isnan(frames)).sum(axis=0)
                total += np.nansum(frames, axis=0)
                squares += np.nansum(frames**2, axis=0)
        if not lengths:
            raise BadInput("There is no sound to learn from.")
        mean = total / np.maximum(count, 1)
        variance = squares / np.maximum(count, 1) - mean**2
        deviation = np.sqrt(np.where(variance < 1e-6, 1.0, variance))
        length = lengths[0] if len(set(lengths)) == 1 else None
        bands, usual = self.mels if self.features == "log-mel" else 0, int(np.median(lengths))
        self._known = _Learned(tuple(mean[:bands].tolist()), tuple(deviation[:bands].tolist()), length, usual)

    def windows(self, items: Iterable[Any]) -> Windows:
        """Every sound as one window, cut after max_seconds.

        Unreadable, by its number, for one that cannot be read; where `items` have a place to note such, it is without
        a window.
        """
        known, grids = self._learned(), []
        owners: list[int] = []
        whole: list[int] = []
        for place, (number, item) in enumerate(numbered(items)):
            whole.append(0)
            try:
                sound = sound_of(item, number, self.rate, self.max_seconds)
            except Unreadable as error:
                spare(items, number, error)
                continue
            frames = self._frames(sound)
            if known.length not in (None, len(frames)):
                raise BadInput(
                    f"Sound {number} has a length of {len(frames)}, and all that were learned from have "
                    f"{known.length}: cut or fill it up, or fit with sounds of several lengths."
                )
            grids.append((frames - torch.tensor(known.mean)) / torch.tensor(known.deviation) if known.mean else frames)
            whole[-1] = max(self._length(math.ceil(sound.seconds * self.rate - 1e-6)), len(frames))
            owners.append(place)
        each = self.mels if known.mean else 1
        places, tokens = torch.tensor(owners, dtype=torch.long), torch.tensor(whole, dtype=torch.long) * each
        kept = torch.zeros_like(tokens)
        kept[places] = torch.tensor([len(grid) for grid in grids], dtype=torch.long) * each
        values = torch.cat([torch.empty(0), *(grid.flatten() for grid in grids)])[:, None]
        shapes = torch.tensor([grid.shape for grid in grids], dtype=torch.long).reshape(-1, self.form.dimensions)
        return Windows(Ragged(values, shapes), places, tokens, tokens - kept)

    def restore(self, ragged: Ragged) -> list[Any]:
        """Arrays (samples,) of float32 from -1 to 1 at `rate`; of log-mel, by Griffin-Lim, only much alike."""
        known, sounds = self._learned(), []
        for item in ragged.items():
            grid = item.detach().float().cpu()[..., 0]
            if known.mean:
                grid = self._griffin_lim(grid * torch.tensor(known.deviation) + torch.tensor(known.mean))
            sounds.append(grid.clamp(-1, 1).numpy())
        return sounds

    def column(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
        return item_column(batch, name)

    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        """An array of two axes is one sound where the second is at most 32 (channels), else several."""
        if isinstance(inputs, np.ndarray):
            single = inputs.ndim == 1 or (inputs.ndim == 2 and inputs.shape[1] <= MOST_CHANNELS)
        else:
            single = isinstance(inputs, str | os.PathLike | bytes | Mapping) or with_rate(inputs)
        return ([inputs], True) if single else (listed(inputs), False)

    def freeze(self, item: Any, number: int | None = None) -> Tensor:
        """The file's bytes, uint8, or an array's samples at `rate`, float32."""
        if (content := file_of(item, number)) is not None:
            return torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return torch.tensor(sound_of(item, number, self.rate, math.inf).samples)

    def thaw(self, tensor: Tensor) -> Any:
        return tensor.numpy().tobytes() if tensor.dtype == torch.uint8 else tensor.numpy()

    def _recall(self, told: dict[str, Any]) -> None:
        self._known = _Learned(tuple(told.pop("mean")), tuple(told.pop("deviation")), **told)

    def _learned(self) -> _Learned:
        if self._known is None:
            raise BadInput("This Audio knows no sounds yet: call learn(sounds) or load(folder, settings) first.")
        return self._known

    def _length(self, samples: int) -> int:
        """Samples, or how many frames they make."""
        return samples if self.features == "waveform" else 1 + samples // self.hop

    def _frames(self, sound: Sound) -> Tensor:
        """(samples,), or the logarithm of the power of each band, (frames, mels), not yet standardised."""
        samples = torch.from_numpy(sound.samples)
        if self.features == "waveform":
            return samples
        return (self._filters @ self._spectrum(samples).abs() ** 2).clamp(min=_SILENCE).log().T

    def _spectrum(self, samples: Tensor) -> Tensor:
        """(n_fft / 2 + 1, frames), complex; zeros around, so that one sample is enough."""
        options: dict[str, Any] = {"window": self._window, "pad_mode": "constant", "return_complex": True}
        return torch.stft(samples, self.n_fft, self.hop, **options)

    def _griffin_lim(self, frames: Tensor) -> Tensor:
        """Samples whose bands have this log-power (frames, mels): phases are found by going back and forth.

        Griffin & Lim (1984), quickened as by Perraudin, Balazs & Søndergaard (2013). Phases start drawn, always alike.
        """
        magnitude = (torch.linalg.pinv(self._filters) @ frames.T.exp()).clamp(min=0).sqrt()
        length = max((len(frames) - 1) * self.hop, min(self.hop, self.n_fft // 4))
        phase = torch.rand(magnitude.shape, generator=generator("phases of Griffin-Lim")) * 2 * math.pi
        turns, before = torch.polar(torch.ones_like(phase), phase), torch.zeros_like(phase) * 1j
        for _ in range(_ROUNDS):
            samples = torch.istft(magnitude * turns, self.n_fft, self.hop, window=self._window, length=length)
            rebuilt = self._spectrum(samples)[:, : len(frames)]
            turns = rebuilt - before * (0.99 / 1.99)
            turns, before = turns / turns.abs().clamp(min=1e-12), rebuilt
        return torch.istft(magnitude * turns, self.n_fft, self.hop, window=self._window, length=length)


def mel_filters(rate: int, n_fft: int, mels: int) -> Tensor:
    """Triangles of area one over the frequencies of a spectrum, (mels, n_fft / 2 + 1): Slaney's scale (1998).

    Bands are evenly wide below 1 kHz, and above it each is wider than the last by the same factor. BadInput where one
    is too narrow to hold a frequency.
    """
    top = rate / 2
    most = 3 * top / 200 if top < 1000 else 15 + 27 * math.log(top / 1000) / math.log(6.4)
    edges = np.linspace(0, most, mels + 2)
    hertz = np.where(edges < 15, edges * 200 / 3, 1000 * np.exp((edges - 15) * math.log(6.4) / 27))
    left, centre, right = (hertz[place : place + mels, None] for place in range(3))
    frequencies = np.linspace(0, top, n_fft // 2 + 1)
    rising, falling = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
    filters = np.maximum(np.minimum(rising, falling), 0) * 2 / (right - left)
    if not filters.any(axis=1).all():
        raise BadInput(f"mels is {mels}, too many bands for n_fft={n_fft} at {rate} Hz: give fewer, or a larger n_fft.")
    return torch.tensor(filters, dtype=torch.float32)


def _check(settings: Mapping[str, Any]) -> None:
    if settings["features"] not in get_args(Features):
        close = nearest(str(settings["features"]), get_args(Features))
        raise BadInput(
            f"Audio has no features '{settings['features']}'.{close} It knows: {', '.join(get_args(Features))}."
        )
    small = next((name for name, value in settings.items() if isinstance(value, int | float) and value <= 0), None)
    if small:
        raise BadInput(f"Audio's {small} is {settings[small]}: give a number above 0.")
    if 2 * settings["hop"] > settings["n_fft"]:
        raise BadInput(f"hop is {settings['hop']}, more than half of n_fft={settings['n_fft']}: give a smaller one.")
