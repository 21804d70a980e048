import torch

from raw2vec.layers import FeedForward, GatedFeedForward, activation


def test_gradients_and_shapes() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    for kind in (FeedForward, GatedFeedForward):
        layer = kind(4, 6, activation("gelu")).double()
        assert layer(x).shape == (5, 4)
        assert torch.autograd.gradcheck(lambda x, *_, layer=layer: layer(x), (x, *layer.parameters()))


def test_the_activated_half_comes_first() -> None:
    layer = GatedFeedForward(2, 1, activation("relu"), bias=False)
    with torch.no_grad():
        layer.enter.weight.copy_(torch.eye(2))
        layer.leave.weight.fill_(1.0)
        assert layer(torch.tensor([[-3.0, 5.0], [3.0, -5.0]])).tolist() == [[0.0, 0.0], [-15.0, -15.0]]


def test_biases_come_as_asked() -> None:
    for kind in (FeedForward, GatedFeedForward):
        names = [name for name, _ in kind(4, 6, activation("gelu"), bias=False).named_parameters()]
        assert names == ["enter.weight", "leave.weight"]
