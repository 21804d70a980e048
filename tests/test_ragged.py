"""Ragged against a plain loop over its items."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.ragged import Ragged

sizes = st.lists(st.integers(0, 7), min_size=1, max_size=9)
full = st.lists(st.integers(1, 7), min_size=1, max_size=9)


def items_of(lengths: list[int], width: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    return [torch.randn(length, width, generator=generator) for length in lengths]


def same(found: list[Tensor], wanted: list[Tensor]) -> bool:
    return len(found) == len(wanted) and all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@given(sizes)
def test_items_come_back_as_they_were(lengths) -> None:
    items = items_of(lengths)
    ragged = Ragged.of(items)
    assert same(ragged.items(), items)
    assert len(ragged) == len(items)
    assert ragged.lengths.tolist() == lengths
    assert ragged.offsets.tolist() == [sum(lengths[:place]) for place in range(len(lengths) + 1)]
    assert ragged.owners.tolist() == [place for place, length in enumerate(lengths) for _ in range(length)]
    assert ragged.places.tolist() == [within for length in lengths for within in range(length)]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5))
def test_grids_of_two_come_back_too(shapes) -> None:
    items = [torch.randn(*shape, 2) for shape in shapes]
    ragged = Ragged.of(items, dimensions=2)
    assert ragged.values.shape == (sum(h * w for h, w in shapes), 2)
    assert same(ragged.items(), items)
    assert same(ragged.take(torch.tensor([len(items) - 1, 0])).items(), [items[-1], items[0]])


grids = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8)


@given(grids)
def test_coordinates_are_where_an_item_has_its_rows(shapes) -> None:
    ragged = Ragged.bare(torch.tensor(shapes), torch.device("cpu"))
    expected = [[row, column] for height, width in shapes for row in range(height) for column in range(width)]
    assert ragged.coordinates.tolist() == expected
    assert ragged.values.shape == (len(expected), 0)


@given(sizes)
def test_coordinates_along_one_axis_are_places(lengths) -> None:
    ragged = Ragged.of(items_of(lengths))
    assert torch.equal(ragged.coordinates, ragged.places[:, None])


@given(sizes, st.data())
def test_take(lengths, data) -> None:
    items = items_of(lengths)
    places = data.draw(st.lists(st.integers(0, len(items) - 1), max_size=8))
    taken = Ragged.of(items).take(torch.tensor(places, dtype=torch.long))
    assert same(taken.items(), [items[place] for place in places])


@given(sizes, st.integers(1, 5))
def test_split(lengths, size) -> None:
    items = items_of(lengths)
    parts = Ragged.of(items).split(size)
    assert all(len(part) == size for part in parts[:-1])
    assert same([item for part in parts for item in part.items()], items)


@given(full, st.floats(-2, 2))
def test_padded_and_back(lengths, fill) -> None:
    items = items_of(lengths)
    ragged = Ragged.of(items)
    padded, inside = ragged.padded(fill), ragged.inside()
    assert padded.shape == (len(items), max(lengths), 3)
    for number, item in enumerate(items):
        assert torch.equal(padded[number, : len(item)], item)
        assert bool((padded[number, len(item) :] == torch.tensor(fill)).all())
        assert inside[number].tolist() == [place < len(item) for place in range(max(lengths))]
    assert same(Ragged.from_padded(padded, ragged.lengths).items(), items)


@given(full)
def test_groups_are_rectangles_that_hold_every_item_once(lengths) -> None:
    items = items_of(lengths)
    ragged = Ragged.of(items)
    found: dict[int, Tensor] = {}
    for group in ragged.groups:
        for item, rows in zip(group.items.tolist(), group.rows, strict=True):
            assert item not in found
            found[item] = ragged.values[rows]
    assert same([found[place] for place in range(len(items))], items)
    widths = [group.rows.shape[1] for group in ragged.groups]
    assert widths == sorted(set(lengths))


@settings(deadline=None)
@given(sizes)
def test_sum_mean_and_max(lengths) -> None:
    items = items_of(lengths)
    ragged = Ragged.of(items)
    zeros = torch.zeros(3)
    torch.testing.assert_close(ragged.sum(), torch.stack([item.sum(0) for item in items]))
    torch.testing.assert_close(ragged.mean(), torch.stack([item.mean(0) if len(item) else zeros for item in items]))
    torch.testing.assert_close(ragged.max(), torch.stack([item.amax(0) if len(item) else zeros for item in items]))


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_sum_mean_and_max_pass_gradients(name: str) -> None:
    shapes = torch.tensor([[3], [0], [1], [4]])
    values = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: getattr(Ragged(values, shapes), name)(), values)


@pytest.mark.parametrize("length", [0, 1, 5])
def test_items_of_one_length_are_added_up_as_in_mixed_company(length: int) -> None:
    values = torch.randn(4 * length + 2, 3, generator=torch.Generator().manual_seed(0))
    alike = Ragged(values[: 4 * length], torch.full((4, 1), length))
    mixed = Ragged(values, torch.tensor([[length]] * 4 + [[2]]))
    assert (alike.length, mixed.length) == (length or None, None)
    for name in ("sum", "mean"):
        torch.testing.assert_close(getattr(alike, name)(), getattr(mixed, name)()[:4])


def test_a_long_sum_in_half_precision_is_added_up_in_full() -> None:
    ones = Ragged(torch.ones(5000, 1, dtype=torch.bfloat16), torch.tensor([[5000]]))
    assert ones.sum().item() == pytest.approx(5000, rel=0.01)
    assert ones.mean().item() == pytest.approx(1, rel=0.01)


@given(full)
def test_spread_and_replace(lengths) -> None:
    ragged = Ragged.of(items_of(lengths))
    per_item = torch.arange(len(lengths))
    assert torch.equal(ragged.spread(per_item), ragged.owners)
    once = ragged.groups
    other = ragged.replace(torch.zeros(sum(lengths), 5))
    assert other.groups is once
    assert [item.shape for item in other.items()] == [(length, 5) for length in lengths]
