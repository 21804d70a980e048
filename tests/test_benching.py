"""The speed of models of every kind: what is counted, beside the machine's own rate."""

from typing import Any

import numpy as np
import pytest
import torch

import raw2vec
from raw2vec import Raw2Vec, benching, yardstick
from raw2vec.benching import bench, drawn_texts
from raw2vec.errors import BadInput
from raw2vec.layers.static_int8 import known
from small import texts

generator = np.random.default_rng(0)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "text": (texts(60), {"encoder": "transformer", "size": "tiny"}),
    "image": (generator.integers(0, 255, (30, 8, 8), dtype=np.uint8), {"latent": 4}),
    "audio": ([generator.normal(size=2000).astype(np.float32) / 9 for _ in range(24)], {"latent": 4}),
    "series": ([generator.normal(size=(9, 2)).astype(np.float32) for _ in range(30)], {"latent": 4}),
    "table": ([{"a": float(n), "b": "xy"[n % 2]} for n in range(40)], {"latent": 2}),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of a hundredth of a second, and no more items than that takes."""
    monkeypatch.setattr(benching, "A_ROUND", 0.01)
    monkeypatch.setattr(benching, "MOST", 64)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_speed(kind: str, tmp_path) -> None:
    data, options = KINDS[kind]
    Raw2Vec(kind=kind, steps=1, **options).fit(data, out=tmp_path / "m")
    found = bench(raw2vec.load(tmp_path / "m"))
    told = {"mixed", "short"} if kind == "text" else {"golden"}
    assert {speed.lengths for speed in found.speeds} == told
    int8 = {"int8"} if kind == "text" and known() else set()
    assert {speed.precision for speed in found.speeds} == set(found.gemm_gflops) | int8
    for speed in found.speeds:
        assert (speed.share_of_gemm is None) == (speed.precision == "int8")
        assert speed.slowest <= speed.items_per_s <= speed.fastest
        assert speed.tokens >= speed.items > 0
        assert 0 <= (speed.share_of_gemm or 0) < 2
    assert found.as_dict()["metrics"]["items_per_s"] == found.speeds[0].items_per_s


def test_data_of_one_s_own(tmp_path) -> None:
    made = Raw2Vec(size="tiny", steps=1).fit(texts(60))
    found = bench(made, {"body": ["a ship", "", "the tide"], "n": [1, 2, 3]}, input="body")
    assert {(speed.lengths, speed.items) for speed in found.speeds} == {("data", 2)}
    assert not found.notes
    with pytest.raises(BadInput, match="nothing to encode"):
        bench(made, ["", " "])
    with pytest.raises(BadInput, match="at least 5 rounds, not 3"):
        bench(made, rounds=3)


def test_operations_are_counted_with_attention() -> None:
    """Of a transformer by hand: 2 operations a weight of each linear map and token, 4 a pair of tokens and feature."""
    settings = {"encoder.activation": "gelu", "encoder.width": 16, "encoder.heads": 2, "encoder.layers": 3}
    made = Raw2Vec(encoder="transformer", steps=1, settings=settings).fit(texts(60))
    items = [" ".join(texts(3))] * 3
    ragged = made.parts_.raw.windows(items).ragged
    maps = sum(part.weight.numel() for part in made.parts_.model.encoder.modules() if isinstance(part, torch.nn.Linear))
    tokens = int(ragged.lengths[0])
    wanted = 2 * maps * tokens + 3 * 4 * tokens**2 * 16
    assert benching._operations(made.parts_.model, made.parts_.raw, items) == pytest.approx(wanted, rel=1e-6)


def test_a_recurrence_is_not_counted_and_says_so() -> None:
    found = bench(Raw2Vec(encoder="recurrent", size="tiny", steps=1).fit(texts(60)))
    assert all(speed.share_of_gemm is None for speed in found.speeds)
    assert any("recurrence" in note for note in found.notes)


def test_drawn_texts_are_as_long_as_asked_and_always_the_same() -> None:
    raw = Raw2Vec(size="tiny", steps=1).fit(texts(200)).parts_.raw
    made = drawn_texts(raw, 50, 8, 16)
    assert made == drawn_texts(raw, 50, 8, 16)
    assert 4 <= raw.windows(made).tokens.double().mean() <= 30
    assert len(drawn_texts(raw, 5, 8, 10_000)) == 5


def test_the_yardstick() -> None:
    calls: list[str] = []
    found = yardstick.in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == ["a", "b"] * 4, "a warm-up, and then in turn"
    assert {name: len(seconds) for name, seconds in found.items()} == {"a": 3, "b": 3}
    assert yardstick.gemm_rate(torch.float32, 64) > 0
