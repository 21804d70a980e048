"""Pairs that no translator should learn from are left out and counted; the others stay as they are, and where."""

import gzip
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.errors import BadInput
from raw2vec.rows import Filtered, Rows, open_rows

LONG = "one two three four five six seven eight"  # 8 words, 39 letters


def pairs_of(rows: Rows, size: int = 1024) -> list[tuple[Any, ...]]:
    batches = list(rows.batches(size))
    assert all(0 < len(batch) <= size for batch in batches)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def kept(pairs: list[tuple[Any, Any]], **limits: Any) -> list[tuple[Any, Any]]:
    return pairs_of(Filtered(open_rows([*pairs, ("sure to", "rester là")]), "0", "1", **limits))[:-1]


REASONS: list[tuple[tuple[Any, Any], dict[str, Any], str]] = [
    (("", "vide"), {}, "1 with an empty side"),
    (("empty", None), {}, "1 with an empty side"),
    (("empty", " \t\u00a0\u3000"), {}, "1 with an empty side"),
    (("\x00\x07\x1b", "cloche"), {}, "1 with an empty side"),
    (("\u200b\ufeff", "rien"), {}, "1 with an empty side"),
    (("one", "un deux"), {"shortest": 2}, "1 shorter than 2 words"),
    (("one two three", "un deux"), {"longest": 2}, "1 longer than 2 words or 32 letters"),
    (("a" * 10_000, "b" * 10_000), {}, "1 longer than 250 words or 4,000 letters"),
    (("字ひコ한" * 350, "b" * 3_900), {}, "1 longer than 250 words or 4,000 letters"),
    ((LONG, "un deux"), {}, "1 whose lengths differ more than 3 times"),
    (("un deux", LONG), {}, "1 whose lengths differ more than 3 times"),
    (("a b c d e f g", "x y"), {}, "1 whose lengths differ more than 3 times"),
    ((LONG, "un deux trois quatre"), {"ratio": 1.5}, "1 whose lengths differ more than 1.5 times"),
    (("The red car stops.", "the RED  car, stops"), {}, "1 copied"),
    (("a b c d e f g h i j", "a b c d e f g h x j"), {"copies": 0.8}, "1 copied"),
    (("SURE TO", "Rester là !"), {}, ""),
]


@pytest.mark.parametrize(("pair", "limits", "reason"), REASONS, ids=[f"{n}-{r[2]}" for n, r in enumerate(REASONS)])
def test_each_reason(pair: tuple[Any, Any], limits: dict[str, Any], reason: str) -> None:
    rows = Filtered(open_rows([("good morning", "bonjour tous"), pair]), "0", "1", **limits)
    if reason:
        assert rows.skipped == [f"{reason}, among the 2 pairs of the data; first at the data, item 1"]
        assert pairs_of(rows) == [("good morning", "bonjour tous")]
    else:
        assert (len(pairs_of(rows)), list(rows.skipped)) == (2, [])


@pytest.mark.parametrize(
    "pair",
    [
        ("OK", "OK"),
        ("Paris, London, Rome", "Paris, London, Rome"),
        ("Bless you!", "À tes souhaits, mon cher"),
        ("I", "moi je ne le crois pas"),
        ("a b c d e f", "x"),
        # Few words, but as many letters: a language that writes its words together.
        ("because of the car insurance contract of mine", "Kraftfahrzeugversicherungsvertrag meinetwegen"),
        ("He is a man who has never been to China.", "他是个从未去过中国的人。"),
        ("a b c d e f g h i j", "a b c d e f g h i x"),
        ("bell\x07 and \x1b[0m", "cloche\x0b et\u2028saut"),
    ],
)
def test_what_stays_and_as_it_is(pair: tuple[str, str]) -> None:
    assert kept([pair]) == [pair]


def test_words_may_hold_joiners() -> None:
    persian = ("می\u200cخواهم بروم", "I go")
    assert kept([persian], longest=2) == [persian]


def test_a_pair_is_kept_once_but_for_case_space_punctuation_and_digits() -> None:
    repeated = [
        ("Room 12 is free.", "La chambre 12 est libre."),
        ("room 48 is free", "la chambre 97 est libre !"),
        ("Room 12  is\tfree", "« La chambre 12\u202fest libre »"),
        ("Ｒｏｏｍ 12 is free", "La chambre 12 est libre"),
        ("Room 123 is free.", "La chambre 12 est libre."),
        ("Room 12 is free.", "La pièce 12 est libre."),
    ]
    assert kept(repeated) == [repeated[0], repeated[4], repeated[5]]
    assert kept(repeated, duplicates="keep") == repeated
    signs = [("?", "?"), ("!", "!"), ("?", "?")]
    assert kept(signs) == signs[:2]
    assert kept([("a b", "c"), ("a", "b c")]) == [("a b", "c"), ("a", "b c")], "the sides are told apart"


def test_many_equal_pairs_make_one_row() -> None:
    table = pa.table({"en": pa.array(["A red car"] * 10**5), "fr": pa.array(["Une voiture rouge"] * 10**5)})
    rows = Filtered(open_rows(table), "en", "fr")
    assert pairs_of(rows) == [("A red car", "Une voiture rouge")]
    assert rows.skipped == [
        "99,999 repeated, among the 100,000 pairs of the table; 1 left to learn from; first at the table, row 1"
    ]


WORDS = st.sampled_from(
    ["red", "Red!", "rouge", "voiture12", "voiture7", "", " ", "\x07", "12", "。", "字字字字字字字字字字字字"]
)
SIDES = st.lists(WORDS, max_size=12).map(" ".join)


def naive(pairs: list[tuple[str, str]], shortest: int, longest: int, ratio: float, copies: float) -> list[int]:
    """The same in plain words, a pair at a time."""
    numbers, seen = [], set()
    for number, pair in enumerate(pairs):
        words = [len("".join(" " if ord(c) < 32 else c for c in side).split()) for side in pair]
        letters = [sum(3 if c == "字" else 1 for c in side) for side in pair]
        bare = ["".join(c for c in side.lower() if unicodedata.category(c)[0] != "P") for side in pair]
        key = tuple(
            "".join("0" if c.isdigit() else c for c in side if c not in " \x07") or pair[n]
            for n, side in enumerate(bare)
        )
        source, target = (side.split() for side in bare)
        shared = len([word for word in source if word in target])
        faults = (
            min(words) < max(1, shortest),
            max(words) > longest or max(letters) > 16 * longest,
            (max(words) > 6 or max(letters) > 30)
            and all(max(count) > ratio * min(count) for count in (words, letters)),
            len(source) >= 4 and shared > copies * len(source),
            key in seen,
        )
        if not any(faults):
            numbers.append(number)
            seen.add(key)
    return numbers


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=40),
    shortest=st.integers(1, 3),
    longest=st.integers(3, 12),
    ratio=st.sampled_from([1.0, 1.5, 3.0]),
    copies=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    size=st.integers(1, 9),
)
def test_as_a_plain_loop_would(
    pairs: list[tuple[str, str]], shortest: int, longest: int, ratio: float, copies: float, size: int
) -> None:
    numbers = naive(pairs, shortest, longest, ratio, copies)
    if not numbers:
        with pytest.raises(BadInput, match="no pair to learn from"):
            Filtered(open_rows(pairs), "0", "1", shortest, longest, ratio, copies)
        return
    rows = Filtered(open_rows(pairs), "0", "1", shortest, longest, ratio, copies)
    assert pairs_of(rows, size) == pairs_of(rows) == [pairs[number] for number in numbers]
    assert [rows.where(place) for place in range(len(numbers))] == [f"the data, item {number}" for number in numbers]
    assert rows.where(len(numbers)) == "the data, past its end"
    told = [part for line in rows.skipped for part in line.split(", among")[0].split(", ") if part != "nothing"]
    left = sum(int(part.split()[0]) for part in told)
    assert left == len(pairs) - len(numbers)


def test_places_columns_and_counts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv.gz"
    lines = ["en\tfr\tby", "Hello\tBonjour\tann", "\n", "\tVide\tbob", "hello!\tbonjour\tann", "Cat\tChat\tcid"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    rows = Filtered(open_rows(path, ["en", "fr"]), "en", "fr")
    assert rows.columns == ["en", "fr", "by"]
    assert pairs_of(rows, 1) == [("Hello", "Bonjour", "ann"), ("Cat", "Chat", "cid")]
    assert [row["by"] for batch in rows.batches(columns=["by"]) for row in batch.to_pylist()] == ["ann", "cid"]
    assert [rows.where(0), rows.where(1)] == [f"{path} line 2", f"{path} line 7"]
    told = f"1 with an empty side, 1 repeated, among the 4 pairs of {path}; first at {path} line 5, {path} line 6"
    assert rows.skipped == [told]
    assert Filtered(open_rows(path, ["en"]), "0", "1").columns == rows.columns, "columns go by their place, too"


def test_batches_of_any_size() -> None:
    """Duplicates are found, and places kept, beyond what is read at once, however the source cuts its batches."""
    number = [f"{'abcdefghij'[n % 10]} {chr(19968 + n // 10 % 1000)}" for n in range(20_000)]
    pairs = pa.table({"en": number, "fr": number})
    cut = pa.concat_tables([pairs.slice(0, 5), pairs.slice(5, 8191), pairs.slice(8196)])
    rows = Filtered(open_rows(cut), "en", "fr")
    wanted = list(zip(number[:10_000], number[:10_000], strict=True))
    assert pairs_of(rows, 64) == pairs_of(rows, 100_000) == wanted
    assert (rows.where(9_999), rows.where(10_000)) == ("the table, row 9999", "the table, past its end")
    rows = Filtered(open_rows(cut.slice(10)), "en", "fr")
    assert pairs_of(rows) == [*wanted[10:], *wanted[:10]]
    assert rows.where(9_999) == "the table, row 9999"


def test_what_is_known_of_the_rows_is_known_of_those_left() -> None:
    source = open_rows([("Cat", "Chat"), ("Cat", "Chat")])
    source.skipped, source.group, source.written, source.gaps = ["old.tsv"], "1", True, True
    rows = Filtered(source, "0", "1")
    assert rows.skipped == ["old.tsv", "1 repeated, among the 2 pairs of the data; first at the data, item 1"]
    assert (rows.group, rows.written, rows.gaps, rows.columns) == ("1", True, True, ["0", "1"])


def test_a_fingerprint_is_of_the_data_and_the_limits() -> None:
    def fingerprint(text: str, **limits: Any) -> str:
        return Filtered(open_rows([("a red car", text)]), "0", "1", **limits).fingerprint()

    same = fingerprint("une voiture")
    assert same == fingerprint("une voiture")
    assert len({same, fingerprint("une auto"), fingerprint("une voiture", ratio=2.0)}) == 3


def test_one_language_on_both_sides_is_told() -> None:
    same = [("Yes", "yes"), ("No way", "No way!"), ("The red car stops here", "The red car stops here")]
    rows = Filtered(open_rows([*same, ("Cat", "Chat"), ("Dog", "Chien")]), "0", "1")
    told = "1 copied, among the 5 pairs of the data; 3 say the same twice: are '0' and '1' in one language?"
    assert rows.skipped == [f"{told}; first at the data, item 2"]
    rows = Filtered(open_rows([*same[:2], ("Cat", "Chat")]), "0", "1")
    told = "nothing, among the 3 pairs of the data; 2 say the same twice: are '0' and '1' in one language?"
    assert rows.skipped == [told]
    rows = Filtered(open_rows([*same[:2], ("Cat", "Chat"), ("Dog", "Chien"), ("", "")]), "0", "1")
    assert rows.skipped == ["1 with an empty side, among the 5 pairs of the data; first at the data, item 4"]


def test_what_cannot_be_filtered_is_refused() -> None:
    copies = "the data has no pair to learn from: of 2 pairs, all are left out (1 with an empty side, 1 copied)."
    with pytest.raises(BadInput) as raised:
        Filtered(open_rows([("", "a"), ("one two three four", "one two three four")]), "0", "1")
    assert str(raised.value) == f"{copies} Name other columns, or allow for more."
    with pytest.raises(
        BadInput, match=r"all are left out \(2 copied\)\. 2 say the same twice: are '0' and '1' in one lang"
    ):
        Filtered(open_rows([("one two three four", "one two three four")] * 2), "0", "1")
    rows = open_rows({"en": ["a"], "tags": [["b"]], "raw": [b"\xff"]})
    with pytest.raises(BadInput, match=r"Column 'tags' of the data holds list<.*>, which is no text: name a column of"):
        Filtered(rows, "en", "tags")
    with pytest.raises(BadInput, match="Column 'raw' of the data holds binary, which is no text"):
        Filtered(rows, "raw", "en")
    with pytest.raises(BadInput, match="no column 'english'"):
        Filtered(rows, "english", "en")
    with pytest.raises(BadInput, match="The source and the target are one column, 'en': name two"):
        Filtered(rows, "en", "0")


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"shortest": 0}, "The pairs' setting shortest is 0: give 1 or more."),
        ({"longest": 4, "shortest": 5}, "The pairs' setting longest is 4: give the shortest, 5, or more."),
        ({"ratio": 0.5}, "The pairs' setting ratio is 0.5: give 1 or more."),
        ({"ratio": float("nan")}, "The pairs' setting ratio is nan: give 1 or more."),
        ({"copies": 90}, "The pairs' setting copies is 90: give a share from 0 to 1."),
        ({"duplicates": "once"}, "The pairs' setting duplicates is 'once': give 'drop' or 'keep'."),
    ],
)
def test_limits_out_of_range(limits: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as raised:
        Filtered(open_rows([("a", "b")]), "0", "1", **limits)
    assert str(raised.value) == sentence


def test_no_limit() -> None:
    uneven = (" ".join("abcdefghij"), "un")
    assert kept([uneven], ratio=float("inf"), copies=1) == [uneven]


BAD_FILES: list[tuple[bytes, str]] = [
    (
        b"Hello\tBonjour\nBye\tAdieu\tCiao\n",
        "line 2 has 3 cells, but line 1 has 2: quote a cell that holds a tab, or name all columns",
    ),
    (b"Hello\tBonjour\nBye\n", "line 2 has 1 cell, but line 1 has 2: is a cell missing, or a quote unclosed?"),
    (b"Hello\tBonjour\nCoffee\tCaf\xe9\n", "line 2 is not UTF-8 text (byte 24 is 0xe9)."),
    (b"Hello\tBonjour\nBell\0\tCloche\n", "is a binary file, not text (line 2, byte 18 is NUL)."),
]


@pytest.mark.parametrize(("content", "sentence"), BAD_FILES, ids=[sentence[:20] for _, sentence in BAD_FILES])
def test_lines_of_a_file_that_are_no_pair(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as raised:
        Filtered(open_rows(path, ["0", "1"]), "0", "1")
    assert str(raised.value).startswith(f"{path} {sentence}")


def test_a_line_of_10_000_letters_and_control_characters_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(f"Hello\tBonjour\n{'a' * 10_000}\tCloche\nBell\x07\tCloche\x1b[0m\n\x1b\tRien\n")
    rows = Filtered(open_rows(path, ["0", "1"]), "0", "1")
    assert pairs_of(rows) == [("Hello", "Bonjour"), ("Bell\x07", "Cloche\x1b[0m")]
    assert rows.where(1) == f"{path} line 3"
    told = f"1 with an empty side, 1 longer than 250 words or 4,000 letters, among the 4 pairs of {path}"
    assert rows.skipped == [f"{told}; first at {path} line 4, {path} line 2"]
