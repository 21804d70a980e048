import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.layers import Spread


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=5))
def test_rows_of_any_grid_know_their_item_and_their_place(shapes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    spread, codes = Spread(3, 6, places=0, dimensions=2), torch.randn(len(shapes), 3)
    rows = spread(codes, torch.tensor(shapes))
    assert rows.shapes.tolist() == [list(shape) for shape in shapes]
    assert rows.values.shape == (sum(height * width for height, width in shapes), 6)
    if len(rows.values):
        told = torch.cat([rows.values, rows.owners[:, None]], dim=1)
        assert len(told.round(decimals=4).unique(dim=0)) == len(told)


def test_places_are_shares_of_the_grid() -> None:
    """The middle of a short sequence and the middle of a long one begin alike."""
    torch.manual_seed(0)
    spread, code = Spread(3, 6, places=0), torch.randn(1, 3)
    short, long = spread(code.expand(2, 3), torch.tensor([[3], [9]])).items()
    torch.testing.assert_close(short[1], long[4], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(short[0], long[0])


def test_five_hundred_neighbours_are_told_apart() -> None:
    torch.manual_seed(0)
    rows = Spread(3, 32, places=0)(torch.zeros(1, 3), torch.tensor([[500]])).values
    assert (rows[1:] - rows[:-1]).norm(dim=1).min() > 0.05


def test_known_places_have_maps_of_their_own() -> None:
    torch.manual_seed(0)
    spread, codes = Spread(3, 2, places=6), torch.randn(4, 3)
    rows = spread(codes, torch.tensor([[2, 3]] * 4))
    torch.testing.assert_close(rows.values, spread.code(codes).view(24, 2))
    with pytest.raises(BadInput, match=r"knows grids of 6 rows, but that of item 1 of the batch has 4"):
        spread(codes[:2], torch.tensor([[2, 3], [2, 2]]))


@pytest.mark.parametrize("places", [0, 6])
def test_gradients(places: int) -> None:
    torch.manual_seed(0)
    spread = Spread(3, 2, places, dimensions=2).double()
    codes = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def apply(codes: Tensor, *_: Tensor) -> Tensor:
        return spread(codes, torch.tensor([[2, 3], [3, 2]])).values

    assert torch.autograd.gradcheck(apply, (codes, *spread.parameters()))
