"""Batches for cores that work side by side: about as much for each, and each item once."""

import pytest
import torch

from raw2vec.engines.base import OnCores, shares


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
    engine, lengths = OnCores(torch.nn.Identity()), torch.full((36,), 10)
    engine.workers, engine.tokens = 2, 64
    assert [len(part) for part in engine.batches(lengths, None, None)] == [6] * 6
    assert [len(part) for part in engine.batches(lengths, 100, None)] == [10, 10, 10, 6], "what is asked for holds"
    assert [len(part) for part in engine.batches(lengths[:1], None, None)] == [1]
    engine.tokens = 2048
    assert [len(part) for part in engine.batches(lengths, None, None)] == [36], "too few to be worth another core"
