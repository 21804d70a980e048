import pytest
import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.layers import ConvolutionBlock, DepthwiseConvolution, activation, normalization
from raw2vec.ragged import Ragged

LENGTHS = [4, 0, 1, 19, 4, 2]


def batch(lengths: list[int] = LENGTHS, width: int = 3) -> Ragged:
    torch.manual_seed(0)
    return Ragged(torch.randn(sum(lengths), width, dtype=torch.float64), torch.tensor(lengths)[:, None])


@pytest.mark.parametrize("dilation", [1, 2, 4])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_it_is_torchs_depthwise_convolution_of_each_item(kernel: int, dilation: int) -> None:
    x, layer = batch(), DepthwiseConvolution(3, kernel, dilation).double()
    peer = nn.Conv1d(3, 3, kernel, padding="same", dilation=dilation, groups=3, bias=False).double()
    peer.weight.data = layer.weight.permute(2, 1, 0).clone()
    for item, filtered in zip(x.items(), layer(x).items(), strict=True):
        if len(item):
            torch.testing.assert_close(filtered, peer(item.T).T)
    assert layer(x).values.shape == x.values.shape


@pytest.mark.parametrize("dilation", [1, 3])
def test_gradients(dilation: int) -> None:
    x = batch([2, 1, 0, 5], 2)
    block = ConvolutionBlock(2, 3, dilation, activation("gelu"), normalization("layer", 2)).double()

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return block(x.replace(values)).values

    assert torch.autograd.gradcheck(apply, (x.values.requires_grad_(), *block.parameters()), fast_mode=True)


def test_no_row_hears_of_another_item_or_past_its_reach() -> None:
    x = batch([6, 19, 6])
    layer = DepthwiseConvolution(3, 5, 2).double()
    values = x.values.requires_grad_()
    layer(x).values[8].sum().backward()  # the third row of item 1
    assert values.grad is not None
    assert (values.grad.abs().sum(dim=1) > 0).nonzero().squeeze(1).tolist() == [6, 8, 10, 12]


def test_bfloat16_autocast() -> None:
    x = batch()
    x = x.replace(x.values.float())
    block = ConvolutionBlock(3, 5, 1, activation("gelu"), normalization("layer", 3))
    exact = block(x).values
    with torch.autocast("cpu", torch.bfloat16):
        half = block(x).values
    torch.testing.assert_close(half.float(), exact, atol=0.1, rtol=0.05)
    half.float().sum().backward()


def test_nothing_to_filter_and_even_kernels() -> None:
    assert DepthwiseConvolution(3).double()(batch([0, 0])).values.shape == (0, 3)
    with pytest.raises(BadInput, match="odd number of rows"):
        DepthwiseConvolution(3, kernel=4)


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (2, 4), (4, 2), (1, 1)])
def test_a_causal_filter_sees_no_later_row_and_goes_row_by_row(kernel: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConvolution(3, kernel, dilation, causal=True).double()
    x = Ragged(torch.randn(12, 3).double(), torch.tensor([[7], [0], [5]]))
    found = layer(x)
    padded = torch.nn.functional.pad(x.items()[0].T, (dilation * (kernel - 1), 0))
    by_hand = torch.nn.functional.conv1d(padded, layer.weight.permute(2, 1, 0), dilation=dilation, groups=3).T
    torch.testing.assert_close(found.items()[0], by_hand)
    kept = torch.zeros(1, layer.span, 3).double()
    for place, row in enumerate(x.items()[2]):
        told, kept = layer.step(row[None], kept)
        torch.testing.assert_close(told[0], found.items()[2][place])
