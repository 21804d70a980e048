"""Draws: pure functions of (seed, epoch, item, purpose), even and independent."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raw2vec.seeding import Draws, as_normal, generator, key, permutation

items = st.lists(st.integers(0, 2**40), min_size=1, max_size=20, unique=True)


@given(items, st.data())
def test_a_draw_never_depends_on_batch_mates(numbers, data) -> None:
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=len(numbers), max_size=len(numbers)))
    draws, together = Draws(3, 1), torch.tensor(numbers)
    whole = draws.uniform("mask", together, torch.tensor(lengths)).split(lengths)
    single = draws.uniform("mask", together)
    for place, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
        alone = torch.tensor([number])
        assert torch.equal(draws.uniform("mask", alone, torch.tensor([length])), whole[place])
        assert torch.equal(draws.uniform("mask", alone)[0], single[place])
        longer = draws.uniform("mask", alone, torch.tensor([length + 5]))
        assert torch.equal(longer[:length], whole[place]), "nor on what comes after"


def test_any_other_part_is_another_draw() -> None:
    place = torch.arange(50)
    parts = [(0, 0, "a", 0), (1, 0, "a", 0), (0, 1, "a", 0), (0, 0, "b", 0), (0, 0, "a", 50)]
    found = [Draws(seed, epoch).uniform(purpose, place + shift) for seed, epoch, purpose, shift in parts]
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            assert len(set(one.tolist()) & set(other.tolist())) <= 1
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


def test_draws_are_even_and_neighbours_know_nothing_of_each_other() -> None:
    rows = Draws(0).uniform("x", torch.arange(2000), torch.full((2000,), 50)).double()
    assert rows.min() >= 0
    assert rows.max() < 1
    counts = torch.histc(rows, 100, 0, 1)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 150, "chi-squared of 99 degrees of freedom"
    grid = rows.view(2000, 50)
    assert abs(np.corrcoef(grid[:-1].flatten(), grid[1:].flatten())[0, 1]) < 0.01
    assert abs(np.corrcoef(grid[:, :-1].flatten(), grid[:, 1:].flatten())[0, 1]) < 0.01


@given(items, st.integers(0, 6), st.integers(0, 3))
def test_a_normal_draw_never_depends_on_batch_mates_or_on_its_width(numbers, width, more) -> None:
    draws = Draws(3, 1)
    whole = draws.normal("noise", torch.tensor(numbers), width)
    assert whole.shape == (len(numbers), width)
    assert whole.dtype == torch.float32
    for number, row in zip(numbers, whole, strict=True):
        assert torch.equal(draws.normal("noise", torch.tensor([number]), width + more)[0, :width], row)


def test_normal_draws_are_normal() -> None:
    found = Draws(0).normal("noise", torch.arange(400), 500).flatten().double()
    assert found.isfinite().all()
    assert stats.kstest(found.numpy(), "norm").pvalue > 0.01
    assert abs(float(found.mean())) < 4 / len(found) ** 0.5
    grid = found.view(400, 500)
    assert abs(np.corrcoef(grid[:-1].flatten(), grid[1:].flatten())[0, 1]) < 0.01
    assert abs(np.corrcoef(grid[:, :-1].flatten(), grid[:, 1:].flatten())[0, 1]) < 0.01


def test_the_ends_of_the_normal_are_finite_and_alike() -> None:
    ends = as_normal(torch.tensor([0.0, 1 - 2.0**-24, 0.5 - 2.0**-24, 0.5]))
    assert 5 < float(ends[1]) < 6
    assert ends[0] == -ends[1]
    assert ends[2] == -ends[3]


def test_keys_tell_every_part_apart() -> None:
    parts = [(1, "a"), ("1", "a"), (1, "b"), (1,), (1, "a", None), ("1, 'a'",), (2, "a")]
    assert len({key(*part) for part in parts}) == len(parts)
    assert all(0 <= key(*part) < 2**63 for part in parts)


def test_draws_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert key(0, "order", 1) == 2002067703672271585
    assert permutation(5, 0, "order", 1).tolist() == [0, 3, 1, 2, 4]
    assert Draws(1, 2).uniform("mask", torch.tensor([3, 4])).tolist() == [0.6916969418525696, 0.48851072788238525]


def test_permutations_and_generators_are_the_seeds_own() -> None:
    assert permutation(1000, 0, "order", 1).tolist() == permutation(1000, 0, "order", 1).tolist()
    assert permutation(1000, 0, "order", 1).tolist() != permutation(1000, 0, "order", 2).tolist()
    assert sorted(permutation(1000, 5).tolist()) == list(range(1000))
    assert permutation(0, 1).tolist() == []
    state = torch.get_rng_state()
    assert torch.equal(torch.rand(3, generator=generator(1, "a")), torch.rand(3, generator=generator(1, "a")))
    assert torch.equal(torch.get_rng_state(), state)
