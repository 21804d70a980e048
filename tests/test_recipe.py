"""Recipes: read, changed and written; what they do not know is named, with the nearest that they do."""

import json
from pathlib import Path

import pytest

from raw2vec.errors import BadInput
from raw2vec.recipe import Recipe
from small import recipe

LEAST = {"stages": [{"objectives": ["masked"]}], "training": {"steps": 1}}


def test_json_goes_round(tmp_path: Path) -> None:
    for made in (Recipe.read(LEAST), recipe(encoder="transformer"), recipe("supervised", training__minutes=2.5)):
        path = tmp_path / "recipe.json"
        path.write_text(made.json_text())
        assert Recipe.read(path) == made
        assert Recipe.read(str(path)) == made
        assert Recipe.read(json.loads(made.json_text())) == made


def test_a_name_alone_is_a_part() -> None:
    made = Recipe.read({**LEAST, "encoder": "recurrent"})
    assert (made.encoder.name, made.encoder.settings) == ("recurrent", {})
    assert made.stages[0].objectives[0].weight == 1
    assert Recipe.read({**LEAST, "encoder": {"name": "dense", "width": 3}}).encoder.settings == {"width": 3}


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ({"encodr": "dense"}, "no setting 'encodr'. Did you mean 'encoder'?"),
        ({"training": {"learning_rat": 1}}, "'training.learning_rat'. Did you mean 'learning_rate'?"),
        ({"stages": [{"objectives": ["masked"], "batch_token": 1}]}, "batch_token'. Did you mean 'batch_tokens'?"),
        ({"stages": [{"objectives": ["masked"], "views": [{"columns": {}, "wieght": 1}]}]}, "Did you mean 'weight'?"),
        (
            {"stages": [{"objectives": ["masked", "contrastive", {"name": "masked", "weight": 2}]}]},
            "the recipe: 'stages.0': the objective 'masked' stands in one stage more than once; name it once,",
        ),
        ({"training": {"steps": 0}}, "'training.steps'"),
        (
            {"training": {"steps": 9, "minutes": 0.5}},
            "the recipe: 'training': a budget is minutes or steps, not both (given: 0.5 and 9).",
        ),
        ({"training": {"steps": "many"}}, "given: 'many'"),
        ({"training": {"hold_out": 1.0}}, "'training.hold_out'"),
        ({"columns": {"inputs": "a"}}, "columns.inputs"),
        ({"seed": -1}, "'seed'"),
        ({"stages": [{"objectives": [{"name": "masked", "weight": 0}]}]}, "weight"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_wrong_is_named(place: dict, sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        Recipe.read({**LEAST, **place})
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_an_objective_may_come_back_in_a_later_stage() -> None:
    made = Recipe.read({**LEAST, "stages": [{"objectives": ["masked", "contrastive"]}, {"objectives": ["masked"]}]})
    assert [len(stage.objectives) for stage in made.stages] == [2, 1]


def test_a_file_that_will_not_do_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.json cannot be read"):
        Recipe.read(tmp_path / "none.json")
    for text in ("{", "\xff\xfe", ""):
        (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(BadInput, match=r"a\.json is not JSON"):
            Recipe.read(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(BadInput, match=r"a\.json"):
        Recipe.read(tmp_path / "a.json")


def test_changes_by_dotted_key() -> None:
    made = recipe(encoder="transformer")
    other = made.changed({"encoder.layers": 6, "stages.0.share": 0.5, "training.minutes": 3, "columns.target": "b"})
    assert other.encoder.settings["layers"] == 6
    assert (other.stages[0].share, other.training.minutes, other.columns["target"]) == (0.5, 3, "b")
    assert made.encoder.settings["layers"] == 1, "the old one stays as it was"
    assert made.changed({"encoder": "dense"}).encoder.settings == {}
    assert made.changed({"encoder": {"name": "dense", "width": 5}}).encoder.settings == {"width": 5}
    assert made.changed({"training.optimizer": "muon"}).training.optimizer.name == "muon"
    assert made.changed({"stages.0.objectives.0.rate": 0.15}).stages[0].objectives[0].settings == {"rate": 0.15}
    assert made.changed({}) == made


def test_a_likelihood_of_another_name_begins_anew() -> None:
    made = recipe(likelihood={"name": "gaussian", "scale": "learned"})
    other = made.changed({"likelihood.levels": 16, "likelihood.name": "categorical"}).likelihood
    assert (other.name, other.settings) == ("categorical", {"levels": 16})
    kept = made.changed({"likelihood.name": "gaussian", "likelihood.deviation": 0.5}).likelihood
    assert kept.settings == {"scale": "learned", "deviation": 0.5}


def test_a_budget_takes_the_place_of_the_other() -> None:
    made = recipe(training__steps=12)
    timed = made.changed({"training.minutes": 3})
    assert (timed.training.minutes, timed.training.steps) == (3, None)
    counted = timed.changed({"training.steps": 9, "training.average": 0.5})
    assert (counted.training.minutes, counted.training.steps) == (None, 9)
    assert counted.changed({"training.average": 0.0}).training.steps == 9
    assert counted.changed({"training.minutes": None}).training.steps == 9
    with pytest.raises(BadInput, match="minutes or steps, not both"):
        made.changed({"training.minutes": 3, "training.steps": 9})


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("trainin.steps", "'trainin' is not one of .* Did you mean 'training'"),
        ("training.stepz", "no setting 'training.stepz'. Did you mean 'steps'"),
        ("stages.1.share", "'1' is not one of 0"),
        ("stages.x", "'x' is not one of 0"),
        ("seed.a", "'seed' is 0, which has no parts"),
    ],
)
def test_a_change_of_what_is_not_there_is_named(key: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        recipe().changed({key: 1})


def test_a_stage_without_views_reads_the_recipe_s_columns() -> None:
    made = recipe()
    (view,) = made.views(made.stages[0])
    assert (view.columns, view.weight) == ({"input": "text"}, 1.0)
