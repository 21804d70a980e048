import sys

import pytest
import torch
from torch.nn import functional

from raw2vec.layers import cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 256, 700])
def test_losses_and_gradients_are_torchs_own(smoothing: float, rows: int) -> None:
    torch.manual_seed(0)
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((rows, 5), (11, 5), (11,))]
    ids = torch.randint(11, (rows,))
    total, costs = cross_entropy(*given, ids, smoothing)
    logits = functional.linear(*given)
    expected = functional.cross_entropy(logits, ids, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(costs, functional.cross_entropy(logits, ids, reduction="none"))
    assert not costs.requires_grad
    found = torch.autograd.grad(3 * total, given)
    torch.testing.assert_close(found, torch.autograd.grad(3 * expected, given))


def test_gradcheck() -> None:
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 3), (6, 3), (6,))]
    ids = torch.tensor([0, 5, 5, 2])
    assert torch.autograd.gradcheck(lambda *weights: cross_entropy(*weights, ids, 0.2)[0], given)


def test_bfloat16_stays_near_and_keeps_float32_losses() -> None:
    states, table, bias = torch.randn(300, 16), torch.randn(50, 16) / 4, torch.zeros(50)
    ids = torch.randint(50, (300,))
    exact, _ = cross_entropy(states, table, bias, ids)
    weights = [states.requires_grad_(), table.requires_grad_(), bias.requires_grad_()]
    with torch.autocast("cpu", torch.bfloat16):
        total, costs = cross_entropy(*weights, ids)
    assert (total.dtype, costs.dtype) == (torch.float32, torch.float32)
    assert total.item() == pytest.approx(exact.item(), rel=2e-3)
    total.backward()
    assert [weight.grad.dtype for weight in weights] == [torch.float32] * 3


def test_nothing_to_tell() -> None:
    total, costs = cross_entropy(torch.zeros(0, 3), torch.zeros(5, 3), torch.zeros(5), torch.zeros(0, dtype=torch.long))
    assert (total.item(), len(costs)) == (0.0, 0)


def two_tellings(states: torch.Tensor, table: torch.Tensor, bias: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """R-Drop as its paper has it (Liang et al. 2021, equations 2 and 4, alpha 5), summed over tokens."""
    logits = functional.linear(states, table, bias)
    p, q = (logits[row::2].log_softmax(-1) for row in (0, 1))
    between = [functional.kl_div(a, b, reduction="sum", log_target=True) for a, b in ((p, q), (q, p))]
    return functional.cross_entropy(logits, ids, reduction="sum", label_smoothing=0.1) + 5 / 2 * sum(between)


@pytest.mark.parametrize("pairs", [1, 200])
@pytest.mark.parametrize("rows", [256, 7])
def test_two_tellings_are_drawn_together(pairs: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[cross_entropy.__module__], "_ROWS", rows)
    torch.manual_seed(0)
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2 * pairs, 5), (11, 5), (11,))]
    ids = torch.randint(11, (pairs,)).repeat_interleave(2)
    total, costs = cross_entropy(*given, ids, 0.1, 5 / 2)
    expected = two_tellings(*given, ids)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(costs, functional.cross_entropy(functional.linear(*given), ids, reduction="none"))
    torch.testing.assert_close(torch.autograd.grad(total, given), torch.autograd.grad(expected, given))


def test_without_gradients_none_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [torch.randn(*shape, requires_grad=True) for shape in ((4, 3), (6, 3), (6,))]
    ids, asked = torch.tensor([0, 5, 5, 2]), []
    function = sys.modules[cross_entropy.__module__]._CrossEntropy
    forward = function.forward

    def watched(ctx, *told):
        asked.append(any(ctx.needs_input_grad))
        return forward(ctx, *told)

    monkeypatch.setattr(function, "forward", staticmethod(watched))
    total, costs = cross_entropy(*given, ids)
    with torch.no_grad():
        alone, each = cross_entropy(*given, ids)
    assert asked == [True, False]
    torch.testing.assert_close((alone, each), (total, costs))
    (slope,) = torch.autograd.grad(total**2, given[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
