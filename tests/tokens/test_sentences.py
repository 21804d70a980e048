"""Where texts are cut: at the ends of sentences, which abbreviations are not, and never within a word if it can be."""

import pytest

from raw2vec.raw import Text

LINES = [
    "Dr. Smith lives in the U.S. with Mrs. Jones. He wakes at 6 p.m. every day. See fig. 3 for the plan, e.g. here.",
    "It costs 3.5 pounds at St. Mary and 13.5 at home! Is it so? Yes, it is.",
]
WHOLE = [
    "Dr. Smith lives in the U.S. with Mrs. Jones.",
    "He wakes at 6 p.m. every day.",
    "See fig. 3 for the plan, e.g. here.",
    "It costs 3.5 pounds at St. Mary and 13.5 at home!",
    "Is it so?",
    "Yes, it is.",
]


def learned(tokenizer: str, case: str, max_tokens: int) -> Text:
    made = Text(tokenizer, 400, case=case, max_tokens=max_tokens, long="chunk", usual=1)  # type: ignore[arg-type]
    made.learn(LINES * 20)
    return made


@pytest.mark.parametrize("tokenizer", ["wordpiece", "bpe", "unigram"])
@pytest.mark.parametrize("case", ["keep", "lower"])
def test_abbreviations_and_numbers_end_no_sentence(tokenizer: str, case: str) -> None:
    made = learned(tokenizer, case, 200)
    made.settings["usual"] = 1
    found = made.restore(made.windows(LINES, sentences=True).ragged)
    closed = ["".join(text.split()) for text in found]
    assert closed == ["".join((text if case == "keep" else text.lower()).split()) for text in WHOLE]


@pytest.mark.parametrize("tokenizer", ["wordpiece", "bpe", "unigram"])
def test_what_is_too_long_is_cut_between_words(tokenizer: str) -> None:
    made = learned(tokenizer, "keep", 24)
    text = "every pounds home Smith lives plan " * 12
    found = made.restore(made.windows([text]).ragged)
    assert len(found) > 3
    assert " ".join(found).split() == text.split()


def test_a_word_longer_than_a_window_is_cut_where_it_must_be() -> None:
    made = learned("bpe", "keep", 10)
    found = made.restore(made.windows(["x" * 500]).ragged)
    assert "".join(found) == "x" * 500
