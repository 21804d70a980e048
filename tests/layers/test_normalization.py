import pytest
import torch

from raw2vec.errors import BadInput
from raw2vec.layers import NORMALIZATIONS, normalization


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_gradients(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalization(name, 5).double(), x)


def test_layer_and_rms_bring_rows_to_one_scale() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 64) * 7 + 2
    layer = normalization("layer", 64)(x)
    torch.testing.assert_close(layer.mean(dim=1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.square().mean(dim=1), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(normalization("rms", 64)(x).square().mean(dim=1), torch.ones(3), atol=1e-3, rtol=0)
    assert normalization("none", 64)(x) is x


def test_biases_come_as_asked() -> None:
    assert [name for name, _ in normalization("layer", 4, bias=False).named_parameters()] == ["weight"]
    assert [name for name, _ in normalization("layer", 4).named_parameters()] == ["weight", "bias"]


def test_unknown_name() -> None:
    with pytest.raises(BadInput, match="Did you mean 'layer'"):
        normalization("layers", 4)
