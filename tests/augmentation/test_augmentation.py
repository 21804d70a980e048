"""Masks, crops, drops and noise: their rates, what they never touch, and that batch mates do not matter."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.augmentation import (
    add_noise,
    blank_spans,
    change_speed,
    crop,
    crop_span,
    drop,
    hide,
    mask,
    rescale,
    unmerge,
)
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

ORDINARY = range(5, 100)
MASK = 4

sequences = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=12), min_size=1, max_size=6)


def ragged(items: list[list[int]]) -> Ragged:
    return Ragged.of([torch.tensor(item) for item in items])


def many(count: int = 2000, length: int = 50) -> tuple[Ragged, Tensor]:
    values = torch.randint(5, 100, (count * length,), generator=torch.Generator().manual_seed(0))
    values[::length], values[length - 1 :: length] = 2, 3
    return Ragged(values, torch.full((count, 1), length)), torch.arange(count)


def test_masking_has_berts_rates() -> None:
    ids, items = many()
    masked = mask(ids, items, Draws(0), rate=0.3, mask_id=MASK, ordinary=ORDINARY)
    assert len(masked.rows) / (2000 * 48) == pytest.approx(0.3, abs=0.01)
    old, new = ids.values[masked.rows], masked.ids.values[masked.rows]
    assert float((new == MASK).double().mean()) == pytest.approx(0.8, abs=0.01)
    assert float((new == old).double().mean()) == pytest.approx(0.1 + 0.1 / 95, abs=0.01)
    others = new[(new != MASK) & (new != old)]
    assert int(others.min()) >= 5
    assert int(others.max()) < 100
    assert len(others.unique()) == 95


@given(sequences, st.sampled_from([0.0, 0.15, 0.3, 1.0]), st.integers(0, 3))
def test_masking_hides_only_ordinary_tokens_and_at_least_one(items, rate, seed) -> None:
    ids = ragged(items)
    masked = mask(ids, torch.arange(len(items)), Draws(seed), rate=rate, mask_id=MASK, ordinary=ORDINARY)
    kept = torch.ones(len(ids.values), dtype=torch.bool)
    kept[masked.rows] = False
    assert torch.equal(masked.ids.values[kept], ids.values[kept])
    assert all(int(i) in ORDINARY for i in ids.values[masked.rows])
    assert torch.equal(masked.rows, masked.rows.sort().values)
    for number, item in enumerate(items):
        hidden = int((ids.owners[masked.rows] == number).sum())
        eligible = sum(i in ORDINARY for i in item)
        assert min(eligible, 1) <= hidden <= eligible
        assert rate < 1 or hidden == eligible


@given(sequences, st.integers(0, 5))
def test_batch_mates_do_not_matter(items, place) -> None:
    place = place % len(items)
    numbers = torch.arange(len(items)) * 7 + 100
    ids, alone = ragged(items), ragged([items[place]])
    own = numbers[place : place + 1]
    draws = Draws(1, 2)
    together = mask(ids, numbers, draws, rate=0.3, mask_id=MASK, ordinary=ORDINARY).ids
    single = mask(alone, own, draws, rate=0.3, mask_id=MASK, ordinary=ORDINARY).ids
    assert torch.equal(together.items()[place], single.values)
    for change, options in ((crop, {"shares": (0.3, 0.7)}), (drop, {"rate": 0.4})):
        together = change(ids, numbers, draws, ordinary=ORDINARY, **options)
        single = change(alone, own, draws, ordinary=ORDINARY, **options)
        assert torch.equal(together.items()[place], single.values)


@given(sequences, st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)).map(sorted), st.integers(0, 3))
def test_a_crop_is_a_piece_and_the_boundaries_stay(items, shares, seed) -> None:
    cropped = crop(ragged(items), torch.arange(len(items)), Draws(seed), shares=tuple(shares), ordinary=ORDINARY)
    for item, piece in zip(items, cropped.items(), strict=True):
        found = piece.tolist()
        assert found
        special = [(place, i) for place, i in enumerate(item) if i not in ORDINARY]
        assert [i for i in found if i not in ORDINARY] == [i for _, i in special]
        pieces = [
            [i for place, i in enumerate(item) if start <= place < stop or i not in ORDINARY]
            for start in range(len(item))
            for stop in range(start + 1, len(item) + 1)
        ]
        assert found in pieces


def test_crops_have_the_shares_and_lie_anywhere() -> None:
    values = torch.arange(5, 105)
    ids, items = Ragged(values.repeat(3000), torch.full((3000, 1), 100)), torch.arange(3000)
    cropped = crop(ids, items, Draws(0), shares=(0.3, 0.7), ordinary=range(5, 200))
    lengths, starts = cropped.lengths.double(), cropped.values[cropped.offsets[:-1]] - 5
    assert lengths.min() >= 30
    assert lengths.max() <= 71
    assert float(lengths.mean()) == pytest.approx(50.5, abs=1)
    ends = starts + cropped.lengths
    assert int(starts.min()) == 0
    assert int(ends.max()) == 100
    assert float(starts.double().mean()) == pytest.approx(25, abs=1.5)


def test_drops_have_the_rate() -> None:
    ids, items = many()
    dropped = drop(ids, items, Draws(0), rate=0.2, ordinary=ORDINARY)
    assert len(dropped.values) / len(ids.values) == pytest.approx(1 - 0.2 * 48 / 50, abs=0.01)
    assert int((dropped.values == 2).sum()) == 2000


@given(sequences, st.sampled_from([0.0, 0.5, 1.0]))
def test_a_drop_keeps_the_order_and_never_all(items, rate) -> None:
    dropped = drop(ragged(items), torch.arange(len(items)), Draws(0), rate=rate, ordinary=ORDINARY)
    for item, rest in zip(items, dropped.items(), strict=True):
        left = iter(item)
        assert all(i in left for i in rest.tolist()), "the rest is a part of it, in order"
        assert sum(i not in ORDINARY for i in rest) == sum(i not in ORDINARY for i in item)
        eligible = [i for i in item if i in ORDINARY]
        kept = [i for i in rest.tolist() if i in ORDINARY]
        assert len(kept) >= min(1, len(eligible))
        assert rate > 0 or kept == eligible
        assert rate < 1 or len(kept) == min(1, len(eligible))


def numbers(count: int = 300, length: int = 40, channels: int = 2) -> tuple[Ragged, Tensor]:
    values = torch.randn(count * length, channels, generator=torch.Generator().manual_seed(0))
    return Ragged(values, torch.full((count, 1), length)), torch.arange(count)


def pixels(level: int) -> tuple[Ragged, Tensor]:
    return Ragged(torch.full((4000, 3), level, dtype=torch.uint8), torch.tensor([[20, 20]] * 10)), torch.arange(10)


def test_noise_has_its_deviation_and_the_missing_stay_missing() -> None:
    values, items = numbers()
    values.values[::7, 1] = torch.nan
    noise = (add_noise(values, items, Draws(0), deviation=0.3).values - values.values).double()
    assert torch.equal(noise.isnan(), values.values.isnan())
    kept = noise[~noise.isnan()]
    assert float(kept.std()) == pytest.approx(0.3, rel=0.02)
    assert float(kept.mean()) == pytest.approx(0, abs=0.01)
    assert add_noise(values, items, Draws(0), deviation=0.0).values.nan_to_num().equal(values.values.nan_to_num())


def test_noise_on_pixels_counts_in_255ths_and_stays_in_range() -> None:
    values, items = pixels(128)
    noisy = add_noise(values, items, Draws(0), deviation=0.1).values
    assert noisy.dtype == torch.uint8
    assert float(noisy.double().std()) == pytest.approx(25.5, rel=0.03)
    assert float(noisy.double().mean()) == pytest.approx(128, abs=1)
    values, items = pixels(250)
    noisy = add_noise(values, items, Draws(0), deviation=0.2).values
    assert int(noisy.max()) == 255
    assert float((noisy == 255).double().mean()) == pytest.approx(0.465, abs=0.02), "nothing wraps around"


def test_hidden_numbers_are_missing_and_hidden_pixels_black() -> None:
    values, items = numbers()
    hidden = hide(values, items, Draws(0), rate=0.3).values
    assert float(hidden.isnan().double().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(hidden[~hidden.isnan()], values.values[~hidden.isnan()])
    both = float((hidden[:, 0].isnan() & hidden[:, 1].isnan()).double().mean())
    assert both == pytest.approx(0.09, abs=0.01), "each channel by itself"
    values, items = pixels(9)
    hidden = hide(values, items, Draws(0), rate=0.3).values
    assert hidden.dtype == torch.uint8
    assert set(hidden.unique().tolist()) == {0, 9}
    assert float((hidden == 0).double().mean()) == pytest.approx(0.3, abs=0.02)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.sampled_from([(), (1,), (3,)]), st.integers(0, 4))
def test_the_corruption_of_numbers_never_depends_on_batch_mates(lengths, channels, place) -> None:
    place = place % len(lengths)
    values = Ragged(torch.ones(sum(lengths), *channels), torch.tensor(lengths)[:, None])
    known, own = torch.arange(len(lengths)) * 7 + 100, torch.tensor([place])
    for change, options in ((add_noise, {"deviation": 1.0}), (hide, {"rate": 0.5})):
        together = change(values, known, Draws(1, 2), **options).take(own)
        alone = change(values.take(own), known[own], Draws(1, 2), **options)
        assert together.values.nan_to_num(7).equal(alone.values.nan_to_num(7))


grids = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=5)


def numbered(shapes: list[tuple[int, ...]], channels: int = 2) -> Ragged:
    """Items whose numbers are all different, none of them zero; each item's the same whoever stands beside it."""
    made = [1.0 + torch.arange(math.prod(shape) * channels).view(*shape, channels) for shape in shapes]
    return Ragged.of(made, dimensions=len(shapes[0]))


@given(grids, st.integers(0, 9))
def test_a_span_is_whole_rows_in_a_row(shapes, seed) -> None:
    values = numbered(shapes)
    spans = crop_span(values, torch.arange(len(shapes)), Draws(seed), shares=(0.3, 0.7))
    for whole, span in zip(values.items(), spans.items(), strict=True):
        assert max(1, round(0.3 * len(whole))) <= len(span) <= max(1, round(0.7 * len(whole)))
        start = int((whole[:, 0, 0] == span[0, 0, 0]).nonzero())
        assert span.equal(whole[start : start + len(span)])


def test_spans_start_anywhere_and_reach_either_end() -> None:
    values = numbered([(10,)] * 2000, channels=1)
    spans = crop_span(values, torch.arange(2000), Draws(0), shares=(0.5, 0.5))
    starts = torch.stack([span[0, 0] for span in spans.items()]).long() - 1
    assert (starts.bincount() / 2000 - 1 / 6).abs().max() < 0.03
    whole = crop_span(values, torch.arange(2000), Draws(0), shares=(1.0, 1.0))
    assert whole.values.equal(values.values)


@given(grids, st.integers(0, 9))
def test_another_speed_keeps_both_ends_and_straight_lines(shapes, seed) -> None:
    values = numbered(shapes)
    played = change_speed(values, torch.arange(len(shapes)), Draws(seed), factor=2.0)
    for whole, other in zip(values.items(), played.items(), strict=True):
        assert len(whole) / 2 - 0.51 <= len(other) <= 2 * len(whole) + 0.51
        torch.testing.assert_close(other[0], whole[0])
        line = torch.linspace(0, 1, len(other))[:, None, None] if len(other) > 1 else torch.zeros(1, 1, 1)
        torch.testing.assert_close(other, whole[0] + line * (whole[-1] - whole[0]), msg="rows were on a line before")


def test_a_corner_stays_where_it_was_in_time() -> None:
    values = Ragged.of([torch.tensor([0.0, 0, 4, 0, 0])[:, None]] * 50)
    played = change_speed(values, torch.arange(50), Draws(0), factor=2.0)
    lengths = {len(item) for item in played.items()}
    assert {3, 9} <= lengths <= set(range(2, 11))
    for item in played.items():
        if len(item) % 2:
            assert item[len(item) // 2].item() == pytest.approx(4)


def test_scales_and_shifts_are_one_draw_an_item_and_channel() -> None:
    values = Ragged.of([torch.tensor([[0.0, 0], [1, 1], [3, 3]])] * 4000)
    found = rescale(values, torch.arange(4000), Draws(0), scaling=0.3, shift=0.5).values.view(4000, 3, 2)
    shifts, factors = found[:, 0], found[:, 1] - found[:, 0]
    torch.testing.assert_close(found[:, 2], shifts + 3 * factors)
    for channel in range(2):
        assert float(shifts[:, channel].std()) == pytest.approx(0.5, rel=0.05)
        assert float(factors[:, channel].log().std()) == pytest.approx(0.3, rel=0.05)
    assert abs(float(torch.corrcoef(factors.T)[0, 1])) < 0.05


@given(grids, st.integers(0, 9))
def test_one_span_an_axis_is_blank(shapes, seed) -> None:
    values = numbered(shapes)
    found = blank_spans(values, torch.arange(len(shapes)), Draws(seed), rate=0.6)
    assert found.shapes.equal(values.shapes)
    for whole, item in zip(values.items(), found.items(), strict=True):
        gone = (item == 0).all(dim=2)
        rows, columns = gone.all(dim=1), gone.all(dim=0)
        assert gone.equal(rows[:, None] | columns), "whole frames, whole bands"
        assert item[~gone].equal(whole[~gone])
        for axis, blank in enumerate((rows, columns)):
            if not gone.all():
                places = blank.nonzero().squeeze(1)
                assert len(places) <= round(0.6 * gone.shape[axis])
                assert not len(places) or int(places[-1] - places[0]) == len(places) - 1, "one span"


@given(grids, st.integers(0, 4))
def test_views_of_numbers_do_not_know_their_batch_mates(shapes, place) -> None:
    place, draws = place % len(shapes), Draws(3)
    values, items = numbered(shapes), torch.arange(len(shapes)) * 7
    alone = values.take(torch.tensor([place]))
    changes = (
        partial(crop_span, shares=(0.3, 0.9)),
        partial(change_speed, factor=1.5),
        partial(rescale, scaling=0.2, shift=0.2),
        partial(blank_spans, rate=0.5),
    )
    for change in changes:
        together, by_itself = change(values, items, draws), change(alone, items[place, None], draws)
        assert together.items()[place].equal(by_itself.items()[0])


def test_tokens_are_taken_apart_into_what_they_were_merged_of() -> None:
    merges = torch.full((9, 2), -1)
    merges[6], merges[7], merges[8] = torch.tensor([1, 2]), torch.tensor([6, 3]), torch.tensor([7, 7])
    ids, items = Ragged(torch.tensor([8, 4, 7, 5]), torch.tensor([[2], [1], [1]])), torch.tensor([3, 9, 4])
    whole = unmerge(ids, items, Draws(0), rate=0.999999, merges=merges, purpose="p")
    assert [item.tolist() for item in whole.items()] == [[1, 2, 3, 1, 2, 3, 4], [1, 2, 3], [5]]
    assert torch.equal(unmerge(ids, items, Draws(0), rate=0.0, merges=merges, purpose="p").values, ids.values)
    many = Ragged(torch.full((4000,), 6), torch.ones(4000, 1, dtype=torch.long))
    some = unmerge(many, torch.arange(4000), Draws(0), rate=0.1, merges=merges, purpose="p")
    assert 300 < len(some.values) - 4000 < 500
    again = unmerge(many.take(torch.arange(7)), torch.arange(7), Draws(0), rate=0.1, merges=merges, purpose="p")
    assert torch.equal(again.values, some.values[: len(again.values)])
