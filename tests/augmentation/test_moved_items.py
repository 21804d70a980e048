"""Items moved about and bent on their grids: edges are drawn out, and no batch mate matters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.augmentation import bend, move
from raw2vec.errors import BadInput
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


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 7)), min_size=1, max_size=4), st.floats(0, 2))
def test_bent_items_stay_within_themselves_and_no_batch_mate_matters(shapes, by) -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.randint(0, 256, (h, w, 2), generator=generator, dtype=torch.uint8) for h, w in shapes]
    numbers = torch.arange(len(shapes))
    bent = bend(Ragged.of(pictures, 2), numbers, Draws(0), by=by).items()
    for number, (picture, found) in enumerate(zip(pictures, bent, strict=True)):
        assert (found.shape, found.dtype) == (picture.shape, picture.dtype)
        assert (found.amin((0, 1)) >= picture.amin((0, 1))).all()
        assert (found.amax((0, 1)) <= picture.amax((0, 1))).all()
        alone = bend(Ragged.of([picture], 2), numbers[number:][:1], Draws(0), by=by).items()[0]
        assert (alone.int() - found.int()).abs().max() <= 1, "mixed sizes add up in another order"
        assert by > 0 or found.equal(picture)


def test_what_is_linear_tells_how_far_it_was_bent() -> None:
    """On pictures of their own rows' and columns' numbers what is read is the place itself."""
    down, right = torch.meshgrid(torch.arange(101.0), torch.arange(101.0), indexing="ij")
    planes = torch.stack([down, right], dim=2)
    count = 40
    batch = Ragged(planes.flatten(0, 1).repeat(count, 1), torch.full((count, 2), 101))
    bent = bend(batch, torch.arange(count), Draws(0), by=1.5).values.view(count, 101, 101, 2)
    away = bent - planes
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(bend(batch, torch.arange(count), Draws(0), by=1.5).values.view_as(bent), bent)
    assert float(away.square().mean().sqrt()) == pytest.approx(1.5, rel=0.1)
    slopes = away[:, 20:-20, 20:-20].diff(dim=1).abs().max()
    assert slopes < 0.35, "neighbours move together"
    assert not torch.equal(bent[0], bent[1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shapes", [[(4, 5), (4, 5)], [(4, 5), (3, 2)]])
def test_bent_numbers_keep_their_type(dtype: torch.dtype, shapes: list[tuple[int, int]]) -> None:
    pictures = [torch.full((h, w, 1), 7).to(dtype) for h, w in shapes]
    bent = bend(Ragged.of(pictures, 2), torch.arange(2), Draws(0), by=1.0)
    assert bent.values.dtype == dtype
    torch.testing.assert_close(bent.values.double(), torch.full_like(bent.values, 7).double())


def test_tokens_cannot_be_bent() -> None:
    with pytest.raises(BadInput, match="tokens"):
        bend(Ragged.of([torch.arange(5)]), torch.arange(1), Draws(0), by=1.0)
