"""A fit that begins from a checkpoint that sees: labels from ViT, pairs from CLIP and SigLIP, and from one side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from tiny_checkpoints import TEXTS
from tiny_vision import PAIRS, clip, vit

SHORT = {"training.hold_out": 0.2, "training.checks": 1, "stages.0.batch_items": 16}
STILL = {**SHORT, "training.learning_rate": 1e-12}
DRAW = np.random.default_rng(0)
PICTURES = list(DRAW.integers(0, 256, (40, 24, 40, 3), np.uint8))
LABELS = [f"{number % 2}" for number in range(40)]
WORDS = [f"{number} ships, the mast" for number in range(40)]


def directions(model: Raw2Vec, items: Any) -> np.ndarray:
    found = np.asarray(model.encode(items))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_labels_of_pictures_from_vit(tmp_path: Path) -> None:
    vit(tmp_path / "start")
    before = raw2vec.load(tmp_path / "start")
    still = Raw2Vec(steps=1, checkpoint=tmp_path / "start", settings=STILL).fit(PICTURES, LABELS)
    np.testing.assert_allclose(directions(still, PICTURES), directions(before, PICTURES), atol=1e-4)
    assert still.parts_.recipe.training.optimizer.settings["head_rate"] == 20
    moved = Raw2Vec(steps=3, checkpoint=tmp_path / "start", settings=SHORT).fit(PICTURES, LABELS)
    assert np.abs(directions(moved, PICTURES) - directions(still, PICTURES)).max() > 1e-4
    assert set(moved.predict(PICTURES)) <= {"0", "1"}
    moved.save(tmp_path / "m")
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "m").encode(PICTURES), moved.encode(PICTURES))


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("sides", [("picture", "word"), ("word", "picture")])
def test_both_sides_begin_as_the_checkpoint(kind: str, sides: tuple[str, str], tmp_path: Path) -> None:
    PAIRS[kind](tmp_path / "start")
    before, pairs = raw2vec.load(tmp_path / "start"), {"picture": PICTURES, "word": WORDS}
    options: dict[str, Any] = {"checkpoint": tmp_path / "start"}
    still = Raw2Vec(steps=1, settings=STILL, **options).fit(pairs, input=sides[0], target=sides[1])
    for items in (PICTURES, TEXTS[:9]):
        np.testing.assert_allclose(still.encode(items), before.encode(items), atol=1e-4)
    assert still.parts_.recipe.stages[0].frozen == ()
    own, theirs = (each.parts_.objectives["0/contrastive"] for each in (still, before))
    assert (own.bias is None) == (theirs.bias is None)
    assert own.log_scale.item() == pytest.approx(theirs.log_scale.item(), abs=0.01)
    moved = Raw2Vec(steps=3, settings=SHORT, **options).fit(pairs, input=sides[0], target=sides[1])
    for items in (PICTURES, TEXTS[:9]):
        assert np.abs(moved.encode(items) - before.encode(items)).max() > 1e-4
    moved.save(tmp_path / "m")
    again = raw2vec.load(tmp_path / "m")
    np.testing.assert_array_equal(again.encode(PICTURES), moved.encode(PICTURES))


def test_one_side_of_clip_begins_a_model_of_its_own(tmp_path: Path) -> None:
    """Its pictures with labels, its words with labels."""
    clip(tmp_path)
    before = raw2vec.load(tmp_path)
    for items in (PICTURES, WORDS):
        made = Raw2Vec(steps=1, checkpoint=tmp_path, settings=STILL).fit(items, LABELS)
        np.testing.assert_allclose(directions(made, items), directions(before, items), atol=1e-4)


def test_pictures_are_locked_and_words_come(tmp_path: Path) -> None:
    """Locked-image tuning (LiT; Zhai et al. 2022) of a ViT."""
    vit(tmp_path / "start")
    before, pairs = raw2vec.load(tmp_path / "start"), {"picture": PICTURES, "word": WORDS}
    made = Raw2Vec(steps=2, checkpoint=tmp_path / "start", settings=SHORT).fit(pairs, input="picture", target="word")
    assert made.parts_.recipe.stages[0].frozen == ("input",)
    np.testing.assert_allclose(made.encode(PICTURES), directions(before, PICTURES), atol=1e-5)
    assert made.encode(WORDS).shape == (40, 32)


def test_adapters_of_both_sides(tmp_path: Path) -> None:
    """What learns beside CLIP's maps is worked into them on both sides; a locked side has none."""
    clip(tmp_path)
    before, pairs = raw2vec.load(tmp_path).parts_.model.state_dict(), {"picture": PICTURES, "word": WORDS}
    for frozen in ([], ["target"]):
        settings = {**SHORT, "stages.0.adapters.rank": 2, "stages.0.frozen": frozen}
        made = Raw2Vec(steps=2, checkpoint=tmp_path, settings=settings).fit(pairs, input="picture", target="word")
        after = made.parts_.model.state_dict()
        moved = {name.split(".")[0] for name in before if not before[name].equal(after[name]) and ".layers." in name}
        assert moved == {"input", "target"} - set(frozen)
        assert set(after) == set(before)


def test_what_cannot_begin_from_it_is_refused(tmp_path: Path) -> None:
    vit(tmp_path / "vit")
    clip(tmp_path / "clip")
    with pytest.raises(BadInput, match="reads one kind of data, image, and these are text"):
        Raw2Vec(steps=1, checkpoint=tmp_path / "vit").fit(WORDS, LABELS)
    with pytest.raises(BadInput, match="reads image and text, and these are table"):
        Raw2Vec(steps=1, checkpoint=tmp_path / "clip", kind="table").fit({"a": [1.0, 2.0] * 20, "label": LABELS})
    with pytest.raises(BadInput, match="no way back that 'reconstruction' could go on from"):
        Raw2Vec("reconstruction", steps=1, checkpoint=tmp_path / "vit").fit(PICTURES)
