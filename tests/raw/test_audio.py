"""Sounds to samples or spectrograms and back: any file, rate and depth, however short."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from raw2vec.errors import BadFolder, BadInput
from raw2vec.raw import Audio
from raw2vec.raw.audio import mel_filters
from raw2vec.rows import open_rows

RATE = 8000
LENGTHS = st.integers(1, 6) | st.integers(300, 2000)
SOUNDS = LENGTHS.flatmap(lambda n: arrays.arrays(np.float32, n, elements=st.floats(-1, 1, width=32), fill=st.just(0.5)))


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wav(samples: NDArray[Any], rate: int = RATE, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    to = io.BytesIO()
    soundfile.write(to, samples, rate, format=form, subtype=subtype)
    return to.getvalue()


def learned(items: Any, **options: Any) -> Audio:
    made = Audio(**{"rate": RATE, "n_fft": 256, "hop": 80, "mels": 20, **options})
    made.learn(iter(items))
    return made


def samples(item: Any, **options: Any) -> NDArray[np.float32]:
    """What an item sounds like to the model."""
    made = learned([item], features="waveform", **options)
    found: NDArray[np.float32] = made.restore(made.windows([item]).ragged)[0]
    return found


@settings(max_examples=60, deadline=None)
@given(items=st.lists(SOUNDS, min_size=1, max_size=4))
def test_any_samples_come_back(items: list[NDArray[np.float32]]) -> None:
    made = learned(items, features="waveform")
    windows = made.windows(items)
    assert windows.ragged.values.dtype == torch.float32
    assert windows.ragged.shapes.tolist() == [[len(item)] for item in items]
    assert windows.tokens.tolist() == [len(item) for item in items]
    for item, back in zip(items, made.restore(windows.ragged), strict=True):
        np.testing.assert_array_equal(back, item)


@settings(max_examples=30, deadline=None)
@given(items=st.lists(SOUNDS, min_size=1, max_size=3))
def test_any_length_has_a_spectrogram(items: list[NDArray[np.float32]]) -> None:
    made = learned(items)
    windows = made.windows(items)
    assert windows.ragged.shapes.tolist() == [[1 + len(item) // 80, 20] for item in items]
    assert windows.tokens.tolist() == windows.ragged.lengths.tolist()
    assert torch.isfinite(windows.ragged.values).all()
    alone = [made.windows([item]).ragged.values for item in items]
    torch.testing.assert_close(torch.cat(alone), windows.ragged.values, rtol=1e-5, atol=1e-5)
    for item, back in zip(items, made.restore(windows.ragged), strict=True):
        assert back.dtype == np.float32
        assert np.abs(back).max(initial=0) <= 1
        assert abs(len(back) - len(item)) <= 80


@pytest.mark.parametrize(
    ("form", "subtype", "error"),
    [
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "FLOAT", 0),
        ("FLAC", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 5e-2),
        ("MP3", "MPEG_LAYER_III", 5e-2),
    ],
)
def test_files(tmp_path: Path, form: str, subtype: str, error: float) -> None:
    wanted = tone(440)
    content = wav(wanted, form=form, subtype=subtype)
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(content)
    for item in (path, str(path), content, {"bytes": content, "path": None}, {"bytes": None, "path": str(path)}):
        np.testing.assert_allclose(samples(item), wanted, rtol=0, atol=error)


def test_arrays() -> None:
    wanted = tone(440)
    whole = np.round(wanted * 2**15).astype(np.int16)
    for item in (wanted.astype(np.float64), wanted.tolist(), (wanted, RATE), {"array": wanted, "sampling_rate": RATE}):
        np.testing.assert_array_equal(samples(item), wanted)
    for item in (whole, whole.astype(np.int32) * 2**16, np.stack([whole, whole], 1)):
        np.testing.assert_allclose(samples(item), wanted, atol=1e-4)
    left_and_right = np.stack([wanted, -wanted, np.zeros_like(wanted)], axis=1)
    assert np.abs(samples(left_and_right)).max() < 1e-6


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100])
def test_other_rates(rate: int) -> None:
    found, wanted = samples((tone(440, rate=rate), rate)), tone(440)
    assert abs(len(found) - len(wanted)) <= 1
    middle = slice(400, 3600)  # a filter cannot know what lies beyond the ends
    np.testing.assert_allclose(found[middle], wanted[middle], atol=5e-3)


def test_longer_ones_are_cut_and_counted() -> None:
    item = tone(440, seconds=1)
    for given_ in (item, wav(item), (tone(440, seconds=1, rate=16000), 16000)):
        made = learned([given_], features="waveform", max_seconds=0.25)
        windows = made.windows([given_, given_])
        assert windows.ragged.lengths.tolist() == [2000, 2000]
        assert windows.tokens.tolist() == [8000, 8000]
        assert windows.truncated.tolist() == [6000, 6000]
    windows = learned([item], max_seconds=0.25).windows([item])
    assert windows.ragged.shapes.tolist() == [[26, 20]]
    assert windows.truncated.tolist() == [(101 - 26) * 20]
    assert learned([item], max_seconds=None).windows([item]).truncated.tolist() == [0]


def test_bands_of_hearing() -> None:
    filters = mel_filters(16000, 512, 40).double()
    frequencies = torch.linspace(0, 8000, 257, dtype=torch.float64)
    centres = (filters @ frequencies) / filters.sum(1)
    # Slaney: even below 1 kHz (15 of 45.2 mels in 41 steps of 1.103), above it each a constant factor higher
    torch.testing.assert_close(centres[:12].diff(), torch.full((11,), 73.5).double(), rtol=0, atol=8)
    torch.testing.assert_close(centres[20:-1] / centres[19:-2], torch.full((19,), 1.0787).double(), rtol=0, atol=6e-3)
    torch.testing.assert_close(filters.sum(1) * 31.25, torch.ones(40).double(), rtol=0, atol=0.15)
    made = learned([tone(440), tone(1760)])
    for hertz in (300.0, 1000.0, 2500.0):
        loudest = made._frames(_heard(tone(hertz))).mean(0).argmax()
        bands = mel_filters(RATE, 256, 20)
        assert abs(float((bands[loudest] @ torch.linspace(0, 4000, 129)) / bands[loudest].sum()) - hertz) < hertz * 0.15


def _heard(array: NDArray[np.float32]) -> Any:
    from raw2vec.raw.samples import Sound

    return Sound(array, RATE, len(array) / RATE)


def test_bands_are_standardised() -> None:
    items = [tone(hertz) + 0.01 * tone(3 * hertz) for hertz in (200, 330, 470)]
    values = learned(items).windows(items).ragged.values.reshape(-1, 20)
    torch.testing.assert_close(values.mean(0), torch.zeros(20), rtol=0, atol=1e-3)
    torch.testing.assert_close(values.std(0, correction=0), torch.ones(20), rtol=0, atol=1e-3)
    silent = [np.zeros(500, np.float32)]
    assert learned(silent).windows(silent).ragged.values.abs().max() < 1e-3, "a constant band is zero, not noise"


def test_griffin_lim_gives_the_pitch_back() -> None:
    item = tone(440)
    made = learned([item, tone(880)], mels=60, n_fft=512)
    (back,) = made.restore(made.windows([item]).ragged)
    assert back.std() > 0.5 * item.std()
    # Sixty bands up to 4 kHz lie 40 Hz apart at 440 Hz: a pitch is not known better than that.
    assert abs(np.abs(np.fft.rfft(back)).argmax() * RATE / len(back) - 440) < 40
    np.testing.assert_array_equal(back, made.restore(made.windows([item]).ragged)[0])
    for features, known in (("waveform", 0.0), ("log-mel", 0.5)):
        restored = samples(item) if features == "waveform" else back
        spectra = [made._frames(_heard(sound[: len(back)])).exp().sqrt() for sound in (item, restored)]
        assert float((spectra[0] - spectra[1]).norm() / spectra[0].norm()) <= known + 1e-6


def test_missing_numbers_stay_missing() -> None:
    item = tone(440)
    item[2000] = np.nan
    assert np.isnan(samples(item)).nonzero()[0].tolist() == [2000]
    made = learned([item, tone(300)])
    gone = made.windows([item]).ragged.items()[0][:, 0, 0].isnan().nonzero()[:, 0].tolist()
    assert gone
    assert {round(2000 / 80) - 1, round(2000 / 80), round(2000 / 80) + 1} >= set(gone)


def test_form() -> None:
    assert learned([tone(1), tone(2)]).form.shape == (51, 20)
    assert learned([tone(1), tone(2, 0.1)]).form.shape is None
    assert learned([tone(1), tone(2, 0.1), tone(2)]).form.usual == (51, 20)
    assert (learned([tone(1)]).form.dimensions, learned([tone(1)]).form.channels) == (2, 1)
    form = learned([tone(1)], features="waveform").form
    assert (form.dimensions, form.channels, form.shape) == (1, 1, (4000,))
    for features in ("waveform", "log-mel"):
        nothing = learned([tone(1)], features=features).windows([])
        assert len(nothing.ragged) == 0


def test_one_or_several() -> None:
    made, sound = Audio(), tone(440)
    single = (sound, "a.wav", b"wav", {"path": "a.wav"}, (sound, RATE), np.zeros((100, 2)))
    assert [made.items(x)[1] for x in single] == [True] * 6
    assert [made.items(x)[1] for x in ([sound], (sound, sound), np.zeros((2, 4000)), ["a.wav"], [])] == [False] * 5
    assert len(made.items(np.zeros((2, 4000)))[0]) == 2


def test_saved_and_loaded(tmp_path: Path) -> None:
    items = [tone(440), tone(300, 0.1)]
    for features in ("waveform", "log-mel"):
        made = learned(items, features=features)
        made.save(tmp_path)
        again = Audio.load(tmp_path, made.settings)
        assert (again.form, again.identity()) == (made.form, made.identity())
        assert torch.equal(again.windows(items).ragged.values, made.windows(items).ragged.values)
    for damaged in ("{}", "null"):
        (tmp_path / "audio.json").write_text(damaged)
        with pytest.raises(BadFolder, match=r"audio\.json is damaged"):
            Audio.load(tmp_path, {})
    (tmp_path / "audio.json").unlink()
    with pytest.raises(BadFolder, match=r"has no audio\.json"):
        Audio.load(tmp_path, {})


def test_frozen_and_thawed() -> None:
    made = learned([tone(440)], features="waveform")
    for item in (tone(440), wav(tone(440)), (tone(440, rate=16000), 16000), np.zeros((9, 2), np.int16)):
        frozen = made.freeze(item)
        np.testing.assert_array_equal(samples(made.thaw(frozen)), samples(item))


def test_columns(tmp_path: Path) -> None:
    sounds = [tone(440), tone(300, 0.1)]
    for place, sound in enumerate(sounds):
        (tmp_path / f"{place}.wav").write_bytes(wav(sound, subtype="FLOAT"))
    contents = [wav(sound, subtype="FLOAT") for sound in sounds]
    for data, name in (
        ([(sound, RATE) for sound in sounds], "audio"),
        (tmp_path, "path"),
        (pa.table({"a": contents}), "a"),
        (pa.table({"a": [{"bytes": content, "path": None} for content in contents]}), "a"),
        (pa.table({"a": [{"array": sound.tolist(), "sampling_rate": RATE} for sound in sounds]}), "a"),
    ):
        found = [item for batch in open_rows(data).batches(1) for item in Audio().column(batch, name)]
        for item, sound in zip(found, sounds, strict=True):
            np.testing.assert_array_equal(samples(item), sound)


WAV = wav(tone(440))
BAD: list[tuple[Any, str]] = [
    (None, r"Sound 1 is missing \(None\)"),
    (b"hello", r"Sound 1 cannot be read \(Format not recognised\): replace or remove it"),
    (wav(np.zeros(0)), "Sound 1 is empty: it has no samples"),
    (np.zeros(0), "Sound 1 is empty"),
    ("nowhere.wav", r"Sound 1 \(nowhere\.wav\) cannot be read: No such file"),
    ({"bytes": b"hello", "path": "a.wav"}, r"Sound 1 \(a\.wav\) cannot be read"),
    ({"bytes": None, "path": None}, "Sound 1 is missing"),
    (3, "Sound 1 is a int of int64: give a path"),
    (np.zeros(9, np.uint8), "Sound 1 is a ndarray of uint8"),
    (["a", "b"], "Sound 1 is a list of <U1"),
    (np.zeros((2, 4000)), r"Sound 1 has the shape \(2, 4000\): give \(samples,\) or \(samples, channels\)"),
    (np.zeros((9, 9, 9)), r"Sound 1 has the shape \(9, 9, 9\)"),
    (np.full(9, 3e4), "Sound 1 holds floats up to 30000: give them from -1 to 1"),
    (np.array([0, np.inf]), "Sound 1 holds an infinite number"),
    ((np.zeros(9), 0), "Sound 1 has the rate 0: give whole samples a second"),
    ((np.zeros(9), 0.5), r"Sound 1 has the rate 0\.5"),
]


@pytest.mark.parametrize(("item", "sentence"), BAD, ids=[sentence[:30] + str(n) for n, (_, sentence) in enumerate(BAD)])
def test_bad_items(item: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        learned([WAV, item])
    with pytest.raises(BadInput, match=sentence):
        learned([WAV, tone(1, 0.1)]).windows([WAV, item])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"features": "logmel"}, r"no features 'logmel'\. Did you mean 'log-mel'\?"),
        ({"rate": 0}, "Audio's rate is 0: give a number above 0"),
        ({"max_seconds": -1.0}, r"Audio's max_seconds is -1\.0"),
        ({"hop": 300}, "hop is 300, more than half of n_fft=400"),
        ({"mels": 300}, "mels is 300, too many bands for n_fft=400 at 16000 Hz"),
    ],
)
def test_bad_settings(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        Audio(**options)


def test_bad_lengths_and_nothing_learned() -> None:
    with pytest.raises(BadInput, match="Sound 1 has a length of 11, and all that were learned from have 51"):
        learned([WAV]).windows([WAV, tone(1, 0.1)])
    with pytest.raises(BadInput, match="There is no sound to learn from"):
        learned([])
    with pytest.raises(BadInput, match="knows no sounds yet"):
        Audio().windows([WAV])
