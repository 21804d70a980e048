import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.patches import cut, join, patch_grids, patch_sizes
from raw2vec.ragged import Ragged


def numbered(shapes: list[tuple[int, ...]], channels: int = 2) -> Ragged:
    """Items whose elements are all different, none of them zero."""
    count = int(torch.tensor(shapes).prod(dim=1).sum())
    values = 1.0 + torch.arange(count * channels, dtype=torch.float32).view(count, channels)
    return Ragged(values, torch.tensor(shapes))


def by_hand(item: Tensor, size: int) -> list[Tensor]:
    """The patches of a picture (H, W, C), one after the other, zeros beyond its edge."""
    found = []
    for top in range(0, item.shape[0], size):
        for left in range(0, item.shape[1], size):
            patch = torch.zeros(size, size, item.shape[2])
            piece = item[top : top + size, left : left + size]
            patch[: piece.shape[0], : piece.shape[1]] = piece
            found.append(patch.flatten(0, 1))
    return found


@pytest.mark.parametrize("shapes", [[(5, 3), (5, 3)], [(5, 3), (1, 7), (2, 2)]], ids=["one shape", "mixed"])
def test_a_picture_is_cut_row_by_row(shapes: list[tuple[int, ...]]) -> None:
    items = numbered(shapes)
    patches = cut(items, (2, 2))
    expected = [patch for item in items.items() for patch in by_hand(item, 2)]
    assert patches.values.equal(torch.stack(expected))
    assert patches.shapes.tolist() == [[-(-height // 2), -(-width // 2)] for height, width in shapes]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_and_joined_every_item_is_itself(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))
    shape = st.tuples(*[st.integers(1, 5)] * axes)
    shapes = data.draw(st.lists(shape, min_size=1, max_size=4))
    sizes = data.draw(st.tuples(*[st.integers(1, 4)] * axes))
    items = numbered(shapes)
    patches = cut(items, sizes)
    assert patches.shapes.equal(patch_grids(items.shapes, sizes))
    assert patches.values.sum() == items.values.sum()
    assert join(patches, items.shapes, sizes).values.equal(items.values)
    # An item is cut the same by itself (all of one shape, by views) as among others (by an index).
    alone = torch.cat([cut(items.take(torch.tensor([place])), sizes).values for place in range(len(items))])
    assert patches.values.equal(alone)


def test_an_item_of_nothing_has_no_patches() -> None:
    items = numbered([(3,), (0,), (2,)])
    patches = cut(items, (2,))
    assert patches.lengths.tolist() == [2, 0, 1]
    assert join(patches, items.shapes, (2,)).values.equal(items.values)
    assert cut(items.take(torch.tensor([1])), (2,)).values.shape == (0, 2, 2)


def test_the_size_of_a_patch() -> None:
    assert patch_sizes(4, 2, None) == (4, 4)
    assert patch_sizes(0, 2, (8, 6)) == (8, 6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1, None), "Items differ in size.*set patch to 1"),
        ((-1, 1, None), "patch of -1"),
        ((2, 2, (5,)), r"shape \(5,\) has 1 axes, but items have 2"),
    ],
)
def test_patches_that_cannot_be(arguments: tuple[int, int, tuple[int, ...] | None], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        patch_sizes(*arguments)


def test_patches_on_other_grids_are_not_joined() -> None:
    patches = cut(numbered([(4, 4)]), (2, 2))
    with pytest.raises(BadInput, match="other grids"):
        join(patches, torch.tensor([[6, 4]]), (2, 2))


def test_each_axis_may_have_its_own_length() -> None:
    assert patch_sizes((4, 80), 2, None) == (4, 80)
    assert patch_sizes([2, 3], 2, (8, 9)) == (2, 3)
    for patch in ((4,), (4, 80, 1)):
        with pytest.raises(BadInput, match="give a length for each"):
            patch_sizes(patch, 2, None)
    with pytest.raises(BadInput, match="cannot be cut"):
        patch_sizes((4, 0), 2, None)
