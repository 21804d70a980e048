"""Health: known spectra and spreads give the known numbers, and every illness its sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import SPACE, health
from raw2vec.evaluate.health import (
    active_units,
    alignment,
    dead_dimensions,
    duplicates,
    effective_rank,
    first_share,
    hubness,
    mean_cosine,
    uniformity,
)

GAUSSIAN = np.random.default_rng(0).normal(size=(3000, 32))
LINE = np.random.default_rng(1).normal(size=(500, 1)) @ np.random.default_rng(2).normal(size=(1, 32))


def said(rows, word, **more) -> bool:
    return any(word in sentence for sentence in health(rows, **more).warnings())


def test_an_isotropic_gaussian_is_healthy():
    found = health(GAUSSIAN)
    assert found.effective_rank == pytest.approx(32, rel=0.01)
    assert found.first_share == pytest.approx(1 / 32, rel=0.3)
    assert found.mean_cosine == pytest.approx(0, abs=0.01)
    assert found.uniformity == pytest.approx(-3.76, abs=0.05)  # log E exp(4 cos - 4) on the sphere in 32 dimensions
    assert found.dead_dimensions == found.zero_vectors == found.duplicates == 0
    assert found.warnings() == []


def test_effective_rank_of_known_spectra():
    assert effective_rank(LINE) == pytest.approx(1, abs=1e-3)
    rows = np.concatenate([np.eye(4), -np.eye(4)]) * [4, 2, 1, 1]  # singular values in the ratio 4, 2, 1, 1
    share = np.array([4, 2, 1, 1]) / 8
    assert effective_rank(rows) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert first_share(rows) == pytest.approx(16 / 22)
    assert effective_rank(rows.T @ np.ones((8, 30))) <= 4  # fewer vectors than dimensions


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 20), st.integers(1, 12), st.integers(0, 999))
def test_effective_rank_is_the_singular_values_own_and_knows_no_scale_shift_or_turn(items, width, seed):
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(items, width))
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    share = values[values > 1e-9 * values[0]] / values.sum()
    assert effective_rank(rows) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-6)
    turn = np.linalg.qr(draw.normal(size=(width, width)))[0]
    assert effective_rank(3 * rows @ turn + 1) == pytest.approx(effective_rank(rows), rel=1e-6)


def test_means_over_pairs_by_definition():
    rows = GAUSSIAN[:50]
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    other = ~np.eye(50, dtype=bool)
    distances = ((directions[:, None] - directions[None]) ** 2).sum(axis=2)
    assert uniformity(rows) == pytest.approx(np.log(np.exp(-2 * distances[other]).mean()))
    assert mean_cosine(rows) == pytest.approx((directions @ directions.T)[other].mean())
    assert alignment(rows, rows[::-1]) == pytest.approx(((directions - directions[::-1]) ** 2).sum(axis=1).mean())


def test_hubness_by_definition():
    rows = GAUSSIAN[:200]
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = directions @ directions.T - 9 * np.eye(200)
    nearest = np.argsort(-scores, axis=1)[:, :10]
    assert hubness(rows) == pytest.approx(skew(np.bincount(nearest.ravel(), minlength=200)))


def test_pairs_and_compression():
    close = health(GAUSSIAN, GAUSSIAN + 0.1, raw_bytes=3000 * 32 * 8)
    assert close.alignment < 0.05
    assert close.random_alignment == pytest.approx(2, abs=0.1)
    assert close.compression == 2
    assert said(GAUSSIAN, "hardly closer than strangers", partners=GAUSSIAN[::-1])
    with pytest.raises(BadInput, match="pairs need equal ones"):
        health(GAUSSIAN, GAUSSIAN[:5])


def test_every_illness_has_its_sentence():
    assert said(np.full((40, 8), 0.3), "all 40 vectors are the same")
    assert said(np.full((40, 8), 0.3) + 1e-9 * GAUSSIAN[:40, :8], "all 40 vectors are the same")
    assert said(GAUSSIAN[:, :3] @ GAUSSIAN[:3], "the vectors use 3 of 32 dimensions")
    assert said(GAUSSIAN * (np.arange(32) > 1), "2 of 32 dimensions are dead")
    assert said(GAUSSIAN * (np.arange(3000) > 0)[:, None], "1 of 3000 vectors are all zeros")
    assert said(GAUSSIAN * np.where(np.arange(32) == 0, 9, 1), "one direction holds")
    assert said(GAUSSIAN + 5, "point much the same way")
    assert said(np.concatenate([GAUSSIAN, GAUSSIAN[:300]]), "9% of the vectors repeat")
    assert said(GAUSSIAN[:20], "20 vectors cannot fill 32 dimensions")
    star = np.concatenate([np.full((1, 400), 0.05), np.eye(400)])  # one hub in the middle of strangers
    assert said(star, "near everything")


def test_dead_dimensions_and_duplicates_are_relative_to_the_scale():
    assert dead_dimensions(GAUSSIAN * 1e-9) == 0
    assert dead_dimensions(np.ones((5, 3))) == 3
    assert duplicates(np.array([[1.0, 2], [1, 2], [1 + 1e-9, 2], [3, 4]]) * 1e-8) == 0.5


def test_unusable_vectors():
    with pytest.raises(BadInput, match="two or more vectors"):
        health(np.ones((1, 3)))
    with pytest.raises(NonFinite, match="item 1 is not finite"):
        health(np.array([[1.0], [np.inf]]))
    assert health(np.array([[1.0, 0], [0, 1]])).items == 2


def test_the_space_protocol():
    texts = [f"text {i}" for i in range(60)]
    report = SPACE.run(lambda asked, role: GAUSSIAN[: len(asked)], {"input": texts, "target": texts})
    assert report.protocol == "space/1"
    assert report.metrics["alignment"] == pytest.approx(0)
    assert report.metrics["compression"] < 1
    assert "alignment" not in SPACE.run(lambda asked, role: GAUSSIAN[: len(asked)], {"input": texts}).metrics


def gaussian_latent(active: int) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means (3000, 32) of which `active` units vary, and their KLs: 2 nats there, next to none elsewhere."""
    vary = np.arange(32) < active
    return GAUSSIAN * np.where(vary, 1.0, 0.05), np.where(vary, 2.0, 0.001) * np.ones((3000, 1))


def test_active_units_and_their_kl():
    means, kl = gaussian_latent(20)
    found = health(means, kl=kl)
    assert found.active_units == active_units(means) == 20
    assert found.kl == pytest.approx(20 * 2 + 12 * 0.001)
    assert found.unit_kl == pytest.approx([2] * 20 + [0.001] * 12)
    assert found.as_dict()["active_units"] == 20
    assert "unit_kl" not in found.as_dict()
    assert not any("carry information" in sentence for sentence in found.warnings())
    assert active_units(np.array([[0.0, 0.0], [0.2, 0.1]])) == 1  # variances 0.02 and 0.005
    assert health(means).active_units is None


def test_a_collapsed_posterior_has_its_sentence():
    means, kl = gaussian_latent(3)
    assert health(means, kl=kl).warnings()[0] == (
        "3 of 32 units carry information: the posterior has collapsed onto the prior in the others; "
        "lower beta or raise free_bits"
    )
    assert said(means * 0.01, "0 of 32 units carry information", kl=kl)
    assert said(GAUSSIAN[:, :1] * 0.01, "0 of 1 units carry information", kl=kl[:, :1])
    with pytest.raises(BadInput, match=r"Vectors of shape \(3000, 32\) have KLs of shape \(3000, 3\)"):
        health(means, kl=kl[:, :3])
    with pytest.raises(NonFinite, match="The KL of item 7 is not finite"):
        health(means, kl=np.where(np.arange(3000)[:, None] == 7, np.nan, kl))
