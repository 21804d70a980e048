"""What is kept of the rows before: each draft finds its own rows, wherever they stand and whoever has gone."""

import random

import pytest
import torch

from raw2vec.layers import Past, SelfAttention, changes, closed_up, settled


def kept_whole(rows: list[list[torch.Tensor]], drafts: list[int]) -> list[list[torch.Tensor]]:
    return [list(rows[draft]) for draft in drafts]


@pytest.mark.parametrize("wide", [1, 2, 5])
@pytest.mark.parametrize("rotated", [False, True])
@torch.no_grad()
def test_each_draft_looks_at_its_own_rows_alone(wide: int, rotated: bool) -> None:
    """Beside the plain way: every draft carries all its rows along."""
    torch.manual_seed(0)
    luck = random.Random(0)
    layer, items = SelfAttention(8, 2, causal=True).double(), 6
    turn = (lambda heads: heads.roll(1, -1)) if rotated else None
    past = Past.none(torch.empty(items, 2, 2, 3, 4, dtype=torch.float64), 1)
    rows: list[list[torch.Tensor]] = [[] for _ in range(items)]
    each = 1
    for _ in range(23):
        x = torch.randn(items * each, 8, dtype=torch.float64)
        past = past.longer()
        found = layer.step(x, past.layer(0), past.own, turn)
        for draft, row in enumerate(x):
            rows[draft].append(row)
            alone = Past.none(torch.empty(1, 2, 2, 3, 4, dtype=torch.float64), 1)
            for own in rows[draft]:
                alone = alone.longer()
                expected = layer.step(own[None], alone.layer(0), alone.own, turn)
            torch.testing.assert_close(found[draft], expected[0])
        left = sorted(luck.sample(range(items), max(items - luck.randrange(2), 1)))
        order = closed_up(torch.tensor(left))
        drafts = [item * each + luck.randrange(each) for item in order.tolist() for _ in range(wide)]
        changed = changes(order, items)
        past = past.take(torch.tensor(drafts), order if len(left) < items else None, changed)
        rows, items, each = kept_whole(rows, drafts), len(left), wide


def test_places_of_those_that_are_gone_are_taken_by_the_last() -> None:
    assert closed_up(torch.tensor([0, 1, 2])).tolist() == [0, 1, 2]
    assert closed_up(torch.tensor([1, 3, 4])).tolist() == [3, 1, 4]
    assert closed_up(torch.tensor([5])).tolist() == [5]
    assert closed_up(torch.tensor([], dtype=torch.long)).tolist() == []


@pytest.mark.parametrize("items", [[2, 0, 1], [1, 1], [0, 1, 2], [2], [0, 0, 1, 2, 2]])
def test_items_are_taken_in_any_order(items: list[int]) -> None:
    part, order = torch.arange(6).view(3, 2), torch.tensor(items)
    assert settled(part.clone(), order, changes(order, 3)).equal(part[order])
