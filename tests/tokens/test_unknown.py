"""Words that cannot be read are taken out of a text, and put back into its translation where they stood."""

import pytest

from raw2vec.tokens.unknown import Known, Met, known, readable, with_words

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'()é-@:/")
KNOWN = Known(LETTERS, frozenset(("101", "3.14")))


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
        ("Room 101.", "Room 101.", "ROOM 101."),
        ("Room 102 is 3.14 high.", "Room is 3.14 high.", "ROOM 102 IS 3.14 HIGH."),
        ("It is 10:30.", "It is.", "IT IS 10:30."),
        ("7 men", "7 men", "7 MEN"),
        ("12345", "", "12345"),
        ("Write to me@home.org, please.", "Write to, please.", "WRITE TO, me@home.org PLEASE."),
        ("see https://a.org/x?y=1", "see", "SEE https://a.org/x?y=1"),
        ("...", "", "..."),
        (" ? ", "", "?"),
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


def test_numbers_are_known_that_were_met_and_all_where_there_were_many() -> None:
    met = Met()
    assert list(met.passing([(0, "room 101"), (1, None), (2, "7 of 1,000.5 m")])) == [
        (0, "room 101"),
        (1, None),
        (2, "7 of 1,000.5 m"),
    ]
    assert met.told() == {"characters": "".join(sorted(set("room 1017 of 1,000.5 m"))), "numbers": "1,000.5 101"}
    assert known(**met.told()).numbers == {"101", "1,000.5"}
    assert Met().told()["numbers"] == "none"
    assert known("ab", "none").numbers == {"none"}
    many = Met()
    list(many.passing((number, str(number)) for number in range(10, 10_020)))
    assert many.told()["numbers"] == "any"
    assert known("12", "any").numbers is known("12", "").numbers is None, "an older model counted none"
