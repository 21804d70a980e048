"""The default recipes: their budget is the one that is asked for, and five minutes otherwise."""

import pytest

from raw2vec.errors import BadInput
from raw2vec.presets import recipe
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
