import pytest
import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.layers import Attention, CrossAttention, Layout, Memory, SelfAttention
from raw2vec.ragged import Ragged

X = Ragged(torch.randn(9, 8, dtype=torch.float64), torch.tensor([[4], [0], [5]]))
SEEN = Ragged(torch.randn(8, 6, dtype=torch.float64), torch.tensor([[6], [2], [0]]))


def test_heads_find_what_is_asked_for_among_their_own_item() -> None:
    layer = CrossAttention(8, 6, heads=2).double()
    found = layer(X, Memory.of(SEEN)).split([4, 0, 5])
    query, (key, value) = layer.enter(X.items()[0]), layer.remember(SEEN.items()[0]).chunk(2, dim=1)
    mixed = [
        (q @ k.T / 2).softmax(-1) @ v
        for q, k, v in zip(query.chunk(2, 1), key.chunk(2, 1), value.chunk(2, 1), strict=True)
    ]
    torch.testing.assert_close(found[0], layer.leave(torch.cat(mixed, dim=1)))
    nothing = layer.leave(layer.remember(torch.zeros(1, 6).double())[0, 8:])
    torch.testing.assert_close(found[2], nothing.expand(5, 8), msg="an item of no rows is one of zeros")


@pytest.mark.parametrize("score", ["additive", "multiplicative"])
def test_weights_are_of_real_rows_alone_and_sum_to_one(score: str) -> None:
    layer, memory = Attention(8, 6, score).double(), Memory.of(SEEN)
    padded = X.padded()
    weights, first = layer.weights(padded, memory, layer.remember(memory.rows))
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 5).double())
    assert not weights[1, :, 2:].any()
    assert torch.equal(weights, first)
    query, keys = layer.enter(padded[0, 0]), layer.remember(SEEN.items()[0])
    scores = (query + keys).tanh() @ layer.direction if score == "additive" else keys @ query / 8**0.5
    torch.testing.assert_close(weights[0, 0], scores.softmax(-1))


def test_what_was_looked_at_counts_against_it() -> None:
    layer, memory = Attention(8, 6, coverage=True).double(), Memory.of(SEEN)
    with torch.no_grad():
        layer.coverage.fill_(-9.0)
    row = torch.randn(1, 1, 8).double().expand(1, 3, 8)
    one = Memory(memory.rows[:1], memory.inside[:1])
    weights, first = layer.weights(row, one, layer.remember(one.rows))
    torch.testing.assert_close(weights[0, 0], first[0, 0])
    most = int(first[0, 0].argmax())
    assert weights[0, 0, most] > weights[0, 1, most] > weights[0, 2, most]


def test_a_causal_row_sees_itself_and_what_was_before_it() -> None:
    layer = SelfAttention(8, 2, causal=True).double()
    given = X.values.clone().requires_grad_()
    layer(given, Layout(X))[2].sum().backward()
    assert given.grad is not None
    assert (given.grad.abs().sum(1) > 0).tolist() == [True] * 3 + [False] * 6
    alone = layer(X.items()[0][:3], Layout(Ragged(X.values[:3], torch.tensor([[3]]))))
    torch.testing.assert_close(layer(X.values, Layout(X))[:3], alone)


def test_what_cannot_be() -> None:
    with pytest.raises(BadInput, match="3 heads cannot share 8"):
        CrossAttention(8, 6, heads=3)
    with pytest.raises(BadInput, match="additive or multiplicative, not 'dot'"):
        Attention(8, 6, "dot")


@pytest.mark.parametrize("make", [lambda: Attention(8, 6, coverage=True), lambda: CrossAttention(8, 6, 2)])
def test_gradients(make) -> None:
    layer = make().double()

    def apply(values: Tensor, seen: Tensor, *_: Tensor) -> Tensor:
        return layer(X.replace(values), Memory.of(SEEN.replace(seen)))

    inputs = (X.values.clone().requires_grad_(), SEEN.values.clone().requires_grad_(), *layer.parameters())
    assert torch.autograd.gradcheck(apply, inputs, fast_mode=True)
