"""A fit that begins from a checkpoint: its weights, its tokenizer, every objective for texts, frozen or whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.cli import app
from raw2vec.errors import BadInput
from raw2vec.recipe import Recipe
from small import rows
from tiny_checkpoints import CASES, TEXTS, model2vec, written

PAIRS = [{"input": row["text"], "target": f"{row['label']} {row['text'][:9]}"} for row in rows(150)]
SHORT = {"training.hold_out": 0.2, "training.checks": 2}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    written("bert", folder)
    return folder


def fitted(start: Path, data: Any, objective: str | None = None, steps: int = 3, **options: Any) -> Raw2Vec:
    settings = {**SHORT, **options.pop("settings", {})}
    columns = {name: options.pop(name) for name in ("input", "target", "label") if name in options}
    return Raw2Vec(objective, steps=steps, checkpoint=start, settings=settings, **options).fit(data, **columns)


@pytest.mark.parametrize(
    ("objective", "data", "columns"),
    [
        ("contrastive", PAIRS, {"input": "input", "target": "target"}),
        ("supervised", rows(), {"input": "text", "label": "label"}),
        ("masked", rows(), {"input": "text"}),
        (None, rows(), {"input": "text"}),
    ],
)
def test_it_begins_where_the_checkpoint_is(
    start: Path, objective: str | None, data: Any, columns: dict[str, str], tmp_path: Path
) -> None:
    """With a rate of almost nothing the vectors stay; with the usual one they move, and the tokenizer never does."""
    before = raw2vec.load(start)
    still = fitted(start, data, objective, settings={"training.learning_rate": 1e-12}, **columns)
    directions = [found / np.linalg.norm(found, axis=1, keepdims=True) for found in map(_vectors, (still, before))]
    np.testing.assert_allclose(*directions, atol=1e-4)
    moved = fitted(start, data, objective, steps=5, **columns)
    assert np.abs(_vectors(moved) - _vectors(still)).max() > 1e-4
    assert moved.parts_.raw.identity() == before.parts_.raw.identity()
    assert moved.report["checkpoint"] == str(start)
    moved.save(tmp_path / "m")
    np.testing.assert_array_equal(_vectors(raw2vec.load(tmp_path / "m")), _vectors(moved))


@pytest.mark.parametrize("case", [*CASES, "model2vec"])
def test_every_family_learns_on(case: str, tmp_path: Path) -> None:
    """Two steps turn its vectors, and what is saved gives them again."""
    if case == "model2vec":
        model2vec(tmp_path / "start")
    else:
        written(case, tmp_path / "start")
    before = raw2vec.load(tmp_path / "start")
    moved = fitted(tmp_path / "start", rows(), "supervised", steps=2, input="text", label="label")
    assert np.isfinite(_vectors(moved)).all()
    turned, were = (found / np.linalg.norm(found, axis=1, keepdims=True) for found in map(_vectors, (moved, before)))
    assert np.abs(turned - were).max() > 1e-5
    assert moved.parts_.raw.settings == before.parts_.raw.settings
    assert moved.parts_.raw.identity() == before.parts_.raw.identity()
    moved.save(tmp_path / "m")
    np.testing.assert_array_equal(_vectors(raw2vec.load(tmp_path / "m")), _vectors(moved))


def test_the_start_stands_among_the_baselines(start: Path) -> None:
    model = fitted(start, PAIRS, input="input", target="target")
    assert f"{start}, as it was" in model.report["baselines"]


def test_frozen_parts_stay_and_the_head_learns(start: Path) -> None:
    before = raw2vec.load(start).parts_.model.state_dict()
    settings = {"stages.0.frozen": ["embedding", "encoder"], "training.hold_out": 0.0}
    heads = []
    for steps in (1, 20):
        model = fitted(start, rows(), "supervised", steps=steps, input="text", label="label", settings=settings)
        after = model.parts_.model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        heads.append(next(model.parts_.objectives.parameters()))
    assert (heads[0] - heads[1]).abs().max() > 0.01


def test_a_model_of_ones_own_and_another_width(start: Path, tmp_path: Path) -> None:
    """Also a folder of ours is a checkpoint to begin from, of arrays too; a latent of another width begins anew."""
    fitted(start, rows(), "masked", input="text", latent=5).save(tmp_path / "first")
    again = fitted(tmp_path / "first", PAIRS, input="input", target="target")
    assert again.n_features_out_ == 5
    pictures = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    Raw2Vec("reconstruction", "dense", size="tiny", steps=3, settings=SHORT).fit(pictures).save(tmp_path / "pictures")
    settings = {**SHORT, "training.learning_rate": 1e-12}
    same = Raw2Vec("reconstruction", steps=1, checkpoint=tmp_path / "pictures", settings=settings).fit(pictures)
    kept = raw2vec.load(tmp_path / "pictures")
    np.testing.assert_allclose(same.reconstruct(pictures[:5]), kept.reconstruct(pictures[:5]), atol=1)
    assert same.parts_.raw.identity() == kept.parts_.raw.identity()


def test_a_recipe_that_names_its_checkpoint(start: Path, tmp_path: Path) -> None:
    """What a fit from a checkpoint saves as its recipe begins from it again: the same seed, the same weights."""
    once = fitted(start, rows(), "masked", input="text")
    once.save(tmp_path / "m")
    twice = Raw2Vec(recipe=Recipe.read(tmp_path / "m" / "recipe.json")).fit(rows())
    np.testing.assert_array_equal(_vectors(once), _vectors(twice))


def test_resumed_it_ends_in_the_same_weights(start: Path, tmp_path: Path) -> None:
    whole = fitted(start, rows(), "masked", steps=6, input="text")

    def stop(event: Any) -> None:
        if getattr(event, "step", 0) == 4 and event.losses:
            raise KeyboardInterrupt

    settings = {**SHORT, "training.save_every": 1e-9}
    made = Raw2Vec("masked", steps=6, checkpoint=start, settings=settings)
    with pytest.raises(KeyboardInterrupt):
        made.fit(rows(), input="text", out=tmp_path / "m", listener=stop)
    resumed = made.fit(rows(), input="text", out=tmp_path / "m", resume=True)
    np.testing.assert_array_equal(_vectors(resumed), _vectors(whole))


@pytest.mark.parametrize("sides", [("picture", "word"), ("word", "picture")])
def test_one_side_of_pairs_begins_as_the_checkpoint_and_is_locked(
    start: Path, tmp_path: Path, sides: tuple[str, str]
) -> None:
    """Locked-image tuning the other way about (LiT; Zhai et al. 2022): words stay where they are, pictures come."""
    draw = np.random.default_rng(0)
    pairs = {"picture": list(draw.integers(0, 256, (60, 8, 8), np.uint8)), "word": [f"{n} dogs" for n in range(60)]}
    made = Raw2Vec(steps=4, size="tiny", checkpoint=start, settings=SHORT)
    made.fit(pairs, input=sides[0], target=sides[1])
    side = "target" if sides[1] == "word" else "input"
    before, after = raw2vec.load(start), made.parts_.model.side(side)
    assert made.parts_.recipe.stages[0].frozen == (side,)
    for name, value in before.parts_.model.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name
    assert made.parts_.raw.side(side).identity() == before.parts_.raw.identity()
    words = made.encode(TEXTS, side=side)
    theirs = _vectors(before)
    np.testing.assert_allclose(words, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=1e-5)
    assert made.encode(pairs["picture"]).shape == (60, before.n_features_out_)
    made.save(tmp_path / "m")
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "m").encode(TEXTS, side=side), words)
    assert set(made.predict(pairs["picture"][:9], labels=["a dog", "a cat"])) <= {"a dog", "a cat"}
    free = Raw2Vec(steps=4, size="tiny", checkpoint=start, settings={**SHORT, "stages.0.frozen": []})
    free.fit(pairs, input=sides[0], target=sides[1])
    assert np.abs(free.encode(TEXTS, side=side) - words).max() > 1e-5
    with pytest.raises(BadInput, match="have its 32 numbers: leave out the latent"):
        Raw2Vec(steps=1, checkpoint=start, latent=8).fit(pairs, input=sides[0], target=sides[1])


def test_what_cannot_begin_from_it_is_refused(start: Path, tmp_path: Path) -> None:
    pictures = np.zeros((20, 8, 8), np.uint8)
    with pytest.raises(BadInput, match="reads one kind of data, text, and these are image"):
        Raw2Vec(steps=1, checkpoint=start).fit(pictures)
    with pytest.raises(BadInput, match="no way back that 'reconstruction' could go on from"):
        fitted(start, rows(), "reconstruction", input="text")
    with pytest.raises(BadInput, match="An encoder has no say beside the checkpoint"):
        fitted(start, rows(), "masked", input="text", encoder="recurrent")
    for name, value in {"encoder.layers": 2, "encoder.heads": 1, "encoder.activation": "relu"}.items():
        with pytest.raises(BadInput, match=rf"{name} is {value}, and the weights .* were learned with"):
            fitted(start, rows(), "masked", input="text", settings={name: value})
    adapted = {"stages.0.adapters.rank": 2, "stages.0.frozen": ["encoder"]}
    with pytest.raises(BadInput, match="adapters change the encoder, which is among its frozen parts"):
        fitted(start, rows(), "masked", input="text", settings=adapted)
    fitted(start, rows(), "masked", input="text", settings={"encoder.dropout": 0.1})


def test_on_the_command_line(start: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("\n".join(TEXTS))
    words = ["fit", str(tmp_path / "notes.txt"), "--from", str(start), "--objective", "masked", "--steps", "2"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "m"), "--json"])
    assert result.exit_code == 0, result.stderr
    assert raw2vec.load(tmp_path / "m").n_features_out_ == 32
    result = CliRunner().invoke(app, ["fit", str(tmp_path / "notes.txt"), "--from", "nowhere", "--out", "x"])
    assert (result.exit_code, "There is no file or folder 'nowhere'" in result.stderr) == (2, True)


def _vectors(model: Raw2Vec) -> np.ndarray:
    return np.asarray(model.encode(TEXTS))
