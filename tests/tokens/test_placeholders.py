"""Placeholders go out of a translator's reach and come back: every one, as often, whatever was written round them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw2vec.tokens.placeholders import (
    MARKS,
    Marked,
    kept,
    marked,
    marked_pair,
    missing,
    restored,
    with_marks,
    without_marks,
)

PIECES = ["%s", "%(name)s", "%1$d", "%5.2f", "%2", "%%", "{}", "{name!r:>4}", "${x}", "{{ a b }}"]
PIECES += ['<a href="%s">', "</a>", "<br/>", "&nbsp;", "&#160;", "①", "⑳"]


@pytest.mark.parametrize("piece", PIECES)
def test_every_kind_is_one_piece(piece: str) -> None:
    assert marked(f"Open {piece} now") == Marked("Open ① now", [piece])


@pytest.mark.parametrize("text", ["100 % de", "a < b > c", "Tom & Jerry", "50 %", "{ a b }", "_Open &File"])
def test_what_is_no_placeholder_stays(text: str) -> None:
    assert marked(text) == Marked(text, [])


def test_equal_pieces_have_equal_marks_in_their_order() -> None:
    assert marked("%s to %d and %s") == Marked("① to ② and ①", ["%s", "%d"])


@given(st.text(st.sampled_from([*"ab% (){}<>&;/12sd", "①", "⑳", "\n"]), max_size=60) | st.text())
def test_what_is_written_back_at_once_is_as_it_was(text: str) -> None:
    source = marked(text)
    assert restored(source.text, source) == (text, [])
    assert missing(source.text, source) == 0
    assert without_marks(with_marks(text, source.pieces), source.pieces) == text
    assert kept(text, text)


def test_more_pieces_than_marks_stay_as_they_are() -> None:
    text = " ".join(f"{{{number}}}" for number in range(len(MARKS) + 3)) + " ⑤"
    source = marked(text)
    assert len(source.pieces) == len(MARKS)
    assert "⑤" in source.pieces
    assert restored(source.text, source) == (text, [])


def test_only_what_both_sides_hold_equally_often_is_marked() -> None:
    assert marked_pair("%s in <b>%d</b>", "<b>%d</b> dans %s") == ("① in ②③④", "②③④ dans ①")
    assert marked_pair("Open <file>, %s", "Ouvrir <fichier>, %s") == ("Open <file>, ①", "Ouvrir <fichier>, ①")
    assert marked_pair("%d or %d", "%d") == ("%d or %d", "%d")


def test_what_is_missing_stands_at_the_end_and_what_is_too_much_goes() -> None:
    source = marked("Move %s to %s by %(who)s")
    assert restored("Déplacer ① vers ① par ②", source) == ("Déplacer %s vers %s par %(who)s", [])
    assert restored("Déplacer ①", source) == ("Déplacer %s %s %(who)s", ["%s", "%(who)s"])
    assert restored("① ① ① ② ⑦", source).text.split() == ["%s", "%s", "%(who)s"]
    assert [missing(text, source) for text in ("① ① ②", "①", "① ① ① ② ⑦")] == [0, 2, 2]


def test_kept_counts_each() -> None:
    assert kept("%s and %s", "%s et %s")
    assert not kept("%s and %s", "%s")
    assert not kept("%s", "%d")
