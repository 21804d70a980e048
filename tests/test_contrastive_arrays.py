"""Series and sounds learned from by two looks at each, from the facade to a folder and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raw2vec

SMALL = {"encoder.width": 16, "encoder.layers": 2}


def waves(count: int = 24) -> list[np.ndarray]:
    """Waves of two speeds and of many lengths, in two channels."""
    draw = np.random.default_rng(0)
    made = []
    for number in range(count):
        steps = np.arange(draw.integers(20, 60)) * (0.3 if number % 2 else 1.1) + draw.uniform(0, 6)
        noise = 0.1 * draw.standard_normal((len(steps), 2))
        made.append(np.stack([np.sin(steps), np.cos(steps)], axis=1) + noise)
    return made


def sounds() -> list[np.ndarray]:
    return [np.sin(np.arange(1500 + 200 * number) / (3 + number)).astype(np.float32) / 2 for number in range(12)]


@pytest.mark.parametrize(("kind", "items", "width"), [("series", waves(), 320), ("audio", sounds(), 256)])
def test_one_vector_an_item_whoever_stands_beside_it_and_the_same_from_its_folder(
    kind: str, items: list[Any], width: int, tmp_path: Path
) -> None:
    model = raw2vec.Raw2Vec("contrastive", kind=kind, steps=3, settings=SMALL).fit({"it": items}, input="it")
    vectors = model.transform(items)
    assert vectors.shape == (len(items), width)
    np.testing.assert_allclose(model.transform(items[:1]), vectors[:1], atol=1e-5)
    model.save(tmp_path / "m")
    assert np.array_equal(raw2vec.load(tmp_path / "m").transform(items), vectors)


def test_moments_are_found_better_and_better() -> None:
    losses: list[float] = []

    def hear(event: Any) -> None:
        losses.extend(getattr(event, "losses", {}).values())

    settings = SMALL | {"training.learning_rate": 5e-3}
    raw2vec.Raw2Vec("contrastive", kind="series", steps=16, settings=settings).fit(
        {"it": waves()}, input="it", listener=hear
    )
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
