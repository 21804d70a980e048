"""Items moved about their grids: what comes in at an edge is the edge drawn out, and no batch mate matters."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.augmentation import move
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=4), st.integers(0, 6))
def test_moved_items_are_rolled_with_their_edges_drawn_out(shapes, reach) -> None:
    pictures = [torch.arange(h * w).view(h, w, 1) + 100 * place for place, (h, w) in enumerate(shapes)]
    numbers = torch.arange(len(shapes))
    moved = move(Ragged.of(pictures, 2), numbers, Draws(0), reach=reach).items()
    for number, (picture, found) in enumerate(zip(pictures, moved, strict=True)):
        h, w, _ = picture.shape
        ways = [
            picture[(torch.arange(h) - down).clamp(0, h - 1)][:, (torch.arange(w) - right).clamp(0, w - 1)]
            for down in range(-reach, reach + 1)
            for right in range(-reach, reach + 1)
        ]
        assert any(found.equal(way) for way in ways)
        assert move(Ragged.of([picture], 2), numbers[number:][:1], Draws(0), reach=reach).items()[0].equal(found)


def test_items_move_every_way_alike() -> None:
    line = Ragged(torch.arange(5).repeat(3000)[:, None], torch.full((3000, 1), 5))
    middles = torch.stack(move(line, torch.arange(3000), Draws(0), reach=2).items())[:, 2, 0]
    assert torch.bincount(middles, minlength=5).float().div(3000).sub(0.2).abs().max() < 0.03
