"""Scores: likelihoods by hand, the same alone and in any batch, and the line between normal and not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw2vec.errors import BadInput, NonFinite, NumberedList
from raw2vec.use import generate
from raw2vec.use.detect import flags, score_samples, threshold, unit
from tiny_autoencoder import LOG_2PI, Arrays, doubtful, embedder_only, parts, pictures


def by_hand(item: np.ndarray) -> float:
    """Unit normal about the mean, but for the first value, which is known; of the whole item."""
    off = (item - item.mean()).flat[1:]
    return float(-0.5 * (off @ off + item.size * LOG_2PI))


def test_a_point_gives_the_likelihood_given_the_code() -> None:
    items = pictures((2, 3), (4, 4), (1, 1))
    scores = score_samples(parts(), items)
    np.testing.assert_allclose(scores, [by_hand(item / 255) / item.size for item in items], rtol=1e-5)
    assert scores.dtype == np.float64
    alike = parts(Arrays(shape=(2, 3)))
    np.testing.assert_allclose(score_samples(alike, items[:1]), [by_hand(items[0] / 255)], rtol=1e-5)
    assert (unit(parts()), unit(alike)) == ("nats an element", "nats")


def test_a_larger_item_is_no_stranger_one() -> None:
    """Items of the same noise and of any size score about the same, and the odd ones are found among the small."""
    draw = np.random.default_rng(0)
    items = [np.float32(draw.normal(size=size)) for size in range(20, 200, 10)]
    odd = [np.float32(3 * draw.normal(size=20)) for _ in range(3)]
    scores = score_samples(parts(Arrays(dimensions=1)), items)
    assert np.ptp(scores) < 1
    assert score_samples(parts(Arrays(dimensions=1)), odd).max() < scores.min()


def test_doubt_gives_the_evidence_lower_bound() -> None:
    """E[log p(x|z)] - KL in closed form: the squares grow by the variance, once for each value."""
    items, deviation = pictures((2, 3), (4, 4)), 0.1
    model = parts(latent=doubtful(deviation))
    found = score_samples(model, items, samples=3000)
    for score, item in zip(found, items, strict=True):
        values = item / 255
        mean = np.array([values.mean(), values.flat[0]])
        kl = (0.5 * (mean**2 + deviation**2 - 1) - np.log(deviation)).sum()
        assert abs(score * item.size - (by_hand(values) - 0.5 * item.size * deviation**2 - kl)) < 0.02


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=6), st.integers(0, 5))
def test_an_item_scores_the_same_wherever_it_is(sizes: list[tuple[int, int]], seed: int) -> None:
    model, items = parts(latent=doubtful()), pictures(*sizes, seed=seed)
    together = score_samples(model, items, seed=seed)
    np.testing.assert_allclose([score_samples(model, [item], seed=seed)[0] for item in items], together, atol=1e-5)
    np.testing.assert_allclose(score_samples(model, items[::-1], seed=seed)[::-1], together, atol=1e-5)


def test_draws_are_of_the_seed_and_of_the_item() -> None:
    model, (one, other) = parts(latent=doubtful()), pictures((3, 3), (3, 3))
    assert score_samples(model, [one], seed=0) != score_samples(model, [one], seed=1)
    assert score_samples(model, [one], samples=2) != score_samples(model, [one])
    shaped = score_samples(model, [np.zeros((1, 4), np.uint8), np.zeros((2, 2), np.uint8)])
    assert shaped[0] != shaped[1]
    assert score_samples(model, [one]) != score_samples(model, [other])


def test_small_portions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, items = parts(latent=doubtful()), pictures((1, 2), (4, 4), (3, 1), (2, 2), (5, 5))
    whole = score_samples(model, items)
    monkeypatch.setattr(generate, "BATCH_TOKENS", 8)
    np.testing.assert_allclose(score_samples(model, items), whole, atol=1e-5)


def test_the_windows_of_a_long_item_add_up() -> None:
    strip = np.array([1.0, 3, 5, 7, 9], np.float32)
    model = parts(Arrays(dimensions=1, room=2))
    whole = sum(by_hand(window) for window in (strip[:2], strip[2:4], strip[4:]))
    np.testing.assert_allclose(score_samples(model, [strip[:1], strip])[1], whole / 5, rtol=1e-6)


def test_odd_items_score_low() -> None:
    draw = np.random.default_rng(0)
    normal = [np.float32(level + 0.1 * draw.normal(size=8)) for level in draw.normal(size=50)]
    odd = [np.float32(3 * draw.normal(size=8)) for _ in range(10)]
    model = parts(Arrays(dimensions=1))
    assert score_samples(model, odd).max() < score_samples(model, normal).min()


def test_a_score_that_is_none_is_named() -> None:
    items = [np.float32([1, 2]), np.float32([1e38, 3e38])]
    with pytest.raises(NonFinite, match=r"Item 1 has a score that is not finite\..*weights may be damaged"):
        score_samples(parts(Arrays(dimensions=1)), items)
    with pytest.raises(NonFinite, match="Row 9 has a score"):
        score_samples(parts(Arrays(dimensions=1)), NumberedList([4, 9], items))


def test_gaps_are_what_is_wrong_with_an_item_that_has_gaps() -> None:
    items = [np.float32([1, 2]), np.float32([1, np.nan, 2])]
    with pytest.raises(NonFinite, match=r"Item 1 has a score that is not finite\. The item has gaps \(NaN\)"):
        score_samples(parts(Arrays(dimensions=1)), items)


def test_the_threshold_leaves_the_asked_share_below() -> None:
    scores = np.random.default_rng(0).permutation(1000).astype(float)
    line = threshold(scores, 0.05)
    assert (scores < line).sum() == 50
    assert (flags(scores - line) == -1).sum() == 50
    np.testing.assert_array_equal(flags([-1e-9, 0.0, 2.0]), [-1, 1, 1])


@pytest.mark.parametrize("share", [0, 0.6, -1, float("nan")])
def test_shares_that_are_none_are_refused(share: float) -> None:
    with pytest.raises(BadInput, match="contamination is the share of anomalies"):
        threshold([1.0, 2.0], share)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(BadInput, match="no decoder"):
        score_samples(embedder_only(), pictures((2, 2)))
    with pytest.raises(BadInput, match="at least 1 sample"):
        score_samples(parts(), pictures((2, 2)), samples=0)
    with pytest.raises(BadInput, match="no scores"):
        threshold([], 0.1)
