"""Vectors of int8 and the ranges they stretch over: together from the first shard on, whatever stops the run."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raw2vec import BadInput
from raw2vec.calibration import calibrated
from raw2vec.system import Raw2Vec, calibrating
from raw2vec.use import base
from raw2vec.use.compact import as_int8

TEXTS = [f"{number} {'red' if number % 2 else 'blue'} cars" for number in range(60)]
BLOCK = 10

# Embeds a file, and kills itself when its second shard is written.
WRITER = f"""
import os, signal, sys
import raw2vec
from raw2vec.use import base

base.BLOCK_ROWS = {BLOCK}
shards = []

def die(items):
    shards.append(items)
    if len(shards) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

model, data, out = sys.argv[1:]
raw2vec.load(model).embed(data, out, vectors="int8", progress=die)
"""


@pytest.fixture(scope="module")
def model() -> Raw2Vec:
    return Raw2Vec(steps=3, size="tiny").fit(TEXTS)


def killed(model: Raw2Vec, out: Path) -> Path:
    """Begins to write `out`, and is killed; gives what it read."""
    place = out.parent
    model.save(place / "model")
    (place / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    command = [sys.executable, "-c", WRITER, str(place / "model"), str(place / "texts.txt"), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    return place / "texts.txt"


def written(out: Path) -> np.ndarray:
    if out.suffix:
        return np.load(out)
    return np.concatenate([np.stack(pq.read_table(shard)["vector"].to_numpy()) for shard in sorted(out.glob("s*.p*"))])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["v.npy", "v"])
def test_killed_it_goes_on_by_the_ranges_that_it_began_with(
    model: Raw2Vec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = tmp_path / name
    data = killed(model, out)
    began = np.load((tmp_path / "v.npy.partial" if out.suffix else out) / "ranges.npy")
    np.testing.assert_allclose(began, calibrated(model.encode(TEXTS)), atol=1e-5)
    monkeypatch.setattr(base, "BLOCK_ROWS", BLOCK)
    monkeypatch.setattr(calibrating, "calibrated", lambda vectors: calibrated(vectors) * np.float32(1 + 1e-6))
    done = model.embed(str(data), out, vectors="int8", resume=True)
    assert (done.items, done.new) == (60, 40)
    kept = out.with_suffix(".ranges.npy") if out.suffix else out / "ranges.npy"
    np.testing.assert_array_equal(np.load(kept), began)
    away = written(out).astype(int) - as_int8(model.encode(TEXTS), began)
    assert np.abs(away).max() <= 1, "a number on the edge between two steps may fall to either side"
    assert not (tmp_path / "v.npy.partial").exists()


def test_other_ranges_are_refused_and_those_of_the_shards_stay(
    model: Raw2Vec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(items: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "BLOCK_ROWS", BLOCK)
    with pytest.raises(KeyboardInterrupt):
        model.embed(TEXTS, tmp_path / "v", vectors="int8", progress=stop)
    began = (tmp_path / "v" / "ranges.npy").read_bytes()
    with pytest.raises(BadInput, match="begun with another ranges"):
        model.embed(TEXTS, tmp_path / "v", resume=True, vectors="int8", calibrate=TEXTS[:7])
    assert (tmp_path / "v" / "ranges.npy").read_bytes() == began
    np.save(tmp_path / "v" / "ranges.npy", np.load(tmp_path / "v" / "ranges.npy") * 2)
    assert model.embed(TEXTS, tmp_path / "v", resume=True, vectors="int8").new == 50
    assert (tmp_path / "v" / "ranges.npy").read_bytes() == began, "what no shard was written by is not kept"


def test_refused_before_the_first_shard_no_ranges_stay(
    model: Raw2Vec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raw2vec.use.embed._Manifest.add", lambda *_: (_ for _ in ()).throw(BadInput("No.")))
    for name in ("v", "v.npy"):
        with pytest.raises(BadInput, match="No"):
            model.embed(TEXTS, tmp_path / name, vectors="int8")
    assert not [*tmp_path.rglob("*")]
