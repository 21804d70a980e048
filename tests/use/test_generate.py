"""The way back: known answers of a tiny autoencoder, one law for every batch, and sentences for what cannot be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from raw2vec.errors import BadInput, NonFinite
from raw2vec.latents import Point, Quantised
from raw2vec.use import generate
from raw2vec.use.generate import decode, interpolate, reconstruct, sample, seen
from tiny_autoencoder import Arrays, doubtful, embedder_only, parts, pictures, reconstructed

sizes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=8)
FIXED = Arrays(shape=(2, 3))


def test_a_code_becomes_the_item_that_it_stands_for() -> None:
    made = decode(parts(FIXED), [[0.2, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(made[0], [[255, 51, 51], [51, 51, 51]])
    np.testing.assert_array_equal(made[1], [[0, 255, 255], [255, 255, 255]])
    assert made[0].dtype == np.uint8


@given(sizes)
def test_every_size_comes_back_in_its_own_place(asked: list[tuple[int, int]]) -> None:
    codes = np.linspace(0, 1, 2 * len(asked)).reshape(-1, 2)
    made = decode(parts(), codes, asked)
    assert [item.shape for item in made] == asked
    for item, code in zip(made, codes, strict=True):
        assert item.flat[0] == np.round(255 * code[1])
        assert (item.flat[1:] == np.round(255 * np.float32(code[0]))).all()


@given(sizes)
def test_items_go_through_their_own_codes(asked: list[tuple[int, int]]) -> None:
    items = pictures(*asked)
    for made, item in zip(reconstruct(parts(), items), items, strict=True):
        assert abs(made.astype(int) - reconstructed(item)).max() <= 1, "a mean of exactly one half may round either way"


def test_small_portions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    items = pictures((1, 2), (4, 4), (3, 1), (2, 2), (5, 5), (1, 1))
    whole = reconstruct(parts(), items)
    monkeypatch.setattr(generate, "BATCH_TOKENS", 8)
    for one, other in zip(reconstruct(parts(), items), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_windows_of_a_long_item_are_put_back_in_order() -> None:
    strip, short = np.array([1.0, 3, 5, 7, 9], np.float32), np.array([2.0], np.float32)
    model = parts(Arrays(dimensions=1, room=2))
    made = reconstruct(model, [short, strip, short])
    np.testing.assert_allclose(made[1], [1, 2, 5, 6, 9])
    np.testing.assert_allclose(made[2], [2])
    cut = reconstruct(parts(Arrays(dimensions=1, room=2, cut=True)), [strip])
    np.testing.assert_allclose(cut[0], [1, 2])


def test_nothing_in_nothing_out() -> None:
    assert reconstruct(parts(), []) == []
    assert decode(parts(FIXED), np.empty((0, 2))) == []
    assert sample(parts(FIXED, doubtful()), 0) == []


def test_a_length_or_lengths_are_the_sizes_of_sequences() -> None:
    model = parts(Arrays(dimensions=1))
    assert [len(item) for item in decode(model, torch.zeros(2, 2), 4)] == [4, 4]
    assert [len(item) for item in decode(model, torch.zeros(2, 2), [4, 1])] == [4, 1]
    assert [len(item) for item in decode(model, torch.zeros(2, 2), [[4], [1]])] == [4, 1]


@pytest.mark.parametrize("asked", [[0, 3], [1.5, 2], [[1, 2], [3, 4], [5, 6]], [[1, 2, 3]], 7, [[1], [2, 3]], "big"])
def test_sizes_that_are_none_are_refused(asked: object) -> None:
    with pytest.raises(BadInput, match="Sizes are 2 times 2 whole numbers above 0"):
        decode(parts(), np.zeros((2, 2)), asked)


def test_where_sizes_differ_the_usual_one_is_made_and_where_they_do_not_no_other() -> None:
    assert [item.shape for item in decode(parts(), np.zeros((2, 2)))] == [(3, 5), (3, 5)]
    with pytest.raises(BadInput, match="Every item of this model is 2 × 3"):
        decode(parts(FIXED), np.zeros((1, 2)), (3, 3))


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (np.zeros((2, 3)), r"of shape \(n, 2\), not \(2, 3\)"),
        (np.zeros(2), r"of shape \(n, 2\), not \(2,\)"),
        ([[0, 1], [np.nan, 0]], "Code 1 holds a number that is not finite"),
        ([["a", "b"]], "rows of 2 numbers"),
    ],
)
def test_codes_that_are_none_are_refused(codes: object, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        decode(parts(FIXED), codes)


def test_a_code_that_leads_nowhere_is_named() -> None:
    with pytest.raises(NonFinite, match="Item 1 comes back"):
        decode(_broken(), [[0, 0], [2e38, 0], [0, 0]], [3, 2, 4])


def _broken():
    """Strips whose states overflow for the largest codes."""
    model = parts(Arrays(dimensions=1))
    nn.init.constant_(model.model.decoder.scale, 10.0)
    return model


@pytest.mark.parametrize("use", [lambda m: decode(m, [[0, 0]]), lambda m: reconstruct(m, []), lambda m: sample(m, 1)])
def test_a_model_without_a_way_back_says_how_to_get_one(use) -> None:
    with pytest.raises(BadInput, match="no decoder: fit it with --objective reconstruction or variational"):
        use(embedder_only())


def test_samples_follow_the_prior_and_the_seed() -> None:
    model = parts(Arrays(dimensions=1, shape=(2,)), doubtful())
    drawn = np.array(sample(model, 4000, seed=3))
    assert abs(drawn.mean(0)).max() < 0.06
    assert abs(drawn.std(0) - 1).max() < 0.05
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.06
    np.testing.assert_allclose(sample(model, 5, seed=3), drawn[:5], atol=1e-6)
    assert abs(np.array(sample(model, 5, seed=4)) - drawn[:5]).min() > 0


def test_samples_follow_a_mixture_fitted_to_codes() -> None:
    draw = np.random.default_rng(0)
    codes = np.concatenate([draw.normal(-100, 3, (300, 2)), draw.normal([300, 0], [1, 9], (900, 2))])
    made = np.array(sample(parts(Arrays(dimensions=1, shape=(2,))), 4000, codes=codes, components=2))
    second, first = made.T
    right = first > 100
    assert abs(right.mean() - 0.75) < 0.03
    for there, column, centre, deviation in (
        (right, first, 300, 1),
        (right, second, 0, 9),
        (~right, first, -100, 3),
        (~right, second, -100, 3),
    ):
        assert abs(column[there].mean() - centre) < deviation / 4
        assert abs(column[there].std() / deviation - 1) < 0.15
    again = sample(parts(Arrays(dimensions=1, shape=(2,))), 3, codes=codes, components=2)
    np.testing.assert_allclose(again, made[:3], rtol=1e-5)


def test_a_quantised_latent_draws_from_its_codebook() -> None:
    latent = Quantised(inputs=2, width=2, codes=3, groups=2)
    latent.codebook.copy_(torch.tensor([[[0.0], [1], [2]], [[10], [20], [30]]]))
    made = np.array(sample(parts(Arrays(dimensions=1, shape=(2,)), latent), 300))
    kinds, counts = np.unique(made, axis=0, return_counts=True)
    np.testing.assert_array_equal(kinds, [[second, first] for second in (10, 20, 30) for first in (0, 1, 2)])
    assert counts.min() > 15


def test_few_codes_and_equal_codes_still_make_a_mixture() -> None:
    made = sample(parts(Arrays(dimensions=1, shape=(2,))), 5, codes=[[0.5, 2.0], [0.5, 2.0]])
    np.testing.assert_allclose(made, [[2.0, 0.5]] * 5, atol=1e-2)
    with pytest.raises(BadInput, match="at least 2 codes, not 1"):
        sample(parts(FIXED), 5, codes=[[0.5, 2.0]])


def test_a_point_has_no_prior() -> None:
    with pytest.raises(BadInput, match="no prior to draw from: hand in data"):
        sample(parts(FIXED), 4)
    with pytest.raises(BadInput, match="-1 items cannot be drawn"):
        sample(parts(FIXED, doubtful()), -1)


def test_a_line_leads_from_one_reconstruction_to_the_other() -> None:
    a, b = np.full((2, 2), 10, np.uint8), np.full((2, 2), 110, np.uint8)
    made = interpolate(parts(), a, b, steps=5)
    assert [int(item[1, 1]) for item in made] == [10, 35, 60, 85, 110]
    for end, item in ((made[0], a), (made[-1], b)):
        np.testing.assert_array_equal(end, reconstruct(parts(), [item])[0])


def test_long_items_go_window_by_window() -> None:
    model = parts(Arrays(dimensions=1, room=2))
    made = interpolate(model, np.array([0.0, 0, 4], np.float32), np.array([2.0, 2, 0], np.float32), steps=3)
    np.testing.assert_allclose(made, [[0, 0, 4], [1, 1, 2], [2, 2, 0]], atol=1e-6)


def test_a_line_through_a_unit_space_stays_in_it() -> None:
    model = parts(Arrays(dimensions=1), Point(2, normalize="unit"))
    made = interpolate(model, np.array([3.0, -3], np.float32), np.array([2.0, 2], np.float32), steps=3)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)


def test_from_a_size_to_another_the_grids_go_along() -> None:
    a, b = pictures((2, 3), (6, 3))
    made = interpolate(parts(), a, b, steps=3)
    assert [item.shape for item in made] == [(2, 3), (4, 3), (6, 3)]
    for end, item in ((made[0], a), (made[-1], b)):
        np.testing.assert_array_equal(end, reconstruct(parts(), [item])[0])


def test_no_number_of_windows_lies_between_two() -> None:
    model = parts(Arrays(dimensions=1, room=2))
    with pytest.raises(BadInput, match="encoded in 3 and 1 windows"):
        interpolate(model, np.zeros(5, np.float32), np.zeros(2, np.float32))
    with pytest.raises(BadInput, match="at least 2 steps, not 1"):
        interpolate(parts(), *pictures((2, 3), (2, 3)), steps=1)


def test_the_model_is_left_as_it_was() -> None:
    model = parts(FIXED)
    model.model.train()
    decode(model, [[0, 0]])
    assert model.model.training


def test_items_as_the_model_sees_them() -> None:
    strip = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(seen(parts(Arrays(dimensions=1, room=2)), [strip])[0], strip)
    np.testing.assert_array_equal(seen(parts(Arrays(dimensions=1, room=2, cut=True)), [strip])[0], strip[:2])
    assert seen(parts(), []) == []
