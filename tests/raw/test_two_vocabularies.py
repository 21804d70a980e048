"""A vocabulary for each of two languages: one space of ids in which they never meet, and texts that come back."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from raw2vec.augmentation import unmerge
from raw2vec.errors import BadFolder, BadInput
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.seeding import Draws
from two_scripts import ENGLISH, GREEK

KINDS = ("wordpiece", "bpe", "unigram")


def learned(inputs: list[str] = ENGLISH, targets: list[str] = GREEK, **options: Any) -> Text:
    made = Text(**{"tokenizer": "bpe", "vocabulary": 320, "vocabularies": "separate", **options})
    made.learn(inputs, targets)
    return made


def alone(texts: list[str], **options: Any) -> Text:
    made = Text(**{"tokenizer": "bpe", "vocabulary": 320, **options})
    made.learn(texts)
    return made


@pytest.fixture(scope="module")
def pair() -> Text:
    return learned()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", [GREEK, ENGLISH, GREEK[:3]], ids=["two scripts", "one language", "a few words"])
def test_the_ids_of_two_sides_never_meet(kind: str, targets: list[str]) -> None:
    made = learned(targets=targets, tokenizer=kind)
    read, told = made.windows(ENGLISH).ragged, made.side("target").windows(targets).ragged
    assert {*read.values.tolist()} & {*told.values.tolist()} == {made.start, made.end}
    own = read.values[read.values >= 5]
    assert made.form.written <= own.min() <= own.max() < made.size == made.form.vocabulary
    assert told.values.max() < made.form.written
    assert made.ordinary == range(5, made.size)
    assert (made.form.beginning, made.form.ending) == (made.start, made.end)
    assert made.unwritten == made.side("target").unwritten  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_each_side_is_cut_as_its_own_vocabulary_does(kind: str) -> None:
    made, english, greek = learned(tokenizer=kind), alone(ENGLISH, tokenizer=kind), alone(GREEK, tokenizer=kind)
    assert made.identity() == english.identity() + greek.identity()
    assert made.size == english.size + greek.size - 5
    assert made.form.written == greek.size
    for reader, other, texts in ((made, english, ENGLISH), (made.side("target"), greek, GREEK)):
        windows, expected = reader.windows(texts), other.windows(texts)
        pieces = [made.pieces[i] for i in windows.ragged.values.tolist()]
        assert pieces == [other.pieces[i] for i in expected.ragged.values.tolist()]
        assert windows.tokens.equal(expected.tokens)
        assert reader.restore(windows.ragged) == other.restore(expected.ragged)


def test_texts_of_either_side_come_back_side_by_side(pair: Text) -> None:
    odd = ["", "  two  spaces ", "[SEP] is [MASK]ed", "é😀你好", "\n"]
    inputs, targets = pair.windows([*ENGLISH, *odd]).ragged, pair.side("target").windows([*GREEK, *odd]).ragged
    both = Ragged.of([*inputs.items(), *targets.items()])
    assert pair.restore(both) == [*ENGLISH, *odd, *GREEK, *odd]
    assert pair.side("target").restore(targets) == [*GREEK, *odd]


def test_long_texts_are_cut_as_ever() -> None:
    made = learned(long="chunk", max_tokens=12)
    other = alone(ENGLISH, long="chunk", max_tokens=12)
    assert made.settings["usual"] == other.settings["usual"] > 0
    for sentences in (False, True):
        found, expected = made.windows([". ".join(ENGLISH)], sentences), other.windows([". ".join(ENGLISH)], sentences)
        assert found.ragged.shapes.equal(expected.ragged.shapes)
        assert len(found.owners) > 9


def test_tokens_come_apart_into_those_of_their_side(pair: Text) -> None:
    merges, written = pair.merges, pair.form.written
    assert merges.shape == (pair.size, 2)
    for place, (left, right) in enumerate(merges.tolist()):
        if left >= 0:
            assert pair.pieces[place] == pair.pieces[left] + pair.pieces[right]
            assert (place >= written) == (left >= written) == (right >= written)
    assert all(bool((part >= 0).any()) for part in (merges[:written], merges[written:]))
    assert bool((merges[:5] == -1).all())
    items = torch.arange(len(ENGLISH))
    for reader, texts in ((pair, ENGLISH), (pair.side("target"), GREEK)):
        ids = reader.windows(texts).ragged
        apart = unmerge(ids, items, Draws(0), rate=0.5, merges=merges, purpose="split")
        assert len(apart.values) > len(ids.values)
        assert pair.restore(apart) == texts


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_opened_it_is_the_same(kind: str, tmp_path: Path) -> None:
    made = learned(tokenizer=kind)
    made.save(tmp_path)
    again = Text.load(tmp_path, made.settings)
    assert again.identity() == made.identity()
    assert again.form == made.form
    assert again.ordinary == made.ordinary
    assert again.windows(ENGLISH).ragged.values.equal(made.windows(ENGLISH).ragged.values)
    assert again.side("target").windows(GREEK).ragged.values.equal(made.side("target").windows(GREEK).ragged.values)
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(ENGLISH[0])
    assert theirs.tokens == [made.pieces[i] for i in made.windows(ENGLISH[:1]).ragged.values.tolist()]
    for name in ("target_tokenizer.json", "tokenizer.json"):
        (tmp_path / name).write_text("{")
        with pytest.raises(BadFolder, match=f"{name} is damaged"):
            Text.load(tmp_path, made.settings)
        (tmp_path / name).unlink()
        with pytest.raises(BadFolder, match=f"has no {name}"):
            Text.load(tmp_path, made.settings)


def test_a_joint_vocabulary_reads_both_sides(tmp_path: Path) -> None:
    made = alone(ENGLISH + GREEK)
    assert made.side("target") is made
    assert made.form.written == made.form.vocabulary == made.size
    made.save(tmp_path)
    assert not (tmp_path / "target_tokenizer.json").exists()


def test_two_vocabularies_need_two_languages() -> None:
    for wrong in (lambda: Text(vocabularies="separate").learn(ENGLISH), lambda: Text().learn(ENGLISH, GREEK)):
        with pytest.raises(BadInput, match="from inputs and from targets, a joint one from all texts"):
            wrong()
    with pytest.raises(BadInput, match=r"no vocabularies 'seperate'\. Did you mean 'separate'"):
        Text(vocabularies="seperate")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no text to learn a vocabulary from"):
        learned(targets=["", " "])
