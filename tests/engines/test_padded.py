"""An encoder side by side as it is end to end: the same vectors, whatever stands beside a text."""

from typing import Any

import pytest
import torch

from drawn_encoders import BUILDS, made
from raw2vec.engines.base import Engine, GraphEngine, rectangle, rounded, shares
from raw2vec.engines.padded import Padded, refusal
from raw2vec.folder import embedder
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


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 2), (9, 2), (700, 2), (700, 3), (5000, 8)])
def test_every_worker_has_as_much_to_do(count: int, workers: int) -> None:
    lengths = torch.randint(1, 40, (count,), generator=torch.Generator().manual_seed(count))
    found = shares(lengths, 512, workers)
    assert sorted(torch.cat([*found, torch.zeros(0, dtype=torch.long)]).tolist()) == list(range(count))
    tokens = [int(lengths[part].sum()) for part in found]
    assert all(each <= 512 + 39 for each in tokens)
    if count > 9:
        assert len(found) % workers == 0
        assert max(tokens) - min(tokens) <= 2 * 39
        assert (lengths[torch.cat(found)].diff() <= 0).all(), "longest first"


def test_an_engine_of_several_workers_cuts_for_them() -> None:
    class Plain(Engine):
        name, workers, tokens = "none", 2, 64

        def run(self, windows: Any) -> Any: ...

    lengths = torch.full((36,), 10)
    assert [len(part) for part in Plain().batches(lengths, None, None)] == [6] * 6
    assert [len(part) for part in Plain().batches(lengths, 100, None)] == [10, 10, 10, 6], "what is asked for holds"
