"""From recipes to parts: names and settings checked, everything written out, weights by the seed alone."""

import json

import pytest
import torch

from raw2vec.build import ENCODERS, OBJECTIVES, build_model, build_objectives, build_raw
from raw2vec.errors import BadInput
from raw2vec.recipe import RETURNING, Recipe
from raw2vec.resolve import resolve
from small import recipe, texts


def test_a_resolved_recipe_is_written_out_whole_and_stays_as_it_is() -> None:
    made = resolve(recipe(encoder="transformer"))
    assert made.encoder.settings["dropout"] == 0.1
    assert {"layers", "heads", "width"} < set(made.encoder.settings)
    assert made.raw["tokenizer"] == "wordpiece"
    assert made.embedding["width"] == 16
    assert "rate" not in made.stages[0].objectives[0].settings
    assert resolve(made) == made
    assert resolve(Recipe.read(json.loads(made.json_text()))).json_text() == made.json_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"encoder": "transfomer"}, "no encoder 'transfomer'. Did you mean 'transformer'?"),
        ({"kind": "texts"}, "no kind of data 'texts'. Did you mean 'text'?"),
        ({"latent": "pont"}, "no latent 'pont'. Did you mean 'point'?"),
        ({"stages.0.objectives.0": "maskd"}, "no objective 'maskd'. Did you mean 'masked'?"),
        ({"encoder.widht": 3}, "The encoder 'dense' has no setting 'widht'. Did you mean 'width'?"),
        ({"raw.vocab": 3}, "The text has no setting 'vocab'. Did you mean 'vocabulary'?"),
        ({"embedding.dropuot": 0.1}, "The embedding has no setting 'dropuot'. Did you mean 'dropout'?"),
        ({"latent.poolin": "max"}, "The latent 'point' has no setting 'poolin'. Did you mean 'pooling'?"),
        ({"stages.0.objectives.0.temprature": 1}, "no setting 'temprature'. Did you mean 'temperature'?"),
        ({"encoder.width": "wide"}, "The encoder 'dense': setting 'width' is 'wide'"),
        ({"encoder.inputs": 4}, "The encoder 'dense' has no setting 'inputs'."),
        ({"encoder": {"name": "dense", "layers": 0, "activation": "gellu"}}, "There is no activation 'gellu'"),
        ({"encoder": {"name": "dense", "layers": 0, "activation": "geglu"}}, "only a transformer's layers have"),
        ({"training.judged_by": "bleu"}, "judged_by is bleu, which scores translations; this"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_wrong_is_named_before_any_work(change: dict, sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        resolve(recipe().changed(change))
    assert sentence in str(error.value)


def test_an_objective_s_settings_are_its_own_though_a_part_is_given_a_fact_of_that_name() -> None:
    """Matryoshka's dimensions are no axes of a grid."""
    made = resolve(recipe().changed({"stages.0.objectives.0.dimensions": [4, 8]}))
    raw = build_raw(made)
    raw.learn(texts(30))
    (objective,) = build_objectives(made, raw, build_model(made, raw), None, 0).values()
    assert objective.dimensions == (4, 8)


@pytest.mark.parametrize("count", [0, 1000])
def test_matryoshka_s_widths_are_within_the_vector(count: int) -> None:
    made = resolve(recipe().changed({"stages.0.objectives.0.dimensions": [4, count]}))
    raw = build_raw(made)
    raw.learn(texts(30))
    model = build_model(made, raw)
    with pytest.raises(BadInput, match=rf"first {count} numbers of a vector, which has {model.latent.width}"):
        build_objectives(made, raw, model, None, 0)


def test_a_run_without_a_budget_is_refused() -> None:
    made = recipe().model_dump(mode="json")
    with pytest.raises(BadInput, match=r"no budget: give it training\.minutes or training\.steps"):
        resolve(Recipe.read({**made, "training": {}}))


def test_a_run_that_learns_nothing_is_refused() -> None:
    made = recipe().model_dump(mode="json")
    with pytest.raises(BadInput, match="no stages: it says nothing that could be learned"):
        resolve(Recipe.read({**made, "stages": []}))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    "objective", [name for name in OBJECTIVES if name not in (*RETURNING, "translation", "vicreg", "distillation")]
)
def test_weights_are_drawn_from_the_seed_alone(encoder: str, objective: str) -> None:
    states = []
    for seed, before in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(before)
        state = torch.get_rng_state()
        made = resolve(recipe(objective, encoder, seed=seed))
        raw = build_raw(made)
        raw.learn(texts(30))
        model = build_model(made, raw)
        objectives = build_objectives(made, raw, model, "classes", 3)
        assert list(objectives) == [f"0/{objective}"]
        assert torch.equal(torch.get_rng_state(), state)
        states.append({**model.state_dict(), **objectives.state_dict()})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])
