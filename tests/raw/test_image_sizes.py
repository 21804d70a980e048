"""Pictures brought to a size: whole, or the middle of them, by any of Pillow's ways."""

import numpy as np
import pytest
from PIL import Image as Pillow

from raw2vec.errors import BadInput
from raw2vec.raw import Image
from raw2vec.raw.pixels import RESAMPLINGS

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 47, 3), np.uint8)


def brought(**settings: object) -> np.ndarray:
    made = Image(colour="rgb", **settings)
    made.learn([PICTURE])
    return made.restore(made.windows([PICTURE]).ragged)[0]


@pytest.mark.parametrize("way", [way for way in RESAMPLINGS if way != "draft"])
def test_the_whole_of_it(way: str) -> None:
    found = brought(size=(12, 16), resampling=way)
    assert np.array_equal(found, Pillow.fromarray(PICTURE).resize((16, 12), Pillow.Resampling[way.upper()]))


@pytest.mark.parametrize(("shorter", "size"), [(16, (16, 16)), (16, (12, 10)), (30, (30, 30)), (30, (20, 30))])
def test_the_middle_of_it(shorter: int, size: tuple[int, int]) -> None:
    whole = np.asarray(Pillow.fromarray(PICTURE).resize((47 * shorter // 30, shorter), Pillow.Resampling.BICUBIC))
    top, left = ((a - b) // 2 for a, b in zip(whole.shape, size, strict=False))
    found = brought(size=size, shorter=shorter, resampling="bicubic")
    assert np.array_equal(found, whole[top : top + size[0], left : left + size[1]])


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no resampling 'bicubik'.*Did you mean 'bicubic'"):
        Image((8, 8), resampling="bicubik")
    for size in (None, (8, 20)):
        with pytest.raises(BadInput, match="shorter edge is 16, of which its size is cut"):
            Image(size, shorter=16)


def test_older_models_keep_their_identity() -> None:
    """By which stores know them: nothing is said of what is as it always was."""
    made = Image((8, 8))
    made.learn([PICTURE])
    assert '"settings": {"size": [8, 8], "colour": "auto"}' in made.identity()
    assert "shorter" in brought_identity(shorter=8)


def brought_identity(**settings: object) -> str:
    made = Image((8, 8), **settings)
    made.learn([PICTURE])
    return made.identity()
