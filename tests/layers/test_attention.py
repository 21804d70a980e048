import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.layers import Layout, Rotary, SelfAttention, attention, base
from raw2vec.ragged import Ragged

LENGTHS = [
    [1],
    [7, 7, 7],
    [1, 1, 2],
    [5, 0, 9, 30, 31, 0, 5, 64, 17],
    [33, 32, 34, 33],
    [200, 3],
]


def batch(lengths: list[int], width: int = 8, dtype: torch.dtype = torch.float64) -> Ragged:
    torch.manual_seed(0)
    return Ragged(torch.randn(sum(lengths), width, dtype=dtype), torch.tensor(lengths)[:, None])


def by_hand(layer: SelfAttention, item: Tensor) -> Tensor:
    """One item at a time, one head at a time, by the formula."""
    length, width = item.shape
    query, key, value = layer.enter(item).chunk(3, dim=1)
    places = torch.arange(length)
    near = (places[:, None] - places).abs() <= (layer.window // 2 if layer.window else length)
    mixed = []
    for head in torch.arange(width).chunk(layer.heads):
        scores = query[:, head] @ key[:, head].T / len(head) ** 0.5
        mixed.append(scores.masked_fill(~near, float("-inf")).softmax(dim=1) @ value[:, head])
    return layer.leave(torch.cat(mixed, dim=1))


@pytest.mark.parametrize("window", [0, 1, 4, 7, 40])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_every_item_is_attended_by_itself(lengths: list[int], window: int) -> None:
    x, layer = batch(lengths), SelfAttention(8, 2, window).double()
    expected = torch.cat([by_hand(layer, item) for item in x.items()])
    torch.testing.assert_close(layer(x.values, Layout(x)), expected)


@pytest.mark.parametrize("window", [0, 6])
def test_the_explicit_formula_agrees_with_the_fused_kernel(monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    x, layer = batch(LENGTHS[3]), SelfAttention(8, 2, window).double()
    fused = layer(x.values, Layout(x))
    monkeypatch.setattr(attention, "attended", base._explicit)
    torch.testing.assert_close(layer(x.values, Layout(x)), fused)


@pytest.mark.parametrize("window", [0, 1, 4])
@pytest.mark.parametrize("explicit", [False, True])
def test_gradients(monkeypatch: pytest.MonkeyPatch, window: int, explicit: bool) -> None:
    """Through near lengths in one rectangle too: what pads it must leave no trace in any gradient."""
    if explicit:
        monkeypatch.setattr(attention, "attended", base._explicit)
    x, layer = batch([3, 1, 17, 16], width=4), SelfAttention(4, 2, window).double()
    layout, rotate = Layout(x), Rotary(2)(x)
    assert any(part.inside is not None for part in layout.rectangles)

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return layer(values, layout, rotate)

    inputs = (x.values.requires_grad_(), *layer.parameters())
    assert torch.autograd.gradcheck(apply, inputs, fast_mode=True)


def test_no_row_hears_of_another_item() -> None:
    """The gradient of one item's answer is zero at every other item, and not zero anywhere in its own."""
    x = batch([16, 17, 2, 16])
    values = x.values.requires_grad_()
    SelfAttention(8, 2).double()(values, Layout(x))[x.owners == 1].square().sum().backward()
    assert values.grad is not None
    assert (values.grad.abs().sum(dim=1) > 0).equal(x.owners == 1)


@pytest.mark.parametrize("window", [0, 8])
def test_batch_law_in_float32_and_bfloat16(window: int) -> None:
    x = batch([5, 1, 30, 31, 5, 64, 17, 300], width=32, dtype=torch.float32)
    layer = SelfAttention(32, 4, window)

    def run(part: Ragged, half: bool) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return layer(part.values, Layout(part), Rotary(8)(part)).float()

    alone = [run(Ragged.of([item]), half=False) for item in x.items()]
    torch.testing.assert_close(run(x, half=False), torch.cat(alone), atol=1e-5, rtol=1e-5)
    alone = [run(Ragged.of([item]), half=True) for item in x.items()]
    close = torch.nn.functional.cosine_similarity(run(x, half=True), torch.cat(alone))
    assert close.min() >= 0.9999


@given(st.lists(st.integers(0, 70), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_rectangles_hold_every_row_once_with_little_padding(lengths: list[int]) -> None:
    x = batch(lengths)
    layout = Layout(x)
    size = sum(part.items * part.length for part in layout.rectangles)
    inside = [
        torch.ones(part.items * part.length, dtype=torch.bool) if part.inside is None else part.inside.flatten()
        for part in layout.rectangles
    ]
    rows = torch.arange(size) if layout.rows is None else layout.rows
    assert len(rows) == sum(lengths)
    if len(rows):
        assert rows.sort().values.equal(torch.cat(inside).nonzero().squeeze(1))
    assert size <= sum(length + length // 16 + 1 for length in lengths)
    assert layout.longest >= max(lengths)
    assert layout.longest.bit_count() == 1


def test_the_variable_length_kernel_is_called_as_it_wants_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU here: a stand-in with the kernel's contract shows that items, window and lengths reach it right."""
    x, layer = batch([5, 2, 9]), SelfAttention(8, 2, 4).double()

    def kernel(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        starts: Tensor,
        _: Tensor,
        longest: int,
        __: int,
        window_size: tuple[int, int] = (-1, -1),
        num_splits: int | None = None,
    ) -> Tensor:
        assert (starts.dtype, starts.tolist(), longest) == (torch.int32, [0, 5, 7, 16], 16)
        assert (window_size, num_splits) == ((2, 2), 1)
        mixed = []
        for start, end in zip(starts.tolist(), starts.tolist()[1:], strict=False):
            places = torch.arange(end - start)
            near = (places[:, None] - places).abs() <= 2
            parts = (part[start:end].transpose(0, 1) for part in (query, key, value))
            mixed.append(torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=near).transpose(0, 1))
        return torch.cat(mixed)

    expected = layer(x.values, Layout(x))
    monkeypatch.setattr(attention, "_varlen_kernel", lambda: (kernel, frozenset({"window_size", "num_splits"})))
    monkeypatch.setattr(attention, "_has_varlen", lambda enter, window: True)
    torch.testing.assert_close(layer(x.values, Layout(x)), expected)


def test_an_empty_batch_and_uneven_heads() -> None:
    x = batch([0, 0])
    assert SelfAttention(8, 2).double()(x.values, Layout(x)).shape == (0, 8)
    with pytest.raises(BadInput, match="3 heads cannot share 8 features"):
        SelfAttention(8, 3)
