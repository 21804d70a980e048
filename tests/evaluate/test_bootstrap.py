"""The bootstrap: intervals that cover what they claim, the same for a seed, paired between contestants."""

import numpy as np
import pytest

from raw2vec.evaluate import bootstrap
from raw2vec.evaluate.base import MODEL, Measured
from raw2vec.evaluate.bootstrap import compare, interval, resample, superiority


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    draw = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        sample = draw.exponential(1.0, 80)
        low, high = compare({MODEL: Measured.means({"mean": sample})}, seed).intervals["mean"]
        covered += low <= 1.0 <= high
    assert 0.89 <= covered / 300 <= 0.98


def test_the_width_is_that_of_the_standard_error():
    values = np.random.default_rng(1).normal(size=400)
    low, high = compare({MODEL: Measured.means({"mean": values})}, 0).intervals["mean"]
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_every_resample_draws_as_many_items_as_there_are(monkeypatch):
    seen = []
    monkeypatch.setattr(bootstrap, "BLOCK", 100)  # several blocks
    measured = Measured(7, lambda counts: seen.append(counts) or {"x": counts[:, 0]})
    assert resample({MODEL: measured}, 3, resamples=50)[MODEL]["x"].shape == (50,)
    counts = np.concatenate(seen)
    assert len(seen) == 4
    assert (counts.sum(axis=1) == 7).all()
    assert len(np.unique(counts, axis=0)) > 40


def test_a_seed_decides_everything():
    measured = {MODEL: Measured.means({"mean": np.arange(50.0)})}
    assert compare(measured, 5) == compare(measured, 5)
    assert compare(measured, 5) != compare(measured, 6)


def test_differences_are_paired():
    hard = np.random.default_rng(2).normal(size=100)  # far more spread than the difference
    found = compare({MODEL: Measured.means({"m": hard + 0.01}), "b": Measured.means({"m": hard})}, 0)
    assert found.ahead == {"b": {"m": 1.0}}


def test_less_is_better_for_costs_and_level_counts_half():
    low, high = Measured.means({"nats": np.ones(9)}), Measured.means({"nats": np.full(9, 2.0)})
    assert compare({MODEL: low, "b": high}, 0).ahead["b"]["nats"] == 1
    assert compare({MODEL: low, "b": low}, 0).ahead["b"]["nats"] == 0.5
    assert superiority(np.array([1.0, 2.0, 3.0, 3.0]), np.array([2.0, 2.0, 2.0, 2.0])) == 0.625


def test_one_item_has_an_interval_of_no_width():
    assert compare({MODEL: Measured.means({"m": np.array([0.3])})}, 0).intervals["m"] == pytest.approx((0.3, 0.3))
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1, 1)


def test_an_interval_that_leaves_out_the_estimate_is_none():
    beside = Measured(9, lambda counts: {"x": np.where((counts == 1).all(axis=1), 0.0, 1.0)})
    assert np.isnan(compare({MODEL: beside}, 0).intervals["x"]).all()
