"""softmax(scores) @ values without torch's softmax: the same, and exact where its shortcut would fail."""

import pytest
import torch
from torch import Tensor

from raw2vec.layers.attention import Layout
from raw2vec.layers.base import weighed
from raw2vec.ragged import Ragged


def drawn(keys: int, dtype: torch.dtype, spread: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(keys)
    scores = torch.randn(5, 2, 7, keys, generator=generator) * spread
    return scores.to(dtype), torch.randn(5, 2, keys, 4, generator=generator).to(dtype)


def by_torch(scores: Tensor, values: Tensor) -> Tensor:
    return (scores.double().softmax(-1) @ values.double()).to(scores.dtype)


@pytest.mark.parametrize("keys", [1, 2, 12, 24, 25, 100, 128, 300])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_it_is_what_softmax_finds(keys: int, dtype: torch.dtype) -> None:
    scores, values = drawn(keys, dtype)
    near = 2**-7 if dtype is torch.bfloat16 else 1e-6
    with torch.no_grad():
        torch.testing.assert_close(weighed(scores, values), by_torch(scores, values), atol=near, rtol=near)


@pytest.mark.parametrize("moved", [-1e4, -200.0, -87.0, 87.0, 200.0, 1e4])
def test_scores_however_far_from_zero(moved: float) -> None:
    """Exponentials of one row alone would be nought, or infinite, in float32."""
    scores, values = drawn(9, torch.float32)
    scores[3, 1, 2] += moved
    with torch.no_grad():
        torch.testing.assert_close(weighed(scores, values), by_torch(scores, values), atol=1e-6, rtol=1e-6)


def test_float16_whose_exponentials_end_at_eleven() -> None:
    scores, values = drawn(9, torch.float16)
    scores[3, 1, 2, 5] = 40.0
    with torch.no_grad():
        torch.testing.assert_close(weighed(scores, values), by_torch(scores, values), atol=2**-9, rtol=2**-9)


def test_keys_that_may_not_be_seen_count_for_nothing() -> None:
    scores, values = drawn(9, torch.float32)
    scores[:, :, :, 4:] = float("-inf")
    with torch.no_grad():
        seen = weighed(scores[..., :4].contiguous(), values[..., :4, :])
        torch.testing.assert_close(weighed(scores, values), seen, atol=1e-6, rtol=1e-6)


def test_what_is_not_a_number_stays_with_its_row() -> None:
    scores, values = drawn(9, torch.float32)
    scores[3, 1, 2, 5] = float("nan")
    with torch.no_grad():
        broken = weighed(scores, values).isnan().any(-1)
    assert broken[3, 1, 2]
    assert int(broken.sum()) == 1


def test_it_learns_as_softmax_does() -> None:
    scores, values = (part.double().requires_grad_() for part in drawn(6, torch.float32))
    assert torch.autograd.gradcheck(weighed, (scores, values), fast_mode=True)


def test_many_of_one_length_stand_where_they_are_and_need_no_mask() -> None:
    """As batches are encoded: longest first."""
    lengths = [12] * 20 + [11] * 30 + [10] * 16 + [9] * 3
    layout = Layout(Ragged(torch.zeros(sum(lengths), 1), torch.tensor(lengths)[:, None]))
    assert [(part.items, part.length, part.inside) for part in layout.rectangles[:3]] == [
        (20, 12, None),
        (30, 11, None),
        (16, 10, None),
    ]
    assert layout.rows is None


def test_few_of_a_length_share_a_rectangle() -> None:
    lengths = [40, 39, 39, 38, 20]
    layout = Layout(Ragged(torch.zeros(sum(lengths), 1), torch.tensor(lengths)[:, None]))
    assert [(part.items, part.length) for part in layout.rectangles] == [(4, 40), (1, 20)]
