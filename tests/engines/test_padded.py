"""An encoder side by side as it is end to end: the same vectors, whatever stands beside a text."""

from inspect import signature

import pytest
import torch

from drawn_encoders import BUILDS, made
from raw2vec.encoders import Dense, Transformer
from raw2vec.engines.base import GraphEngine, rectangle, rounded
from raw2vec.engines.padded import Padded, refusal
from raw2vec.folder import embedder
from raw2vec.layers.pooling import POOLINGS
from small import texts

LINES = ["the old ship near a harbour", "bread", "", *texts(12, 3), "salt " * 60]


@pytest.mark.parametrize("build", BUILDS)
@torch.no_grad()
def test_it_gives_the_models_own_vectors(build: str) -> None:
    model = made(build)
    windows = model.raw.windows(LINES).ragged
    ids, mask = map(torch.from_numpy, rectangle(windows))
    assert ids.shape[1] > int(windows.lengths.min())
    found = Padded(embedder(model.model))(ids, mask)
    torch.testing.assert_close(found, model.model(windows), atol=2e-5, rtol=2e-5)


def test_lengths_are_rounded_to_few_that_are_near() -> None:
    assert [rounded(length) for length in (0, 1, 7, 15, 16, 17, 33, 200)] == [1, 1, 7, 15, 16, 18, 36, 208]
    assert len({rounded(length) for length in range(1, 513)}) <= 56
    assert all(length <= rounded(length) <= length * 9 / 8 for length in range(1, 2000))


class Nothing(GraphEngine):
    name = "nothing"

    def answer(self, ids, mask):
        raise AssertionError


@pytest.mark.parametrize("items", [None, 1, 3])
def test_rectangles_hold_every_window_once_within_the_budget(items: int | None) -> None:
    lengths = torch.tensor([3, 1, 9, 200, 4, 4, 4, 17, 18, 0])
    found = list(Nothing().batches(lengths, 40, items))
    assert sorted(torch.cat(found).tolist()) == list(range(10))
    for part in found:
        assert len(part) == 1 or rounded(int(lengths[part].max())) * len(part) <= 40
        assert items is None or len(part) <= items
    assert not list(Nothing().batches(lengths[:0], 40, items))


def test_what_no_graph_is_made_of() -> None:
    model = made(encoder="recurrent")
    assert refusal(embedder(model.model), model.raw) == "its encoder is recurrent"
    model = made(latent={"name": "quantised", "width": 8})
    assert refusal(embedder(model.model), model.raw) == "its latent is quantised"
    model = made(encoder__class_tokens=1)
    assert refusal(embedder(model.model), model.raw) == "class tokens stand before its texts (encoder.class_tokens)"
    model = made(embedding__filled=24, raw__max_tokens=24)
    assert refusal(embedder(model.model), model.raw) == "its texts are filled up to one length (embedding.filled)"


@pytest.mark.parametrize("pooling", [name for name in POOLINGS if name != "all"])
@torch.no_grad()
def test_every_pooling_is_the_models_own_or_refused(pooling: str) -> None:
    model = made(latent__pooling=pooling)
    if why := refusal(embedder(model.model), model.raw):
        assert (pooling, why) == ("probe", "its latent.pooling is probe")
        return
    windows = model.raw.windows(LINES).ragged
    found = Padded(embedder(model.model))(*map(torch.from_numpy, rectangle(windows)))
    torch.testing.assert_close(found, model.model(windows), atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_a_length_that_is_rounded_may_go_beyond_the_last_place() -> None:
    model = made(encoder__limit=23, raw__max_tokens=23)
    windows = model.raw.windows(["salt " * 60]).ragged
    ids, mask = map(torch.from_numpy, rectangle(windows))
    assert ids.shape[1] > int(windows.lengths.max()) == 23
    torch.testing.assert_close(Padded(embedder(model.model))(ids, mask), model.model(windows), atol=2e-5, rtol=2e-5)


def test_all_that_encoders_can_be_told_is_known_here() -> None:
    """Who adds a setting to one of these tells engines/padded.py of it, or has it refused there; then adds it here."""
    shape = {"inputs", "width", "layers", "heads", "feed_forward", "dropout", "epsilon", "limit"}
    parts = {"activation", "normalization", "norm_order", "positions", "biases"}
    looks = {"window", "global_every", "rotary_base", "class_tokens", "causal"}
    assert set(signature(Transformer).parameters) == shape | parts | looks
    dense = {"inputs", "width", "layers", "activation", "normalization", "positions", "end", "dropout"}
    assert set(signature(Dense).parameters) == dense
