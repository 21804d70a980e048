"""Batches: every sample once an epoch, within the budgets, as pure functions of (seed, epoch)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raw2vec.corpus import Corpus
from raw2vec.errors import BadInput
from raw2vec.recipe import View
from raw2vec.train.batches import Feed

BOTH = View(columns={"input": "a", "target": "b"})
TURNED = View(columns={"input": "b", "target": "a"})


def corpus(lengths: np.ndarray, held: np.ndarray | None = None, labels: np.ndarray | None = None) -> Corpus:
    """Rows by columns of these lengths; every id tells its row and column: 10 · row + column."""
    rows, columns = lengths.shape
    flat = lengths.reshape(-1)
    owners = np.repeat(np.arange(rows * columns), flat)
    ids = (owners // columns * 10 + owners % columns).astype(np.uint32)
    starts = (flat.cumsum() - flat).reshape(rows, columns)
    kept = np.zeros(rows, np.bool_) if held is None else held
    return Corpus(("a", "b", "c")[:columns], ids, starts, lengths[:, :, None], kept, labels)


sizes = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60)
modes = st.sampled_from([(None, None), (None, 4), (50, None), (50, 3)])


@given(sizes, modes, st.integers(0, 3), st.integers(0, 5), st.sampled_from(["pair", "sides"]))
def test_every_sample_once_an_epoch(lengths, mode, seed, epoch, needs) -> None:
    table = corpus(np.array(lengths, np.int64))
    whole = (table.lengths > 0).all(axis=1).sum() if needs == "pair" else (table.lengths > 0).sum()
    if not whole:
        with pytest.raises(BadInput, match="'a'"):
            Feed(table, [BOTH], needs, False, seed, *mode)
        return
    batches = Feed(table, [BOTH], needs, False, seed, *mode).epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(whole))
    assert all(len(batch) for batch in batches)


@given(sizes, st.integers(1, 120), st.sampled_from([None, 3]))
def test_token_budgets_are_kept(lengths, tokens, items) -> None:
    table = corpus(np.array([*lengths, (5, 5)], np.int64))
    feed = Feed(table, [BOTH], "sides", False, 0, tokens, items)
    for samples in feed.epoch(0):
        assert feed.lengths()[samples].sum() <= tokens or len(samples) == 1
        assert items is None or len(samples) <= items


def test_token_batches_hold_items_of_like_length_and_are_nearly_full() -> None:
    draw = np.random.default_rng(0)
    feed = Feed(corpus(draw.integers(1, 100, (2000, 1))), [View(columns={"input": "a"})], "sides", False, 0, 500)
    batches, lengths = feed.epoch(0), feed.lengths()
    assert np.mean([np.ptp(lengths[batch]) for batch in batches]) < 5
    assert np.mean([lengths[batch].sum() for batch in batches]) > 425
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.2, "short and long batches are mixed"


def test_an_order_is_a_pure_function_of_seed_and_epoch() -> None:
    table = corpus(np.full((50, 2), 3))
    orders = {}
    for seed in (0, 1):
        for epoch in (0, 1, 0):
            batches = Feed(table, [BOTH], "pair", False, seed, batch_items=8).epoch(epoch)
            found = tuple(np.concatenate(batches).tolist())
            assert orders.setdefault((seed, epoch), found) == found
    assert len(set(orders.values())) == 4


def test_held_out_rows_are_never_trained_on_nor_the_others_judged_by() -> None:
    held = np.arange(40) % 4 == 0
    table = corpus(np.full((40, 2), 3), held)
    for needs in ("pair", "sides"):
        for kept in (False, True):
            feed = Feed(table, [BOTH], needs, kept, 0, batch_items=8)
            ids = {int(i) for b in feed.epoch(0) for side in feed.batch(b).sides.values() for i in side.values // 10}
            assert ids == set(np.flatnonzero(held == kept).tolist())


def test_views_read_a_row_their_own_way_and_weights_thin_them_out() -> None:
    table = corpus(np.full((2000, 2), 2))
    feed = Feed(table, [BOTH, TURNED.model_copy(update={"weight": 0.25})], "pair", False, 0, batch_items=100)
    counts = []
    for epoch in range(4):
        samples = np.concatenate(feed.epoch(epoch))
        assert len(set(samples.tolist())) == len(samples)
        batch = feed.batch(samples)
        columns = batch.sides["input"].values[::2] % 10
        assert torch.equal(batch.sides["target"].values[::2] % 10, 1 - columns)
        assert torch.equal(batch.sides["target"].values // 10, batch.sides["input"].values // 10)
        assert len(set(batch.items.tolist())) == len(samples), "every view of a row draws by itself"
        assert int((columns == 0).sum()) == 2000
        counts.append(int((columns == 1).sum()))
    assert all(400 < count < 600 for count in counts)
    assert len(set(counts)) > 1, "each epoch draws anew"


def test_an_epoch_is_never_empty() -> None:
    feed = Feed(corpus(np.full((3, 2), 2)), [BOTH.model_copy(update={"weight": 1e-6})], "pair", False, 0, 100)
    assert all(sum(map(len, feed.epoch(epoch))) >= 1 for epoch in range(5))


def test_views_of_other_roles_are_refused() -> None:
    with pytest.raises(BadInput, match="same roles"):
        Feed(corpus(np.full((3, 2), 2)), [BOTH, View(columns={"input": "a"})], "pair", False, 0)


def test_labels_go_with_their_rows() -> None:
    table = corpus(np.full((30, 1), 2), labels=np.arange(30) * 10)
    feed = Feed(table, [View(columns={"input": "a"})], "labels", False, 0, batch_items=7)
    for samples in feed.epoch(0):
        batch = feed.batch(samples)
        assert batch.labels is not None
        assert torch.equal(batch.labels, batch.sides["input"].values[::2])


def test_what_is_judged_by_is_the_same_every_time_and_no_more_than_asked() -> None:
    held = np.ones(50, np.bool_)
    feed = Feed(corpus(np.full((50, 2), 3), held), [BOTH], "pair", True, 0, batch_items=8)
    once, twice = feed.some(20), feed.some(20)
    assert sum(map(len, once)) == 20
    assert all(torch.equal(a.items, b.items) for a, b in zip(once, twice, strict=True))
    assert sum(map(len, feed.some(1000))) == 50
