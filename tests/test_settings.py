"""Settings of parts: their constructors' signatures are the only list of them."""

from typing import Literal

import pytest
import torch

from raw2vec.errors import BadInput
from raw2vec.settings import checked, construct, known


class Kettle:
    """A part."""

    def __init__(self, inputs: int, litres: float = 1.5, colour: Literal["red", "blue"] = "red", cups: int = 4):
        self.inputs, self.litres, self.colour, self.cups = inputs, litres, colour, cups


def pour(litres: float, hot: bool = True) -> str:
    return f"{litres} {hot}"


def test_defaults_are_filled_in_and_what_is_given_is_left_out() -> None:
    assert checked(Kettle, {"cups": 2}, "The kettle", {"inputs": 3}) == {"litres": 1.5, "colour": "red", "cups": 2}
    assert checked(Kettle, {"litres": 2, "cups": "3"}, "The kettle", {"inputs": 3})["cups"] == 3
    assert checked(pour, {"litres": 1}, "Pouring", {}) == {"litres": 1.0, "hot": True}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"litre": 2}, "The kettle has no setting 'litre'. Did you mean 'litres'? It knows: litres, colour, cups."),
        ({"inputs": 2}, "The kettle has no setting 'inputs'."),
        ({"colour": "green"}, "The kettle: setting 'colour' is 'green', but input should be 'red' or 'blue'."),
        ({"cups": 1.5}, "The kettle: setting 'cups' is 1.5, but input should be a whole number."),
        ({"litres": None}, "The kettle: setting 'litres' is None, but input should be a number."),
        ({"litres": "two"}, "The kettle: setting 'litres' is 'two', but input should be a number."),
    ],
)
def test_what_is_wrong_is_named(settings: dict, sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        checked(Kettle, settings, "The kettle", {"inputs": 3})
    assert str(error.value).startswith(sentence)


def test_what_must_be_set_is_asked_for() -> None:
    with pytest.raises(BadInput, match="'litres'"):
        checked(pour, {}, "Pouring", {})


def test_a_part_takes_of_what_is_given_only_what_it_asks_for() -> None:
    made = construct(Kettle, {"cups": 2}, "The kettle", inputs=3, vocabulary=99)
    assert (made.inputs, made.cups, made.litres) == (3, 2, 1.5)


def test_names_are_known_or_the_nearest_is_said() -> None:
    assert known({"kettle": Kettle}, "kettle", "part") is Kettle
    with pytest.raises(BadInput, match=r"There is no part 'ketle'\. Did you mean 'kettle'\? There are: kettle\."):
        known({"kettle": Kettle}, "ketle", "part")


class Silent(torch.nn.Module):
    """A part without a constructor of its own."""


def test_a_part_without_a_constructor_has_no_settings() -> None:
    assert checked(Silent, {}, "The silent part", {}) == {}
    assert isinstance(construct(Silent, {}, "The silent part", inputs=3), Silent)
    with pytest.raises(BadInput, match="The silent part has no setting 'args'"):
        checked(Silent, {"args": ()}, "The silent part", {})
