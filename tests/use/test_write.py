"""The search's own arithmetic: the largest of a row by way of its parts, whatever stands in it; and draws."""

import pytest
import torch

from raw2vec.use.write import drawn, highest


@pytest.mark.parametrize("columns", [1, 7, 160, 161, 4000, 4013])
@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("rows", [0, 1, 33])
def test_the_largest_are_found_with_their_places(columns: int, count: int, rows: int) -> None:
    torch.manual_seed(columns + count)
    values = torch.stack([torch.randperm(columns) for _ in range(rows)]).float() if rows else torch.zeros(0, columns)
    count = min(count, columns)
    for given in (values, torch.where(values < columns - count, float("-inf"), values)):
        found, places = highest(given, count)
        expected = given.topk(count)
        assert found.equal(expected.values)
        assert places.equal(expected.indices)


def test_luck_falls_on_what_has_a_chance() -> None:
    chances = torch.tensor([[0.0, 0.0, 0.5, 0.0, 0.5, 0.0]]).expand(5, -1)
    luck = torch.tensor([0.0, 0.25, 0.5, 1 - 2.0**-24, 1.0])
    assert drawn(chances, luck).tolist() == [2, 2, 4, 4, 4]


def test_of_equal_ones_any_are_right_but_no_two_are_one() -> None:
    found, places = highest(torch.zeros(2, 400), 5)
    assert found.equal(torch.zeros(2, 5))
    assert [len(set(row)) for row in places.tolist()] == [5, 5]
