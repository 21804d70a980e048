"""Likelihood: bits of uniform models, nats of factorised ones by hand, and what may not be compared."""

import numpy as np
import pytest
from scipy.stats import norm

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import BINARY_LIKELIHOOD, LEVELS_LIKELIHOOD, LIKELIHOOD, TEXT_LIKELIHOOD, Bounds
from raw2vec.evaluate.array_baselines import LEAST_DEVIATION

ROWS = np.random.default_rng(0).random((40, 6))


def flat(items):
    """The uniform density on [0, 1]: no nats at all."""
    return Bounds(np.full(len(items), 6), log_likelihood=np.zeros(len(items)))


def test_a_uniform_model_takes_eight_bits_a_dimension_at_256_levels():
    report = LIKELIHOOD.run(flat, {"input": ROWS}, levels=256)
    assert report.protocol == "likelihood/1"
    assert report.metrics == pytest.approx({"nats": 0, "bits_per_dim": 8})
    bare = LIKELIHOOD.run(flat, {"input": ROWS})
    assert bare.metrics["bits_per_dim"] == 0
    for name, metrics in bare.baselines.items():  # the correction is everyone's
        assert report.baselines[name]["bits_per_dim"] == pytest.approx(metrics["bits_per_dim"] + 8)
    nats = Bounds(np.full(40, 6), log_likelihood=np.full(40, -6 * np.log(256)))
    counted = LEVELS_LIKELIHOOD.run(lambda items: nats, {"input": ROWS})  # probabilities need no correction
    assert counted.metrics["bits_per_dim"] == pytest.approx(8)


def test_metrics_are_means_over_items_and_elements():
    bounds = Bounds(np.array([1, 3]), elbo=np.array([-2.0, -4.0]), kl=np.array([1.0, 2.0]))
    report = TEXT_LIKELIHOOD.run(lambda items: bounds, {"input": ["a", "b b b"]})
    assert report.metrics == pytest.approx({"nats": 3, "bits_per_dim": 1.5 / np.log(2), "elbo": -3, "kl": 1.5})
    assert "nats are minus the ELBO: the model's own are no more than that" in report.notes
    tighter = bounds._replace(log_likelihood=np.array([-1.0, -3.0]))
    report = TEXT_LIKELIHOOD.run(lambda items: tighter, {"input": ["a", "b b b"]})
    assert report.metrics["nats"] == 2
    assert not any("ELBO" in note for note in report.notes)


def test_bernoullis_by_hand():
    train, test = [[1.0, 0], [1, 0], [0, 0]], [[1.0, 0], [0, 0.5], [1, np.nan]]
    bounds = Bounds(np.array([2, 2, 1]), elbo=np.full(3, -1.0))
    report = BINARY_LIKELIHOOD.run(lambda items: bounds, {"input": test}, train={"input": train})
    a, b = 3 / 5, 1 / 5  # (ones + 1) / (items + 2)
    costs = [np.log(a) + np.log(1 - b), np.log(1 - a) + 0.5 * np.log(b) + 0.5 * np.log(1 - b), np.log(a)]
    (baseline,) = report.baselines.values()
    assert baseline == pytest.approx({"nats": -np.mean(costs), "bits_per_dim": -np.sum(costs) / 5 / np.log(2)})


def test_gaussians_are_scipys():
    train, test = ROWS[:30].copy(), ROWS[30:].copy()
    train[3, 2] = test[0, 0] = np.nan
    train[:, 5] = test[:, 5] = 0.25  # an element that never varies
    report = LIKELIHOOD.run(lambda items: flat(items), {"input": test}, train={"input": train})
    mean, deviation = np.nanmean(train, axis=0), np.maximum(np.nanstd(train, axis=0), LEAST_DEVIATION)
    own, shared = report.baselines["a Gaussian an element"], report.baselines["Gaussians of one deviation"]
    assert own["nats"] == pytest.approx(-np.nansum(norm.logpdf(test, mean, deviation)) / 10)
    one = np.sqrt(np.nanvar(train, axis=0).mean())
    assert shared["nats"] == pytest.approx(-np.nansum(norm.logpdf(test, mean, one)) / 10)
    assert any("does not beat a Gaussian an element (nats" in note for note in report.notes)


def test_histograms_by_hand_and_no_level_is_impossible():
    train, test = [[0.0], [0.0], [1.0]], [[0.0], [1.0], [0.5]]
    bounds = Bounds(np.ones(3), elbo=np.zeros(3))
    report = LEVELS_LIKELIHOOD.run(lambda items: bounds, {"input": test}, train={"input": train})
    chances = (np.array([2, 1, 0]) + 1 / 256) / 4
    (baseline,) = report.baselines.values()
    assert baseline["nats"] == pytest.approx(-np.log(chances).mean())
    with_holes = LEVELS_LIKELIHOOD.run(lambda items: bounds, {"input": [[0.0], [np.nan], [1.0]]})
    (baseline,) = with_holes.baselines.values()
    assert baseline["nats"] == pytest.approx(-2 * np.log((1 + 1 / 256) / 3) / 3)


def test_items_of_many_sizes_have_no_baselines():
    report = LIKELIHOOD.run(lambda items: Bounds([1, 2], elbo=[0.0, 0.0]), {"input": [np.ones(1), np.ones(2)]})
    assert report.baselines == {}
    assert any("the items differ in shape" in note for note in report.notes)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (Bounds([1, 1]), "neither an ELBO nor a log-likelihood"),
        (Bounds([1, 1], elbo=[0.0]), r"The ELBOs have shape \(1,\) where 2 items need one number each"),
        (Bounds([0, 0], elbo=[0.0, 0.0]), "The 2 items have no elements"),
    ],
)
def test_bounds_that_say_nothing(bounds, said):
    with pytest.raises(BadInput, match=said):
        LIKELIHOOD.run(lambda items: bounds, {"input": [[0.0], [1.0]]})


def test_what_is_not_finite_or_not_in_range():
    with pytest.raises(NonFinite, match=r"Of the KLs, item 1's is nan \(1 of 2 are not finite\)"):
        LIKELIHOOD.run(lambda items: Bounds([1, 1], elbo=[0, 0], kl=[0, np.nan]), {"input": [[0.0], [1.0]]})
    with pytest.raises(BadInput, match=r"Item 1 holds a number outside \[0, 1\]"):
        BINARY_LIKELIHOOD.run(lambda items: Bounds([1, 1], elbo=[0, 0]), {"input": [[0.0], [1.5]]})
    with pytest.raises(BadInput, match="levels is 1"):
        LIKELIHOOD.run(flat, {"input": ROWS}, levels=1)
