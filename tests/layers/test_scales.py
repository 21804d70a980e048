import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from raw2vec.errors import BadInput
from raw2vec.layers import Double, Halve, halved, halving, trace
from raw2vec.ragged import Ragged

shapes_of = {axes: st.lists(st.tuples(*[st.integers(0, 5)] * axes), min_size=1, max_size=5) for axes in (1, 2)}


def batch(shapes: list[tuple[int, ...]], width: int = 2) -> Ragged:
    rows = int(torch.tensor(shapes).prod(dim=1).sum())
    values = torch.randn(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Ragged(values, torch.tensor(shapes))


@settings(deadline=None)
@given(shapes_of[2])
def test_halving_a_plane_is_a_convolution_in_steps_of_two(shapes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    layer, x = Halve(2, 2).double(), batch(shapes)
    kernel = layer.merge.weight.view(2, 2, 2, 2).permute(0, 3, 1, 2)  # (out, down, right, in) to (out, in, down, right)
    for found, plane in zip(layer(x).items(), x.items(), strict=True):
        if plane.numel():
            even = pad(plane.permute(2, 0, 1), (0, plane.shape[1] % 2, 0, plane.shape[0] % 2))
            wanted = torch.conv2d(even[None], kernel, layer.merge.bias, stride=2)[0].permute(1, 2, 0)
            torch.testing.assert_close(found, wanted)


@settings(deadline=None)
@given(shapes_of[1])
def test_halving_a_sequence_joins_rows_two_by_two(shapes: list[tuple[int]]) -> None:
    torch.manual_seed(0)
    layer, x = Halve(2, 1).double(), batch(shapes)
    for found, rows in zip(layer(x).items(), x.items(), strict=True):
        even = pad(rows, (0, 0, 0, len(rows) % 2))
        torch.testing.assert_close(found, layer.merge(even.reshape(-1, 4)))


@pytest.mark.parametrize("axes", [1, 2])
@settings(deadline=None)
@given(data=st.data())
def test_doubling_undoes_halving(axes: int, data: st.DataObject) -> None:
    """With a halving that keeps all the numbers of a parent's rows, and the doubling that parts them again."""
    x = batch(data.draw(shapes_of[axes]), width=1)
    slots = 2**axes
    halve, double = Halve(1, axes).double(), Double(slots, axes).double()
    halve.merge = torch.nn.Linear(slots, slots, bias=False).double()
    with torch.no_grad():
        halve.merge.weight.copy_(torch.eye(slots))
        double.part.weight.copy_(torch.eye(slots).repeat_interleave(slots, dim=0))
        double.part.bias.zero_()
    back = double(halve(x), x.shapes)
    assert back.shapes.equal(x.shapes)
    torch.testing.assert_close(back.values, x.values.expand(-1, slots))


@pytest.mark.parametrize("axes", [1, 2])
def test_gradients(axes: int) -> None:
    torch.manual_seed(0)
    x = batch([(3,) * axes, (1,) * axes])
    halve, double = Halve(2, axes).double(), Double(2, axes).double()

    def there_and_back(values: Tensor, *_: Tensor) -> Tensor:
        return double(halve(x.replace(values)), x.shapes).values

    weights = (*halve.parameters(), *double.parameters())
    assert torch.autograd.gradcheck(there_and_back, (x.values.requires_grad_(), *weights), fast_mode=True)


def test_layers_that_halve_are_spread_evenly() -> None:
    assert halving(4, 0) == [False] * 4
    assert halving(4, 1) == [False, False, True, False]
    assert halving(6, 2) == [False, False, True, False, True, False]
    assert halving(3, 3) == [True] * 3
    for layers in range(9):
        assert all(sum(halving(layers, count)) == count for count in range(layers + 1))
    with pytest.raises(BadInput, match="2 layers can halve the grid 0 to 2 times"):
        halving(2, 3)


def test_the_trace_rounds_up() -> None:
    grids = trace(torch.tensor([[28, 7], [1, 0]]), [True, False, True])
    assert [grid.tolist() for grid in grids] == [[[28, 7], [1, 0]], *[[[14, 4], [1, 0]]] * 2, [[7, 2], [1, 0]]]
    assert halved(torch.tensor([[5]])).tolist() == [[3]]


def test_doubling_wants_a_grid_that_halves_to_its_own() -> None:
    with pytest.raises(BadInput, match="do not halve"):
        Double(2, 1).double()(batch([(3,)]), torch.tensor([[7]]))
