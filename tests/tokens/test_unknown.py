"""Words that cannot be read are taken out of a text, and put back into its translation where they stood."""

import pytest

from raw2vec.tokens.unknown import readable, with_words

KNOWN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'()é-")


@pytest.mark.parametrize(
    ("text", "read", "written"),
    [
        ("It is all known, isn't it?", "It is all known, isn't it?", "IT IS ALL KNOWN, ISN'T IT?"),
        ("  two  spaces ", "  two  spaces ", "TWO  SPACES"),
        ("I like 😀.", "I like.", "I LIKE 😀."),
        ("I like 😀", "I like", "I LIKE 😀"),
        ("I like it. 😀", "I like it.", "I LIKE IT. 😀"),
        ("Hello😀 world!", "Hello world!", "HELLO 😀 WORLD!"),
        ("Hello😀world", "Hello world", "HELLO 😀 WORLD"),
        ("The Škoda is red.", "The is red.", "THE Škoda IS RED."),
        ("(Škoda) red", "red", "(Škoda) RED"),
        ("He saw Łódź.", "He saw.", "HE SAW Łódź."),
        ("a l'Łódź-b, c", "a, c", "A, l'Łódź-b C"),
        ("one two 学生 three four.", "one two three four.", "ONE TWO 学生 THREE FOUR."),
        ("👍🏽👍 ok 😀 and 😀 !", "ok and !", "👍🏽👍 OK 😀 AND 😀 !"),
        ("😀", "", "😀"),
        (" 😀! ", "", "😀!"),
        ("", "", ""),
    ],
)
def test_what_cannot_be_read_is_copied(text: str, read: str, written: str) -> None:
    found = readable(text, KNOWN)
    assert found.text == read
    assert with_words(found.text.upper(), found.words) == written


def test_the_place_of_a_word_is_a_share_of_the_others() -> None:
    assert with_words("un deux trois quatre cinq six", readable("one two 学 three four", KNOWN).words) == (
        "un deux trois 学 quatre cinq six"
    )
    assert with_words("", readable("one 学 two", KNOWN).words) == "学"
