from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.layers import Canvas, ConvNeXtBlock, PlaneBlock, PlaneConvolution, activation, normalization
from raw2vec.ragged import Ragged

grids = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8)


def planes(*shapes: tuple[int, int], width: int = 3) -> Ragged:
    torch.manual_seed(0)
    return Ragged.of([torch.randn(*shape, width, dtype=torch.float64) for shape in shapes], dimensions=2)


def plane_block(width: int = 3, kernel: int = 3) -> PlaneBlock:
    torch.manual_seed(1)
    norms = normalization("layer", width), normalization("layer", width)
    return PlaneBlock(width, kernel, 1, activation("gelu"), norms).double()


def convnext_block(width: int = 3, kernel: int = 3) -> ConvNeXtBlock:
    torch.manual_seed(1)
    return ConvNeXtBlock(width, kernel, 1, activation("gelu"), normalization("layer", width)).double()


BLOCKS = pytest.mark.parametrize("made", [plane_block, convnext_block])


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_plane_convolution_is_the_sum_over_taps(dilation: int) -> None:
    layer, plane = PlaneConvolution(2, 3, dilation).double(), planes((5, 4), width=2).items()[0]
    by_hand = torch.zeros_like(plane) + layer.bias
    for row in range(5):
        for column in range(4):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    y, x = row + down * dilation, column + right * dilation
                    if 0 <= y < 5 and 0 <= x < 4:
                        by_hand[row, column] += layer.weight[:, :, down + 1, right + 1] @ plane[y, x]
    torch.testing.assert_close(layer(plane[None])[0], by_hand)


@BLOCKS
def test_a_block_sees_each_plane_alone_whatever_their_shapes(made: Callable[[], PlaneBlock | ConvNeXtBlock]) -> None:
    x, block = planes((4, 3), (1, 1), (0, 2), (1, 7), (4, 3)), made()
    for item, alone in zip(block(x).items(), x.items(), strict=True):
        if len(alone):
            torch.testing.assert_close(item, block(Ragged.of([alone], dimensions=2)).items()[0])


@BLOCKS
def test_gradients_on_planes(made: Callable[[], PlaneBlock | ConvNeXtBlock]) -> None:
    x, block = planes((2, 3), (1, 1), (2, 3)), made()

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return block(x.replace(values)).values

    assert torch.autograd.gradcheck(apply, (x.values.requires_grad_(), *block.parameters()), fast_mode=True)


@BLOCKS
def test_planes_are_wanted_and_odd_kernels(made: Callable[..., PlaneBlock | ConvNeXtBlock]) -> None:
    with pytest.raises(BadInput, match="take grids of 2 axes, but the items have 1"):
        made()(Ragged(torch.zeros(4, 3), torch.tensor([[4]])))
    with pytest.raises(BadInput, match="odd number of rows"):
        made(kernel=2)


def test_a_depthwise_convolution_leaves_features_apart() -> None:
    layer, plane = PlaneConvolution(2, 3, depthwise=True).double(), planes((5, 4), width=2).items()[0]
    changed = plane.clone()
    changed[..., 0] += 1
    assert torch.equal(layer(plane[None])[..., 1], layer(changed[None])[..., 1])
    assert layer.weight.shape == (2, 1, 3, 3)


@given(grids, st.integers(0, 3))
def test_items_lie_on_the_canvas_apart(shapes: list[tuple[int, int]], gap: int) -> None:
    x = planes(*shapes)
    if not len(x.values):
        return
    canvas = Canvas.of(x, gap)
    if canvas.cells is None:
        assert len(set(shapes)) == 1
        return
    _, height, width = canvas.shape
    assert len(canvas.cells.unique()) == len(canvas.cells), "two rows in one cell"
    y, x_ = canvas.cells // width, canvas.cells % width
    assert int(y.max()) < height
    place = torch.stack([y, x_], dim=1)
    far = (place[:, None] - place[None]).abs().amax(dim=2)
    apart = x.owners[:, None] != x.owners[None]
    assert bool((far[apart] > gap).all()), "items are nearer to each other than a convolution reaches"
    for item in range(len(shapes)):
        own = x.owners == item
        assert torch.equal(place[own] - place[own][:1], x.coordinates[own]), "an item is not what it was"


@given(grids)
def test_what_is_laid_on_a_canvas_comes_back(shapes: list[tuple[int, int]]) -> None:
    x = planes(*shapes)
    if len(x.values):
        assert torch.equal(Canvas.of(x, 1).over(lambda laid: laid * 2, x.values), x.values * 2)


def test_a_canvas_of_many_sizes_is_mostly_full() -> None:
    torch.manual_seed(0)
    x = planes(*torch.randint(10, 20, (128, 2)).tolist())
    assert len(x.values) > 0.7 * torch.tensor(Canvas.of(x, 1).shape).prod()
