"""Labels: which task they make, what is no label, and the way back to words."""

import datetime
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw2vec.errors import BadInput
from raw2vec.labels import Labels

NUMBERS = [f"{n}.5" for n in range(30)]
names = st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(st.lists(names | st.integers() | st.booleans(), min_size=2).filter(lambda v: len(set(map(repr, v))) > 1))
def test_classes_go_round(values) -> None:
    if len(set(values)) < 2 or len(set(map(str, values))) != len(set(values)):
        return  # 1, 1.0 and True are one to Python; 1 and "1" have names that read alike
    labels = Labels.learn(values)
    if labels.task == "classes":
        assert labels.words(labels.numbers(values)) == values
        again = Labels(**json.loads(json.dumps(labels.as_dict())))
        assert again.words(again.numbers(values)) == values


def test_the_task_is_told_from_the_values() -> None:
    assert Labels.learn(["a", "b", "a"]).task == "classes"
    assert Labels.learn([1, 2, 3] * 20).task == "classes"
    assert Labels.learn([0.0, 1.0, 2.0]).task == "classes", "whole and few: classes read from a float column"
    assert Labels.learn([0.5, 1.0, 2.0]).task == "numbers"
    assert Labels.learn([float(n) for n in range(30)]).task == "numbers"
    assert Labels.learn(NUMBERS).task == "numbers"
    assert Labels.learn([str(n) for n in range(30)]).task == "classes"
    assert Labels.learn(["a|b", "a", "c"]).task == "labels"
    assert Labels.learn([["a", "b"], [], ["c"]]).task == "labels"
    assert Labels.learn(np.array(["x", "y"])).names == ["x", "y"]


def test_several_at_once() -> None:
    labels = Labels.learn(["a|b", "c", "b|a|"])
    assert labels.names == ["a", "b", "c"]
    sets = labels.numbers(["a|b", "c", "b"])
    assert sets.tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert sets.dtype == np.float32
    assert labels.words(sets > 0.5) == [["a", "b"], ["c"], ["b"]]
    lists = Labels.learn([["a", "b"], [], ["c"]])
    assert lists.numbers([[], ["c", "a"]]).tolist() == [[0, 0, 0], [1, 0, 1]]
    mixed = Labels.learn(["a|b", 5])
    assert mixed.outcomes == 3


@given(st.lists(st.floats(-1e6, 1e6), min_size=2).filter(lambda v: np.std(v) > 1e-3))
def test_numbers_are_standardised_and_come_back(values) -> None:
    labels = Labels.learn([*values, min(values) + 0.5])
    assert labels.task == "numbers"
    numbers = labels.numbers(values)
    assert numbers.shape == (len(values), 1)
    np.testing.assert_allclose(labels.words(numbers), values, atol=1e-4 * np.abs(values).max() + 1e-6)


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  ", np.float64("nan")], ids=repr)
def test_a_missing_label_is_named_by_its_row(missing: object) -> None:
    with pytest.raises(BadInput, match="Row 2 has no 'tone'"):
        Labels.learn(["a", "b", missing, "a"], "tone")


@pytest.mark.parametrize("values", [[0.5, 1.5, float("inf")], [0.5, 1.0, float("-inf")], [*NUMBERS, "inf"]], ids=repr)
def test_an_infinite_label_is_named_by_its_row(values: list) -> None:
    with pytest.raises(BadInput, match=f"Row {len(values) - 1} .*'tone'.*finite"):
        Labels.learn(values, "tone")


@pytest.mark.parametrize("stray", ["n/a", "12,5", "1.2.3"])
def test_a_word_among_numbers_is_named_by_its_row(stray: str) -> None:
    """As classes, every number would be one of its own."""
    with pytest.raises(BadInput, match=f"Row 30 has '{stray}' for its 'price', where 30 of 31 rows have a number"):
        Labels.learn([*NUMBERS, stray], "price")
    with pytest.raises(BadInput, match=f"Row 2 has '{stray}'"):
        Labels.learn(["3", *NUMBERS[:1], stray, *NUMBERS], "price")
    with pytest.raises(BadInput, match=f"Row 30 has '{stray}'"):
        Labels.learn([*map(float, NUMBERS), stray], "price")


def test_classes_that_read_like_numbers_stay_classes() -> None:
    assert Labels.learn([*NUMBERS, "a", "b", "c", "d"]).task == "classes", "no nearly all"
    assert Labels.learn(["3.11", "3.12", "3.13"] * 20 + ["any"]).task == "classes", "few different ones"
    assert Labels.learn([*map(str, range(60)), "other"]).task == "classes", "no decimal point"
    assert Labels.learn([*NUMBERS[:10], "a"]).task == "classes", "too few to tell"


def test_names_never_learned_come_after_those_that_were() -> None:
    labels = Labels.learn(["b", "a"])
    assert labels.widened(["d", "a", "c"]).names == ["a", "b", "c", "d"]
    assert labels.names == ["a", "b"]
    assert Labels.learn(["a|b", "c"]).widened(["a|x", "b"]).names == ["a", "b", "c", "x"]
    assert Labels.learn([0.5, 1.5]).widened([7.0, 8.0]).names == []
    with pytest.raises(BadInput, match="Row 1 has no 'tone'"):
        labels.widened(["a", ""], "tone")


def test_a_label_is_the_one_that_reads_alike() -> None:
    """A file of lines may hold 1 where a CSV holds '1'."""
    assert Labels.learn([1, 2]).widened(["2", "1"]).names == [1, 2]
    assert Labels.learn([1, 2]).numbers(["2", "1"]).tolist() == [1, 0]
    assert Labels.learn(["1", "2"]).numbers([2, 1]).tolist() == [1, 0]
    assert Labels.learn([1, "1"]).numbers(["1", 1]).tolist() == [1, 0]


def test_one_value_only_is_nothing_to_learn() -> None:
    with pytest.raises(BadInput, match="one class only \\('a'\\)"):
        Labels.learn(["a", "a"], "tone")
    with pytest.raises(BadInput, match=r"Every 'tone' is 0\.5"):
        Labels.learn([0.5, 0.5], "tone")
    with pytest.raises(BadInput, match="one class only"):
        Labels.learn([])


def test_a_label_that_is_neither_text_nor_number_is_refused() -> None:
    with pytest.raises(BadInput, match=r"Row 0: .*date"):
        Labels.learn([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)])
    with pytest.raises(BadInput, match=r"Row 0: .*bytes"):
        Labels.learn([b"a", b"b"])


def test_a_label_that_was_not_learned_is_named() -> None:
    with pytest.raises(BadInput, match="Row 1: the label 'c' was not among those learned \\('a', 'b'…\\)"):
        Labels.learn(["a", "b"]).numbers(["a", "c"])
    with pytest.raises(BadInput, match="Row 0: the label 'x'"):
        Labels.learn(["a|b", "c"]).numbers(["a|x"])
    for bad in ("many", None, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="Row 1"):
            Labels.learn([0.5, 1.5]).numbers([1.0, bad])
