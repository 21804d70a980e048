"""The budget: a run of M minutes ends within 5% of them whatever the steps take, and the rate follows."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.recipe import Training
from raw2vec.train.budget import Budget, rate


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def spend(
    budget: Budget, clock: Clock, seconds: Callable[[int], float], first: int = 0, ends: tuple[float, ...] = (1.0,)
) -> int:
    """Steps through the stages that end at these shares, each step of `seconds(step)`; gives the number of steps."""
    step, begin = first, budget.share(first)
    for end in ends:
        while budget.within(step, begin, end) < 1:
            clock.now += seconds(step)
            budget.stepped(seconds(step))
            step += 1
        begin = budget.share(step)
    return step


PACES = {
    "even": lambda step: 0.05,
    "slow": lambda step: 2.5,
    "growing": lambda step: 0.01 * (1 + step / 50),
    "shrinking": lambda step: max(2.0 - step / 20, 0.02),
    "uneven": lambda step: (0.02, 0.4, 1.0)[step % 3],
    "rarely long": lambda step: 2.9 if step % 40 == 39 else 0.01,
}


@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
@pytest.mark.parametrize("ends", [(1.0,), (0.3, 1.0), (0.1, 0.2, 1.0)], ids=len)
def test_a_run_in_minutes_ends_on_time(pace, ends) -> None:
    clock = Clock()
    budget = Budget(Training(minutes=1), 3.0, 2.0, clock)
    spend(budget, clock, pace, ends=ends)
    assert 0.95 * 60 <= budget.seconds + 2.0 <= 1.05 * 60


@settings(deadline=None, max_examples=30)
@given(st.floats(0.02, 3.0), st.floats(0.2, 3), st.floats(0, 20))
def test_any_even_pace_ends_on_time(pace, minutes, spent) -> None:
    clock = Clock()
    budget = Budget(Training(minutes=minutes), min(spent, 10 * minutes), 0.0, clock)
    spend(budget, clock, lambda step: pace)
    assert abs(budget.seconds - minutes * 60) <= max(
        0.05 * minutes * 60, 0.75 * pace + 1e-6
    )  # it takes a few steps to know a pace


def test_what_went_before_training_counts_and_may_be_all_there_is() -> None:
    clock = Clock()
    budget = Budget(Training(minutes=1), 30.0, 0.0, clock)
    assert budget.share(0) == 0
    clock.now += 15
    assert budget.share(10) == pytest.approx(0.5)
    assert Budget(Training(minutes=1), 90.0, 0.0, clock).within(0, 0.0, 1.0) >= 1


def test_a_resumed_run_has_what_was_left() -> None:
    clock = Clock()
    first = Budget(Training(minutes=1), 5.0, 1.0, clock)
    for _ in range(50):
        clock.now += 0.5
        first.stepped(0.5)
    kept, share = first.state(), first.share(50)
    clock.now += 100_000  # the night between
    second = Budget(Training(minutes=1), 2.0, 1.0, clock)
    clock.now += 7  # the data are opened again, the parts built
    second.restore(kept)
    assert second.share(50) == pytest.approx(share)
    spend(second, clock, lambda step: 0.5, 50)
    assert second.seconds == pytest.approx(59, abs=0.5)


def test_a_budget_in_steps_is_exact_and_shared_out() -> None:
    clock = Clock()
    budget = Budget(Training(steps=100), 0.0, 0.0, clock)
    assert spend(budget, clock, lambda step: 1e9) == 100
    assert budget.within(29, 0.0, 0.3) < 1 <= budget.within(30, 0.0, 0.3)
    assert budget.within(65, 0.3, 1.0) == pytest.approx(0.5)
    assert [budget.share(step) for step in (0, 25, 100)] == [0, 0.25, 1]


def test_the_rate_rises_then_falls_to_nothing() -> None:
    for decay in ("linear", "cosine"):
        rates = [rate(Training(steps=1, warmup=0.1, decay=decay), share / 1000) for share in range(1001)]
        peak = rates.index(max(rates))
        assert (peak, rates[peak]) == (100, pytest.approx(1.0))
        assert all(0 < low <= high for low, high in pairwise(rates[:101]))
        assert all(high >= low for high, low in pairwise(rates[100:]))
        assert rates[-1] == pytest.approx(0)
    held = Training(steps=1, warmup=0.1, decay="none")
    assert [rate(held, share) for share in (0.05, 0.1, 0.5, 1.0)] == [0.5, 1, 1, 1]
    assert rate(Training(steps=1, warmup=0.2, decay="cosine"), 0.4) == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 4))
    assert rate(Training(steps=1, warmup=0.0), 0.0) == 1
    assert rate(Training(steps=1, warmup=1.0), 0.5) == 0.5
