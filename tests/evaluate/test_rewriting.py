"""Texts and what comes back of them: edits counted as by the textbook, shares over words and texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw2vec.errors import BadInput
from raw2vec.evaluate import REWRITING
from raw2vec.evaluate.rewriting import edits

WORDS = st.lists(st.sampled_from("abc"), max_size=7)


def by_the_textbook(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return len(a) + len(b)
    changed = by_the_textbook(a[1:], b[1:]) + (a[0] != b[0])
    return min(changed, by_the_textbook(a[1:], b) + 1, by_the_textbook(a, b[1:]) + 1)


@given(st.lists(st.sampled_from("abc"), max_size=5), st.lists(st.sampled_from("abc"), max_size=5))
def test_edits_are_those_of_the_textbook(a: list[str], b: list[str]) -> None:
    assert edits(a, b) == by_the_textbook(a, b)


@given(WORDS, WORDS, WORDS)
def test_edits_are_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    assert edits(a, b) == edits(b, a)
    assert (edits(a, b) == 0) == (a == b)
    assert edits(a, c) <= edits(a, b) + edits(b, c)


def test_the_rates_are_over_all_words_and_all_texts() -> None:
    texts = ["a red car", "two dogs run over the hill", "a"]
    back = ["a blue car", "two dogs run over the hill", "a b"]
    report = REWRITING.run(lambda _: (back, 4), {"input": texts})
    assert report.metrics == pytest.approx({"word_error_rate": 2 / 10, "exact": 1 / 3})
    assert not report.baselines


def test_the_baseline_gives_the_nearest_text_it_has_seen() -> None:
    known = ["a red car", "two dogs run over a hill", "the sea at night", "an old man reads"]
    report = REWRITING.run(lambda texts: (texts, 3), {"input": ["two dogs run"]}, train={"input": known})
    assert report.metrics["word_error_rate"] == 0
    assert report.baselines["nearest text by TF-IDF+SVD"]["word_error_rate"] == pytest.approx(1.0)


def test_a_model_that_loses_texts_is_refused() -> None:
    with pytest.raises(BadInput, match="2 reconstructions of 1 texts"):
        REWRITING.run(lambda texts: (["a", "b"], 4), {"input": ["a"]})
