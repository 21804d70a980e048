import pytest
import torch

from raw2vec.errors import BadInput
from raw2vec.layers import ACTIVATIONS, GATES, activation


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_keep_shapes_and_have_right_gradients(name: str) -> None:
    torch.manual_seed(0)
    # Away from zero, where some have a corner that finite differences cannot see round.
    x = (torch.randn(4, 3, dtype=torch.float64).abs() + 0.1) * torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(activation(name), x.requires_grad_())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("relu", 0.0),
        ("relu_squared", 0.0),
        ("identity", -1.0),
        ("silu", -0.268941),
        ("swish", -0.268941),
        ("gelu", -0.158655),
        ("gelu_tanh", -0.158808),
        ("quick_gelu", -0.154204),
        ("elu", -0.632121),
        ("tanh", -0.761594),
        ("mish", -0.303401),
    ],
)
def test_activations_are_what_they_are_called(name: str, value: float) -> None:
    assert activation(name)(torch.tensor(-1.0)).item() == pytest.approx(value, abs=1e-5)


def test_relu_squared_squares() -> None:
    assert activation("relu_squared")(torch.tensor(3.0)).item() == 9.0


def test_every_gate_has_its_activation() -> None:
    assert set(GATES.values()) <= set(ACTIVATIONS)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="Did you mean 'gelu'"):
        activation("gelo")
    with pytest.raises(BadInput, match="Did you mean 'swiglu'"):
        activation("swiglo")
    with pytest.raises(BadInput, match="'geglu' is a gated feed-forward"):
        activation("geglu")
