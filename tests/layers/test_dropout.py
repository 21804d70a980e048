"""Dropout: as many zeros as asked, the mean kept, and the same for the same seed of torch."""

import pytest
import torch

from raw2vec.layers import Dropout


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_rest_makes_up_for_it(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    found = Dropout(p)(torch.ones(400, 500, dtype=dtype))
    assert found.dtype == dtype
    assert float((found == 0).float().mean()) == pytest.approx(p, abs=0.004)
    assert float(found.float().mean()) == pytest.approx(1, abs=0.02)
    assert len(found.unique()) == 2


def test_it_follows_the_seed_of_torch_and_no_two_calls_are_alike() -> None:
    made, x = Dropout(0.3), torch.ones(40, 5)
    torch.manual_seed(3)
    first, second = made(x), made(x)
    torch.manual_seed(3)
    assert made(x).equal(first)
    assert not second.equal(first)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_or_all(p: float) -> None:
    assert Dropout(p)(torch.ones(7, 3)).equal(torch.full((7, 3), 1 - p))


def test_none_while_nothing_is_learned() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x).equal(x)
    assert Dropout(0.5)(torch.empty(0, 3)).shape == (0, 3)


def test_gradients_go_where_the_values_went() -> None:
    x = torch.ones(30, 4, requires_grad=True)
    found = Dropout(0.5)(x)
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.equal(found.detach())
