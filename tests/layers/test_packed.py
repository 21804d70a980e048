"""Linear maps laid out for the processor: the same map, the rest of the model shared, and the model left as it was."""

import pytest
import torch
from torch import nn

from raw2vec.layers.packed import PackedLinear, exchanged, packed


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 3), (1, 1), (33, 7), (256, 300)])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_it_is_the_same_map_of_any_rows(inputs: int, outputs: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(inputs, outputs, bias=bias)
    (made,) = packed(nn.Sequential(linear))
    for shape in [(0,), (1,), (64,), (2, 3), ()]:
        x = torch.randn(*shape, inputs)
        torch.testing.assert_close(made(x), linear(x))


@torch.no_grad()
def test_a_row_by_itself_is_as_beside_others() -> None:
    torch.manual_seed(0)
    (made,), x = packed(nn.Sequential(nn.Linear(64, 40))), torch.randn(200, 64)
    torch.testing.assert_close(torch.cat([made(row) for row in x.split(1)]), made(x))


def test_what_is_no_linear_map_is_shared_and_the_module_stays() -> None:
    inner = nn.Linear(8, 8)
    module = nn.Sequential(nn.Sequential(inner, nn.LayerNorm(8)), nn.Sequential(nn.ReLU()), inner, nn.GRU(8, 8)).eval()
    made = packed(module)
    if made is module:
        pytest.skip("this torch has no product of packed weights")
    assert [type(part) for part in (made[0][0], made[2])] == [PackedLinear, PackedLinear]
    assert made[0][0] is made[2]
    assert made[0][1] is module[0][1]
    assert made[1] is module[1]
    assert made[3] is module[3]
    assert module[0][0] is inner is module[2]
    assert not made.training
    assert {name for name, _ in module.named_parameters()} >= {"0.0.weight", "3.weight_ih_l0"}


def test_a_table_that_goes_on_counts_as_far_as_it_is_told() -> None:
    linear = nn.Linear(8, 5)
    linear.weight = nn.Parameter(torch.randn(9, 8))
    (made,) = packed(nn.Sequential(linear))
    with torch.no_grad():
        torch.testing.assert_close(made(torch.eye(8)), linear.weight[:5].T + linear.bias)


def test_other_numbers_than_float32_and_modules_without_maps_stay_as_they_are() -> None:
    double = nn.Sequential(nn.Linear(8, 8)).double()
    assert packed(double) is double
    norms = nn.Sequential(nn.LayerNorm(8))
    assert exchanged(norms, lambda part: part) is norms
