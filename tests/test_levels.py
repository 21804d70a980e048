"""Levels of int8 arithmetic kept in a model's folder: taken as they were found, and never for other weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import raw2vec
from raw2vec import engines
from raw2vec.engines.int8 import watched
from raw2vec.errors import BadFolder, BadInput
from raw2vec.layers.static_int8 import known
from raw2vec.levels import Levels, read, write
from raw2vec.system import Raw2Vec
from raw2vec.use import base

TEXTS = [f"{number} {'red' if number % 2 else 'blue'} cars" for number in range(60)]
OTHERS = [f"{number} green {'hats' if number % 3 else 'coats'} of wool" for number in range(40)]
quick = pytest.mark.skipif(not known(), reason="this CPU does not multiply int8")


@pytest.fixture(scope="module")
def fitted() -> Raw2Vec:
    return Raw2Vec(steps=3, size="tiny", encoder="transformer").fit(TEXTS)


@pytest.fixture
def folder(fitted: Raw2Vec, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "m")
    return tmp_path / "m"


def test_a_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    write(tmp_path, {})
    assert not [*tmp_path.iterdir()], "nothing where there is nothing"
    draw = np.random.default_rng(0)
    held = {f"blocks.{n}.leave": draw.standard_normal((2, 5 + n)).astype(np.float32) for n in range(3)}
    write(
        tmp_path, {"input": Levels(held, "1f", "60 items"), "target": Levels({"x": held["blocks.0.leave"]}, "1f", "9")}
    )
    found = read(tmp_path / "int8.safetensors")
    assert (found["input"].model, found["input"].told, found["target"].told) == ("1f", "60 items", "9")
    assert found["input"].held.keys() == held.keys()
    for name, ends in held.items():
        np.testing.assert_array_equal(found["input"].held[name], ends)
    assert found["input"].digest == Levels(held, "", "").digest != found["target"].digest


def test_calibrate_finds_between_what_each_map_is_given(folder: Path) -> None:
    model = raw2vec.load(folder)
    found = model.calibrate(TEXTS, out=folder)
    kept = raw2vec.load(folder).parts_.levels["input"]
    assert (kept.model, kept.told) == (model.fingerprint_, "60 items of the data")
    with watched(model.parts_.model.side("input")) as seen:
        model.encode(TEXTS[:20])
    assert seen.keys() == kept.held.keys() != set()
    assert found.maps == len(seen)
    for name, (least, most) in kept.held.items():
        assert (least <= seen[name][0].numpy() + 1e-5).all(), "these are some of the same items"
        assert (most >= seen[name][1].numpy() - 1e-5).all()
    assert not any(part._forward_pre_hooks for part in model.parts_.model.modules()), "no one looks any more"
    file = folder / "int8.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(BadFolder, match=r"int8\.safetensors is not the file that this folder was saved with"):
        raw2vec.load(folder)


@quick
def test_from_kept_levels_come_the_vectors_of_those_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = raw2vec.load(folder)
    without = model.encode(OTHERS, precision="int8")
    model.calibrate(TEXTS, out=folder)
    found = model.encode(OTHERS, precision="int8")
    assert (found != without).any(), "other levels are of other data"
    monkeypatch.setattr(engines, "seen", lambda *_, **__: pytest.fail("nothing is looked for"))
    np.testing.assert_array_equal(raw2vec.load(folder).encode(OTHERS, precision="int8"), found)
    raw2vec.load(folder).save(folder.with_name("copy"))
    copy = raw2vec.load(folder.with_name("copy"))
    np.testing.assert_array_equal(copy.encode(OTHERS, precision="int8"), found)
    copy.embed(OTHERS, folder.with_name("v.npy"), precision="int8")
    np.testing.assert_allclose(np.load(folder.with_name("v.npy")), found, atol=1e-6)
    own = model.encode(OTHERS)
    cosines = (own * found).sum(1) / np.linalg.norm(own, axis=1) / np.linalg.norm(found, axis=1)
    assert cosines.min() > 0.97


@quick
def test_levels_of_other_weights_are_left_out_and_said_to_be(folder: Path) -> None:
    model = raw2vec.load(folder)
    without = model.encode(OTHERS, precision="int8")
    model.calibrate(TEXTS)
    model.parts_.levels["input"] = replace(model.parts_.levels["input"], model="other")
    with pytest.warns(UserWarning, match="of 60 items of the data, were found for other weights"):
        np.testing.assert_array_equal(model.encode(OTHERS, precision="int8"), without)


@quick
def test_no_run_goes_on_by_other_levels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(items: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "BLOCK_ROWS", 10)
    model = raw2vec.load(folder)
    with pytest.raises(KeyboardInterrupt):
        model.embed(OTHERS, folder.with_name("v"), precision="int8", progress=stop)
    model.calibrate(TEXTS)
    with pytest.raises(BadInput, match="begun with another levels"):
        model.embed(OTHERS, folder.with_name("v"), precision="int8", resume=True)


def test_what_does_not_encode_texts_keeps_none() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    model = Raw2Vec(steps=1, size="tiny").fit(pictures)
    model.calibrate(pictures)
    assert model.parts_.ranges
    assert not model.parts_.levels
