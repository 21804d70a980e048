"""Words stand before texts, and before nothing else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput


def test_a_prompt_before_pictures_is_refused(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    model = Raw2Vec("reconstruction", "dense", steps=1, size="tiny").fit(pictures)
    Image.fromarray(pictures[0]).save(tmp_path / "first.png")
    given = [str(tmp_path / "first.png")]
    alone = model.encode(given)
    for items in (given, pictures):
        with pytest.raises(BadInput, match=r"A prompt \('a photo of '\) stands before texts"):
            model.encode(items, prompt="a photo of ")
    np.testing.assert_array_equal(model.encode(given, prompt=""), alone)
