"""Views of pictures: what each change does, item by item, whatever stands beside the item, and drawn by its number."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from raw2vec.augmentation import PictureViews, blur, erase, recolour, reframe
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

DRAWS = Draws(0)
EVERYTHING = PictureViews(crops=(0.3, 1.2), turn=20, bend=1.0, blur=0.5, erase=0.5)
SIZES = [(8, 8), (5, 9), (8, 8), (1, 1), (12, 3), (5, 9)]


def pictures(sizes: list[tuple[int, int]] = SIZES, channels: int = 3) -> Ragged:
    draw = np.random.default_rng(0)
    made = [draw.integers(0, 256, (*size, channels)).astype(np.uint8) for size in sizes]
    return Ragged.of([torch.from_numpy(picture) for picture in made], dimensions=2)


def numbers(count: int) -> Tensor:
    return torch.arange(count)


def ramp(height: int, width: int) -> Tensor:
    """Grey that grows by one 255th a column, (H, W, 1) uint8."""
    return torch.arange(width, dtype=torch.uint8).expand(height, width)[..., None].contiguous()


def one(item: Tensor) -> Ragged:
    return Ragged.of([item], dimensions=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [0, 6])
def test_a_view_is_its_items_own_whoever_stands_beside_it(channels: int, size: int) -> None:
    views = PictureViews(**{**vars(EVERYTHING), "size": size})
    mixed, items = pictures(channels=channels), numbers(len(SIZES)) + 40
    together = views(mixed, items, DRAWS, "first").items()
    for place, whole in enumerate(mixed.items()):
        alone = views(one(whole), items[place : place + 1], DRAWS, "first").items()[0]
        torch.testing.assert_close(alone, together[place], atol=1e-5, rtol=0)
        assert alone.shape == ((size, size, channels) if size else whole.shape)
    order = torch.tensor([3, 5, 0, 4, 1, 2])
    for place, again in zip(
        order.tolist(), views(mixed.take(order), items[order], DRAWS, "first").items(), strict=True
    ):
        torch.testing.assert_close(again, together[place], atol=1e-5, rtol=0)


def test_views_differ_by_item_name_epoch_and_seed_alone() -> None:
    items = torch.tensor([7, 8])
    same = Ragged.of([pictures([(8, 8)]).items()[0]] * 2, dimensions=2)

    def seen(draws: Draws = DRAWS, name: str = "first") -> Tensor:
        return EVERYTHING(same, items, draws, name).values

    first, second = seen().chunk(2)
    assert not torch.equal(first, second)
    assert torch.equal(seen(), seen())
    for other in (seen(name="second"), seen(Draws(0, 1)), seen(Draws(1))):
        assert not torch.equal(seen(), other)


def test_what_comes_back_is_float_from_0_to_1_and_of_numbers_the_same() -> None:
    mixed = pictures()
    seen = EVERYTHING(mixed, numbers(len(mixed)), DRAWS, "first")
    assert seen.values.dtype == torch.float32
    assert seen.values.min() >= 0
    assert seen.values.max() <= 1
    as_numbers = mixed.replace(mixed.values.float() / 255)
    torch.testing.assert_close(EVERYTHING(as_numbers, numbers(len(mixed)), DRAWS, "first").values, seen.values)
    nothing = Ragged(torch.empty(0, 3, dtype=torch.uint8), torch.zeros(2, 2, dtype=torch.long))
    assert not len(EVERYTHING(nothing, numbers(2), DRAWS, "first").values)


def test_a_whole_frame_changes_nothing_and_a_flip_turns_columns_round() -> None:
    mixed = pictures()
    plain = mixed.values.float() / 255
    torch.testing.assert_close(reframe(mixed, numbers(len(mixed)), DRAWS).values, plain, atol=1e-5, rtol=0)
    flipped = reframe(mixed, numbers(len(mixed)), DRAWS, flip=1.0).items()
    for before, after in zip(mixed.replace(plain).items(), flipped, strict=True):
        torch.testing.assert_close(after, before.flip(1), atol=1e-5, rtol=0)
    items = numbers(400)
    dots = Ragged(torch.tensor([[0], [255]], dtype=torch.uint8).repeat(400, 1), torch.tensor([[1, 2]]).repeat(400, 1))
    assert 0.4 < reframe(dots, items, DRAWS, flip=0.5).values[::2].mean() < 0.6


def test_a_crop_shows_as_much_as_its_share() -> None:
    """On a ramp the grey spans what the frame is wide: the root of its share of the area, of the same form."""
    across = Ragged.of([ramp(32, 64)] * 50, dimensions=2)
    seen = 255 * reframe(across, numbers(50), DRAWS, crops=(0.25, 0.25)).values.view(50, 32, 64)
    spans = seen[:, 0, -1] - seen[:, 0, 0]
    torch.testing.assert_close(spans, torch.full((50,), 31.5), atol=0.05, rtol=0)
    assert seen[:, 0, 0].std() > 3, "from everywhere"
    wide = 255 * reframe(across, numbers(50), DRAWS, crops=(0.25, 0.25), aspect=2.0).values.view(50, 32, 64)
    ratios = (wide[:, 0, -1] - wide[:, 0, 0]) / 31.5
    assert 0.7 < ratios.min() < 0.8
    assert 1.3 < ratios.max() < 1.42


def test_a_turn_minds_the_pictures_own_form() -> None:
    """A ramp of 40 by 10, turned, still grows by cos(angle) a column and by its sine a row."""
    seen = 255 * reframe(one(ramp(10, 40)), torch.tensor([3]), DRAWS, turn=30.0).values.view(10, 40)
    across, down = (seen[5, 21] - seen[5, 18]) / 3, (seen[6, 20] - seen[3, 20]) / 3
    assert across.square() + down.square() == pytest.approx(1, abs=0.02)
    assert abs(down) > 0.02


def test_a_smaller_view_is_the_mean_of_what_it_stands_for() -> None:
    """Every fourth row is white: a quarter grey from afar; taken at points it would be black."""
    rows = (torch.arange(64) % 4 == 0)[:, None, None].expand(64, 64, 1) * 255
    seen = reframe(one(rows.to(torch.uint8)), torch.tensor([0]), DRAWS, size=16)
    torch.testing.assert_close(seen.values, torch.full((256, 1), 0.25), atol=1e-4, rtol=0)
    assert seen.shapes.tolist() == [[16, 16]]


def test_colours_by_hand() -> None:
    """Light is a factor, contrast one about the mean; grey leaves what red, green and blue weigh; hue keeps that."""
    item = torch.tensor([[[0.2, 0.4, 0.6], [0.4, 0.4, 0.4]]])
    luma = torch.tensor([0.299, 0.587, 0.114])
    alike, items = Ragged.of([item] * 40, dimensions=2), numbers(40)
    lit = recolour(alike, items, DRAWS, brightness=0.5).values.view(40, 2, 3)
    factors = lit[:, 0, 0] / 0.2
    assert 0.5 < factors.min() < 0.6
    assert 1.4 < factors.max() < 1.5
    torch.testing.assert_close(lit, item * factors[:, None, None])
    apart = recolour(alike, items, DRAWS, contrast=0.5).values.view(40, 2, 3)
    torch.testing.assert_close((apart @ luma).mean(1), (item[0] @ luma).mean().expand(40))
    assert apart.std(dim=0).min() > 0.0
    grey = recolour(alike, items, DRAWS, grey=1.0).values.view(40, 2, 3)
    torch.testing.assert_close(grey, (item[0] @ luma)[:, None].expand(40, 2, 3), atol=1e-3, rtol=0)
    turned = recolour(alike, items, DRAWS, hue=0.2).values.view(40, 2, 3)
    torch.testing.assert_close(turned @ luma, (item[0] @ luma).expand(40, 2), atol=1e-2, rtol=0)
    assert turned[:, 0].std(dim=0).min() > 0.02
    torch.testing.assert_close(turned[:, 1], item[0, 1].expand(40, 3), atol=1e-3, rtol=0)
    assert torch.equal(recolour(alike, items, DRAWS, brightness=0.5, hue=0.5, chance=0.0).values, alike.values)


def test_a_grey_picture_has_light_and_contrast_only() -> None:
    grey = one(torch.full((4, 4, 1), 0.5))
    seen = recolour(grey, torch.tensor([5]), DRAWS, brightness=0.4, saturation=1.0, hue=0.5, grey=1.0)
    assert seen.values.std() < 1e-6
    assert 0.3 < seen.values.mean() < 0.7


def test_a_blur_spreads_a_dot_and_keeps_its_weight() -> None:
    dot = torch.zeros(15, 15, 1)
    dot[7, 7] = 1
    seen = blur(one(dot), torch.tensor([0]), DRAWS, deviations=(1.0, 1.0)).values.view(15, 15)
    assert seen.sum() == pytest.approx(1, abs=1e-4)
    assert seen[7, 7] == pytest.approx(1 / (2 * np.pi), abs=1e-3)
    assert seen[7, 8] / seen[7, 7] == pytest.approx(np.exp(-0.5), abs=1e-4)
    many = Ragged.of([dot] * 200, dimensions=2)
    chosen = blur(many, numbers(200), DRAWS, chance=0.3, deviations=(1.0, 1.0)).values.view(200, -1).amax(dim=1) < 1
    assert 0.2 < chosen.float().mean() < 0.4


def test_a_rectangle_is_gone() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).uniform(size=(20, 20, 1)).astype(np.float32))
    many = Ragged.of([noise] * 100, dimensions=2)
    seen = erase(many, numbers(100), DRAWS, shares=(0.25, 0.25), aspect=2.0, chance=0.5).values.view(100, 20, 20)
    gone = seen != noise[:, :, 0]
    hidden = gone.flatten(1).float().mean(dim=1)
    assert 0.35 < (hidden > 0).float().mean() < 0.65
    assert ((hidden == 0) | ((hidden - 0.25).abs() < 0.07)).all()
    one_gone = gone[hidden.argmax()]
    rows, columns = one_gone.any(dim=1), one_gone.any(dim=0)
    assert one_gone.sum() >= rows.sum() * columns.sum() - 1, "a whole rectangle, but for the median itself"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"crops": (0.9, 0.5)}, r"crops are two shares of a picture, the smaller first, above 0, not \[0.9, 0.5\]"),
        ({"flip": 1.5}, "A view's flip is a chance from 0 to 1, not 1.5"),
        ({"bend": -1}, "A view's bend is 0 or more, not -1"),
        ({"aspect": 0.5}, "A view's aspect is 1 or more, not 0.5"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        PictureViews(**settings)
