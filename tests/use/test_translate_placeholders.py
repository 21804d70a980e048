"""A translator that protects placeholders: marks are all that it meets, and all pieces are in what it gives."""

from collections.abc import Sequence
from importlib import import_module

import pytest

from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.use.translate import Translated, translate
from raw2vec.use.write import Manner
from small import texts

SETTINGS = {"placeholders": "protect", "raw.vocabulary": 300, "raw.unknown": "spell", "stages.0.batch_tokens": 512}


@pytest.fixture(scope="module")
def model() -> Raw2Vec:
    """Of pairs with names that no two of them share, after hardly any training."""
    names = [f"%(q{number}x)s" for number in range(60)]
    pairs = [{"a": f"{name} {text}", "b": f"{text[::-1]} {name}"} for name, text in zip(names, texts(60), strict=True)]
    return Raw2Vec("translation", size="tiny", steps=1, settings=SETTINGS).fit(pairs, input="a", target="b")


def test_marks_are_learned_and_names_are_not(model: Raw2Vec) -> None:
    counts = model.parts_.raw.windows(["①", "%(q7x)s"]).tokens.tolist()
    assert counts[0] == 1
    assert counts[1] >= 7, "each of its characters is a token"


def test_what_is_held_out_and_kept_as_golden_is_as_it_was_written(model: Raw2Vec) -> None:
    assert model.parts_.golden is not None
    assert all("%(q" in text and "①" not in text for text in model.parts_.golden[0])


def drafts(*found: str) -> Translated:
    return Translated(list(found), [-float(place) for place in range(len(found))], ids=[[len(text)] for text in found])


def test_drafts_that_have_all_go_first_and_what_is_missing_is_told(
    model: Raw2Vec, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [drafts("Ouvrir", "Ouvrir ①", "①"), drafts("Rien"), drafts("② et ①", "rien")]
    asked: list[object] = []

    def stand_in(parts: object, author: object, given: Sequence[str], manner: Manner, *rest: object) -> object:
        asked.extend([list(given), manner.best, rest[0]])
        return made

    monkeypatch.setattr(import_module("raw2vec.use.translate"), "_translated", stand_in)
    lines = ["Open %(file)s", "Nothing {} of %d", "<b>{name}"]
    found = translate(model.parts_, lines, Manner(beam=3, best=2), ["%(file)s:", "{}", "%d"])
    assert asked == [["Open ①", "Nothing ① of ②", "①②"], 3, ["①:", "①", "%d"]]
    assert found[0] == Translated(["Ouvrir %(file)s", "%(file)s"], [-1.0, -2.0], ids=[[8], [1]])
    assert (found[1].text, found[1].lost) == ("Rien {} %d", ["{}", "%d"])
    assert found[2].texts == ["{name} et <b>", "rien <b> {name}"]
    assert found[2].lost == []


def test_every_placeholder_is_in_whatever_is_written(model: Raw2Vec) -> None:
    (found,) = translate(model.parts_, ["the %(ship)s of {0}, %d"], Manner(beam=2))
    assert all(found.text.count(piece) == 1 for piece in ("%(ship)s", "{0}", "%d"))
    assert "①" not in found.text
    assert translate(model.parts_, [""])[0].text == ""


def test_what_is_no_text_is_named_by_its_number(model: Raw2Vec) -> None:
    with pytest.raises(BadInput, match="Text 1 is a int"):
        translate(model.parts_, ["one", 2])  # type: ignore[list-item]


def test_they_are_protected_in_translation_alone() -> None:
    with pytest.raises(BadInput, match="that is for 'translation' alone"):
        Raw2Vec(size="tiny", steps=1, settings={"placeholders": "protect"}).fit(texts(20))
