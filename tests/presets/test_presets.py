"""The default recipes: their budget is the one that is asked for, and five minutes otherwise."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from raw2vec.augmentation import PictureViews
from raw2vec.errors import BadInput
from raw2vec.presets import chosen, recipe
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.rows import open_rows
from raw2vec.system import Raw2Vec
from small import texts


def budget(**asked: float) -> tuple[float | None, int | None]:
    training = recipe("text", {"input": "text"}, **asked).training
    return training.minutes, training.steps


def test_a_budget_is_minutes_or_steps_and_five_minutes_unless_asked_for() -> None:
    assert budget() == (5.0, None)
    assert budget(minutes=0.5) == (0.5, None)
    assert budget(steps=7) == (None, 7)
    with pytest.raises(BadInput, match=r"minutes or steps, not both \(given: 1 and 7\)"):
        budget(minutes=1, steps=7)
    for nothing in ({"steps": 0}, {"minutes": 0}):
        with pytest.raises(BadInput, match="should be greater than"):
            budget(**nothing)


def test_a_budget_among_the_settings_takes_the_place_of_the_preset_s() -> None:
    made = Raw2Vec(size="tiny", settings={"training.steps": 2}).fit(texts(20))
    assert made.report["steps"] == 2
    assert made.parts_.recipe.training.minutes is None


def test_a_budget_asked_for_takes_the_place_of_the_recipe_s() -> None:
    own = Raw2Vec(size="tiny", steps=3).fit(texts(20)).parts_.recipe
    assert Raw2Vec(recipe=own).fit(texts(20)).report["steps"] == 3
    assert Raw2Vec(recipe=own, steps=2).fit(texts(20)).report["steps"] == 2


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"\xff\xd8\xff\xe0", "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        (b"fLaC\0", "audio"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_files_in_a_column_are_known_by_how_they_begin(content: bytes, kind: str, wrapped: bool) -> None:
    column = pa.array([None, *[{"bytes": content, "path": None} if wrapped else content] * 3])
    rows = open_rows(pa.table({"file": column, "name": ["a", "b", "c", "d"]}))
    asked = Raw2Vec("reconstruction", size="tiny", steps=1).get_params()
    for roles in ({"input": "file"}, {"label": "name"}):
        made = chosen(rows, roles, asked)
        assert (made.kind, made.columns["input"]) == (kind, "file")
    assert chosen(rows, {"input": "name"}, asked).kind == "text"


def test_bytes_that_are_texts_stay_texts() -> None:
    rows = open_rows(pa.table({"file": pa.array([b"a text", b"another"]), "name": ["a", "b"]}))
    assert chosen(rows, {"input": "file"}, Raw2Vec(steps=1).get_params()).kind == "text"


def test_drawings_are_told_by_cross_entropy_and_photographs_by_squares(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photographs = rng.integers(1, 255, (40, 6, 6), dtype=np.uint8)
    drawings = np.where(rng.random((40, 6, 6)) < 0.6, 0, photographs).astype(np.uint8)
    for place, picture in enumerate(drawings):
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    (tmp_path / "bad.png").write_text("no picture")

    def likelihood(data: object, objective: str) -> str:
        rows = open_rows(data)
        asked = Raw2Vec(objective, kind="image", encoder="dense", steps=1).get_params()
        part = chosen(rows, {}, asked).likelihood
        return part.name if part else ""

    assert likelihood(drawings, "reconstruction") == "bernoulli"
    whole = chosen(open_rows(drawings), {}, Raw2Vec("reconstruction", kind="image", steps=1).get_params())
    assert whole.stages[0].objectives[0].settings == {"bend": 0.5}
    assert likelihood(photographs, "reconstruction") == "gaussian"
    assert likelihood(drawings, "variational") == "gaussian", "greys have no probability of being ones"
    assert likelihood(str(tmp_path), "reconstruction") == "bernoulli", "a broken picture is passed over"
    (tmp_path / "bad.png").unlink()
    assert likelihood(str(tmp_path), "reconstruction") == "bernoulli"


def test_views_flip_photographs_and_never_drawings_and_large_pictures_are_made_smaller() -> None:
    rng = np.random.default_rng(0)
    photographs = rng.integers(1, 255, (24, 6, 6), dtype=np.uint8)

    def made(data: object) -> Recipe:
        return chosen(open_rows(data), {}, Raw2Vec("contrastive", kind="image", steps=1).get_params())

    def flip(data: object) -> float:
        views: PictureViews = resolve(made(data)).stages[0].objectives[0].settings["views"]
        return views.flip

    assert flip(photographs) == 0.5
    assert flip(np.where(photographs < 160, 0, photographs).astype(np.uint8)) == 0
    assert made(photographs).raw == {}
    assert made(rng.integers(1, 255, (3, 65, 20), dtype=np.uint8)).raw == {"size": [64, 64]}
    assert made([photographs[0], photographs[0][1:]]).raw == {"size": [64, 64]}


def test_series_with_gaps_are_learned_from_as_they_are() -> None:
    waves = np.sin(np.linspace(0, 9, 40 * 20)).reshape(40, 20, 1).astype(np.float32)
    assert Raw2Vec("reconstruction", size="tiny", steps=1).fit(waves).parts_.recipe.embedding["missing"] == "none"
    waves[3, 4:9] = np.nan
    model = Raw2Vec("reconstruction", latent=3, size="tiny", steps=2).fit(waves)
    assert model.parts_.recipe.embedding["missing"] == "flag"
    assert np.isfinite(model.reconstruct(waves)).all()
    with pytest.raises(BadInput, match=r"item 3 has gaps \(NaN\).*embedding\.missing=flag"):
        Raw2Vec("reconstruction", latent=3, size="tiny", steps=2, settings={"embedding.missing": "none"}).fit(waves)


@pytest.mark.parametrize("objective", [None, "supervised"])
def test_a_target_beside_labels_alone_is_refused(objective: str | None) -> None:
    rows = [{"body": f"a text {row}", "kind": "ab"[row % 2], "answer": f"another {row}"} for row in range(20)]
    with pytest.raises(BadInput, match="learns the labels of one column: leave out --target answer"):
        Raw2Vec(objective, size="tiny", steps=2).fit(rows, input="body", label="kind", target="answer")
    Raw2Vec("contrastive", size="tiny", steps=1).fit(rows, input="body", label="kind", target="answer")


def test_placeholders_are_protected_where_messages_are_translated(tmp_path: Path) -> None:
    file = tmp_path / "fr.po"
    file.write_text('msgid "Open %s"\nmsgstr "Ouvrir %s"\n')
    rows, asked = open_rows(file), {"input": "source", "target": "target"}

    def protected(objective: str, **settings: object) -> str | None:
        return chosen(rows, asked, Raw2Vec(objective, settings=settings).get_params()).placeholders

    assert protected("translation") == "protect"
    assert protected("translation", placeholders=None) is None
    assert protected("contrastive") is None
    pairs = open_rows([{"source": "Open %s", "target": "Ouvrir %s"}])
    assert chosen(pairs, asked, Raw2Vec("translation").get_params()).placeholders is None
