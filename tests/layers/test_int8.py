"""Linear maps in int8: near the map itself, row by row, and only where they are worth it."""

import pytest
import torch
from torch import nn

from raw2vec.layers.int8 import Int8Linear, in_int8


@pytest.mark.parametrize(("inputs", "outputs", "rows"), [(8, 3, 5), (16, 1, 1), (33, 7, 64), (256, 300, 17), (9, 4, 0)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_near_the_map_itself(inputs: int, outputs: int, rows: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(inputs, outputs, bias=bias), torch.randn(rows, inputs)
    exact, found = linear(x), Int8Linear(linear)(x)
    assert found.shape == exact.shape
    bound = 1.5 / 127 * x.abs().amax(1, keepdim=True) * linear.weight.abs().amax(1) * inputs**0.5
    assert ((found - exact).abs() <= bound).all()


def test_a_row_by_itself_is_as_beside_others_of_any_size() -> None:
    torch.manual_seed(0)
    made, x = Int8Linear(nn.Linear(32, 9)), torch.randn(40, 32) * torch.logspace(-20, 20, 40)[:, None]
    together = made(x)
    for place in range(40):
        assert made(x[place]).equal(together[place])
    assert made(torch.zeros(2, 3, 32)).equal(made.bias.expand(2, 3, 9) if made.bias is not None else x)
    assert made(torch.full((1, 32), torch.nan)).isnan().all()


def test_a_copy_is_made_and_what_is_narrow_stays() -> None:
    module = nn.Sequential(nn.Linear(32, 32), nn.Sequential(nn.Linear(32, 4), nn.Linear(4, 32)), nn.LSTM(32, 8))
    made = in_int8(module)
    kinds = [type(part) for part in made.modules() if isinstance(part, (nn.Linear, Int8Linear))]
    assert kinds == [Int8Linear, Int8Linear, nn.Linear]
    assert not any(isinstance(part, Int8Linear) for part in module.modules())
