"""Rows to judge by that somebody chose: all of them, none other, and never learned from."""

from pathlib import Path

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.rows import Filtered, Typed, WithHeldOut, open_rows
from raw2vec.system import Raw2Vec
from small import rows, texts

TRAIN, DEV = rows(60), [{"text": f"zebra {text}", "label": "b"} for text in texts(9, 5)]


def test_they_are_the_ones_held_out_and_nothing_of_them_is_learned(tmp_path: Path) -> None:
    made = Raw2Vec("contrastive", size="tiny", steps=2).fit(TRAIN, input="text", dev=DEV, out=tmp_path / "m")
    report = made.report
    assert (report["items"], report["held_out"]) == (69, 9)
    assert not any("zebra" in piece or "z" in piece.strip("#") for piece in made.parts_.raw.pieces[5:])
    again = Raw2Vec("contrastive", size="tiny", steps=2).fit(TRAIN, input="text")
    assert again.report["held_out"] not in (0, 9)


def test_resumed_with_other_rows_to_judge_by_it_is_another_run(tmp_path: Path) -> None:
    options = {"input": "text", "out": tmp_path / "m"}
    Raw2Vec("contrastive", size="tiny", steps=2).fit(TRAIN, dev=DEV, **options)
    Raw2Vec("contrastive", size="tiny", steps=2).fit(TRAIN, dev=DEV, **options, resume=True)
    with pytest.raises(BadInput, match="data"):
        Raw2Vec("contrastive", size="tiny", steps=2).fit([*TRAIN, *DEV], **options, resume=True)


def test_pairs_of_them_that_are_left_out_are_none_of_them() -> None:
    pairs = [
        {"a": f"the ship {word} sails", "b": f"das Schiff {word} fährt"} for word in ["one", "two", "three", "four"]
    ]
    dev = [pairs[1], {"a": "the last ship sails", "b": "das letzte Schiff fährt"}]
    found = Filtered(WithHeldOut(open_rows(pairs, []), open_rows(dev, [])), "a", "b")
    assert found.held_from == 4
    assert [len(batch) for batch in found.batches()] == [4, 1]
    with pytest.raises(BadInput, match="all that were to judge by are left out"):
        Filtered(WithHeldOut(open_rows(pairs, []), open_rows(pairs[:2], [])), "a", "b")


def test_rows_that_are_wrapped_still_know_them(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("size,day\n1,2\n3,4\n5,6\n")
    (tmp_path / "dev.csv").write_text("size,day\n7,8\n")
    both = WithHeldOut(*(open_rows(tmp_path / name, []) for name in ("train.csv", "dev.csv")))
    assert Typed(both).held_from == both.held_from == 3
    made = Raw2Vec("reconstruction", kind="table", size="tiny", steps=2)
    report = made.fit(tmp_path / "train.csv", dev=tmp_path / "dev.csv").report
    assert (report["items"], report["held_out"]) == (4, 1)


def test_what_does_not_go_with_the_rows_is_refused() -> None:
    with pytest.raises(BadInput, match="files read together need the same columns"):
        Raw2Vec(size="tiny", steps=1).fit(TRAIN, dev=[{"body": "x"}])
    pictures = open_rows(np.zeros((20, 8, 8), np.uint8), [])
    with pytest.raises(BadInput, match=r"holds text, and .* image"):
        WithHeldOut(pictures, open_rows({"image": ["a"]}, []))
