"""Linear maps in int8 by ranges known beforehand: near the map itself, row by row, outliers and all."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from raw2vec.layers.static_int8 import StaticInt8Linear, in_a_row, known, roomy

pytestmark = pytest.mark.skipif(not known(), reason="this CPU does not multiply int8")


def range_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    return rows.amin(0), rows.amax(0)


def error(found: Tensor, exact: Tensor) -> float:
    return float(((found.float() - exact).norm() / exact.norm()).detach())


@pytest.mark.parametrize(("inputs", "outputs", "rows"), [(32, 32, 5), (33, 47, 64), (256, 300, 1), (64, 32, 0)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_near_the_map_itself(inputs: int, outputs: int, rows: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(inputs, outputs, bias=bias), torch.randn(max(rows, 30), inputs)
    found = StaticInt8Linear.ranged(linear, *range_of(x))(x[:rows])
    assert found.shape == (rows, outputs)
    assert found.dtype is torch.bfloat16
    assert not rows or error(found, linear(x[:rows])) < 0.015


def test_features_far_from_zero_and_far_wider_than_others_cost_little() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 48), torch.randn(200, 64)
    x[:, 3], x[:, 9] = 30 * x[:, 3], 20 + x[:, 9]
    made = StaticInt8Linear.ranged(linear, *range_of(x))
    common = float((x @ linear.weight.T).norm().detach())
    assert float((made(x).float() - linear(x)).norm().detach()) < 0.015 * common
    assert made(x)[7].equal(made(x[7:8])[0]), "a row by itself is as beside others"
    beyond = made(1000 * x)
    assert beyond.isfinite().all(), "what is beyond the range is its end"


@pytest.mark.parametrize("algorithm", ["none", "tanh"])
def test_two_maps_pass_each_other_levels(algorithm: str) -> None:
    torch.manual_seed(0)
    enter, leave, x = nn.Linear(64, 128), nn.Linear(128, 64), torch.randn(300, 64)
    enter.weight.data[5] *= 12  # a neuron that reaches far beyond the others
    hidden = gelu(enter(x), approximate=algorithm).detach()
    first, second = in_a_row(enter, leave, range_of(x), range_of(hidden))
    first.after, first.algorithm = "gelu", algorithm
    assert first(x).dtype is torch.uint8
    assert first(x).shape[1] > 128, "it goes on in copies"
    exact = leave(hidden)
    assert error(second(first(x)), exact) < 0.04
    plain = StaticInt8Linear.ranged(leave, *(end.expand(128) for end in (hidden.min(), hidden.max())))
    assert error(second(first(x)), exact) < error(plain(hidden), exact) / 3, "one step for all, and no copies"


def test_relu_between() -> None:
    torch.manual_seed(0)
    enter, leave, x = nn.Linear(64, 128), nn.Linear(128, 64), torch.randn(300, 64)
    enter.weight.data[7] *= 12
    hidden = enter(x).relu().detach()
    first, second = in_a_row(enter, leave, range_of(x), range_of(hidden))
    first.after = "relu"
    assert error(second(first(x)), leave(hidden)) < 0.02


def test_rows_are_filled_up_to_few_numbers_which_changes_none() -> None:
    assert [roomy(count) for count in (0, 1, 63, 64, 65, 1000, 2047, 2048)] == [0, 1, 63, 64, 66, 1008, 2048, 2048]
    assert len({roomy(count) for count in range(1025, 2049)}) == 32
    torch.manual_seed(0)
    enter, leave, x = nn.Linear(64, 128), nn.Linear(128, 64), torch.randn(301, 64)
    first, second = in_a_row(enter, leave, range_of(x), range_of(enter(x).detach()))
    levels, answers = first(x), second(first(x))
    assert (len(levels), len(answers)) == (301, 301)
    for place in (0, 150, 300):
        assert levels[place].equal(first(x[place : place + 1])[0])
        assert answers[place].equal(second(first(x[place : place + 1]))[0])
