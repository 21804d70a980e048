"""Poolings against a plain loop over the items, and what "all" refuses. Their gradients: tests/latents."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.layers.pooling import POOLINGS, Pooling, Probe
from raw2vec.ragged import Ragged


def states(lengths: list[int], width: int = 4) -> Ragged:
    generator = torch.Generator().manual_seed(len(lengths))
    values = torch.randn(sum(lengths), width, generator=generator, dtype=torch.float64)
    return Ragged(values, torch.tensor(lengths)[:, None])


def by_hand(name: str, rows: Tensor, query: Tensor, pooling: Pooling) -> Tensor:
    if not len(rows):
        return rows.new_zeros(rows.shape[1])
    if name == "probe":
        return by_torch(pooling.probe, rows)
    if name == "attention":
        return (rows @ query / rows.shape[1] ** 0.5).softmax(dim=0) @ rows
    return {"mean": rows.mean(0), "first": rows[0], "last": rows[-1], "max": rows.max(0).values}[name]


def by_torch(probe: Probe, rows: Tensor) -> Tensor:
    """The same by torch's own multi-head attention."""
    attention = torch.nn.MultiheadAttention(4, probe.attention.heads, batch_first=True).to(rows.dtype)
    ways, own = probe.attention, attention.state_dict()
    own["in_proj_weight"] = torch.cat([ways.enter.weight, ways.remember.weight])
    own["in_proj_bias"] = torch.cat([ways.enter.bias, ways.remember.bias])
    own |= {f"out_proj.{name}": value for name, value in ways.leave.state_dict().items()}
    attention.load_state_dict(own)
    found = attention(probe.row[None, None], rows[None], rows[None])[0][0, 0]
    return found + probe.feed_forward(probe.normalization(found))


@pytest.mark.parametrize("name", [name for name in POOLINGS if name != "all"])
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_each_item_by_itself(name, lengths) -> None:
    x, pooling = states(lengths), Pooling(4, name).double()
    query = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    if name == "attention":
        torch.nn.init.zeros_(pooling.query).data.add_(query)
    assert pooling.width == 4
    for rows, vector in zip(x.items(), pooling(x), strict=True):
        torch.testing.assert_close(vector, by_hand(name, rows, query, pooling))


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 4))
def test_all_rows_side_by_side_in_their_order(full, places) -> None:
    x, pooling = states([places * there for there in full]), Pooling(4, "all", places)
    assert pooling.width == 4 * places
    for rows, there, vector in zip(x.items(), full, pooling(x), strict=True):
        assert torch.equal(vector, rows.flatten() if there else torch.zeros(4 * places, dtype=torch.float64))


def test_all_takes_grids_too() -> None:
    picture = torch.arange(24.0).view(2, 3, 4)
    vectors = Pooling(4, "all", 6)(Ragged.of([picture, picture + 1], dimensions=2))
    assert torch.equal(vectors, torch.stack([picture.flatten(), picture.flatten() + 1]))


def test_all_keeps_gradients() -> None:
    x = states([2, 0, 2])
    assert torch.autograd.gradcheck(lambda v: Pooling(4, "all", 2)(x.replace(v)), x.values.requires_grad_())


def test_low_precision_is_pooled_in_float32() -> None:
    x = states([3, 3])
    half = x.replace(x.values.bfloat16())
    for name in POOLINGS:
        assert Pooling(4, name, 3)(half).dtype == torch.float32


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match="Did you mean 'max'"):
        Pooling(4, "maxx")
    with pytest.raises(BadInput, match="these differ: choose another pooling: mean, first"):
        Pooling(4, "all")
    with pytest.raises(BadInput, match="Item 1 of the batch has 3 rows where pooling 'all' was made for 2"):
        Pooling(4, "all", 2)(states([2, 3]))
