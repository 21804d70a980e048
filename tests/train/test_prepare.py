"""Preparing: the corpus and its vocabulary, kept for a run that resumes, refused to a run of something else."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.presets import recipe as preset
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.rows import open_rows
from raw2vec.train.prepare import Data, prepare
from small import recipe, rows


def prepared(work: Path, resume: bool = False, data: object = None, made: Recipe | None = None) -> Data:
    made = resolve(made or recipe("supervised"))
    return prepare(open_rows(rows(60) if data is None else data, []), made, work, resume, lambda event: None)


def test_what_is_prepared_comes_back(tmp_path: Path) -> None:
    once = prepared(tmp_path)
    stamp = (tmp_path / "corpus" / "values.bin").stat().st_mtime_ns
    again = prepared(tmp_path, resume=True)
    assert (tmp_path / "corpus" / "values.bin").stat().st_mtime_ns == stamp, "nothing was done again"
    assert again.raw.identity() == once.raw.identity()
    assert np.array_equal(again.corpus.values, once.corpus.values)
    assert (again.held, again.truncated, again.learnt) == (once.held, once.truncated, once.learnt)
    assert once.labels is not None
    assert again.labels is not None
    assert again.labels.as_dict() == once.labels.as_dict()


def test_the_rows_are_there_as_tokens_with_their_labels(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    assert len(data.corpus) == 60
    texts = [row["text"] for row in rows(60)]
    whole = data.raw.windows(texts).ragged
    assert [data.corpus.gather(np.array([n]), 0).values.tolist() for n in range(60)] == [
        i.tolist() for i in whole.items()
    ]
    assert data.labels is not None
    assert data.labels.words(np.asarray(data.corpus.labels)) == [row["label"] for row in rows(60)]
    held = [rows(60)[n] for n in np.flatnonzero(data.corpus.held)]
    assert data.held == {"input": [row["text"] for row in held], "label": [row["label"] for row in held]}


def test_labelled_texts_to_train_on_are_kept_as_they_were_written(tmp_path: Path) -> None:
    """For the baselines of the report, which a resumed run has to find the same."""
    data = prepared(tmp_path, data=[*rows(60), {"text": "", "label": "garden"}])
    own = [rows(60)[n] for n in np.flatnonzero(~data.corpus.held[:60])]
    assert data.learnt == {"input": [row["text"] for row in own], "label": [row["label"] for row in own]}
    assert not prepared(tmp_path / "b", made=recipe()).learnt, "no labels, no need"


@pytest.mark.parametrize(("most", "kept"), [("SEEN", "learnt"), ("SHOWN", "held")])
def test_of_many_rows_some_are_drawn_from_all_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, kept: str
) -> None:
    """A file may be sorted by its labels: its first rows would be of one class."""
    lines = [{"text": f"{row['text']} {n}", "label": row["label"]} for n, row in enumerate(rows(3000))]
    lines.sort(key=lambda row: row["label"])
    monkeypatch.setattr(f"raw2vec.train.prepare.{most}", 90)
    some = getattr(prepared(tmp_path, data=lines), kept)
    assert len(some["input"]) == len(set(some["input"])) == 90
    assert [some["label"].count(name) > 15 for name in ("garden", "harbour", "kitchen")] == [True] * 3
    pairs = [(row["text"], row["label"]) for row in lines]
    found = list(zip(some["input"], some["label"], strict=True))
    assert found == [pair for pair in pairs if pair in set(found)], "in the file's order"
    assert getattr(prepared(tmp_path / "b", data=lines), kept) == some


def test_the_vocabulary_is_learned_from_training_rows_only(tmp_path: Path) -> None:
    words = [chr(97 + number) * 3 + "zy" * 3 for number in range(26)]
    texts = [{"text": f"{word} {word} {word}", "label": "garden"} for word in words]
    data = prepared(tmp_path, data=[*rows(60), *texts], made=recipe("supervised", raw__vocabulary=3000))
    known = set(json.loads(data.raw.identity())["model"]["vocab"])
    held = data.corpus.held[60:]
    assert 0 < held.sum() < 26
    assert [word in known for word in words] == [not out for out in held]


def test_the_scale_of_numbers_is_that_of_training_rows_only(tmp_path: Path) -> None:
    data = [{"text": row["text"], "label": number + 0.5} for number, row in enumerate(rows(60))]
    found = prepared(tmp_path, data=data)
    assert 0 < found.corpus.held.sum() < 60
    own = np.arange(60)[~found.corpus.held] + 0.5
    assert found.labels is not None
    assert (found.labels.mean, found.labels.scale) == pytest.approx((own.mean(), own.std()))
    values = np.asarray(found.corpus.labels)[:, 0]
    assert values[~found.corpus.held].mean() == pytest.approx(0, abs=1e-6)
    assert values[~found.corpus.held].std() == pytest.approx(1)


def test_numbers_that_differ_in_held_out_rows_only_are_refused(tmp_path: Path) -> None:
    held = prepared(tmp_path / "a").corpus.held
    data = [{**row, "label": 0.25 + 0.5 * out} for row, out in zip(rows(60), held, strict=True)]
    with pytest.raises(BadInput, match=r"Every 'label' is 0\.25: there is nothing to learn"):
        prepared(tmp_path / "b", data=data)


def test_classes_are_known_from_held_out_rows_too(tmp_path: Path) -> None:
    held = prepared(tmp_path / "a").corpus.held
    data = [{**row, "label": "new" if out else row["label"]} for row, out in zip(rows(60), held, strict=True)]
    labels = prepared(tmp_path / "b", data=data).labels
    assert labels is not None
    assert "new" in labels.names


def test_the_same_text_is_held_out_or_not_wherever_it_stands(tmp_path: Path) -> None:
    data = prepared(tmp_path, data=[*rows(60), *rows(60)])
    assert np.array_equal(data.corpus.held[:60], data.corpus.held[60:])
    assert 0 < data.corpus.held.sum() < 60


def test_a_row_without_text_is_there_and_empty(tmp_path: Path) -> None:
    data = prepared(tmp_path, data=[*rows(60), {"text": None, "label": "garden"}, {"text": "", "label": "garden"}])
    assert data.corpus.lengths[60:].tolist() == [[0], [0]]
    assert len(data.corpus) == 62


def test_texts_that_are_cut_are_counted(tmp_path: Path) -> None:
    data = prepared(tmp_path, data=[*rows(60), {"text": "rose " * 100, "label": "garden"}])
    assert data.corpus.lengths[60, 0] == 24
    assert data.truncated == prepared(tmp_path / "b").truncated + 1


def test_another_recipe_cannot_be_resumed_and_both_settings_are_named(tmp_path: Path) -> None:
    prepared(tmp_path)
    with pytest.raises(BadInput, match=r"training\.steps was 12, now 99; it cannot be resumed"):
        prepared(tmp_path, resume=True, made=recipe("supervised", training__steps=99))
    with pytest.raises(BadInput, match=r"encoder\.width was 16, now 24"):
        prepared(tmp_path, resume=True, made=recipe("supervised", encoder__width=24))


def test_other_data_cannot_be_resumed(tmp_path: Path) -> None:
    prepared(tmp_path)
    with pytest.raises(BadInput, match="was begun on other data"):
        prepared(tmp_path, resume=True, data=rows(61))


def test_a_run_begun_anew_forgets_the_old_one_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it prepares, it leaves nothing that a resumed run would take for whole."""
    whole = prepared(tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"of the old run")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("raw2vec.train.prepare._write_corpus", killed)
        with pytest.raises(KeyboardInterrupt):
            prepared(tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()
    with monkeypatch.context() as patched:
        patched.setattr("raw2vec.corpus.Writer.close", killed)
        with pytest.raises(KeyboardInterrupt):
            prepared(tmp_path)
    again = prepared(tmp_path, resume=True)
    assert np.array_equal(again.corpus.values, whole.corpus.values)


def arrays_with(row: int, kind: str, bad: object) -> list[object]:
    """1,500 items of a kind, one of them bad: more than are read at once."""
    draw = np.random.default_rng(0)
    if kind == "table":
        return [{"size": bad if number == row else float(draw.normal())} for number in range(1500)]
    dtype = np.uint8 if kind == "image" else np.float32
    found = [draw.integers(0, 9, (4, 4)).astype(dtype) for _ in range(1500)]
    return [*found[:row], bad, *found[row + 1 :]]


@pytest.mark.parametrize("row", [3, 4, 5, 1200, 1201, 1202])
@pytest.mark.parametrize(
    ("kind", "bad", "said"),
    [
        ("table", float("inf"), "Row {}, column 'size' holds inf"),
        ("image", np.zeros((0, 4), np.uint8), "Picture {} is empty"),
        ("series", np.zeros((0, 4), np.float32), "Series {} is empty"),
        ("series", np.zeros((4, 3), np.float32), "Series {} has 3 channels"),
    ],
)
def test_a_bad_item_is_named_by_its_own_row(tmp_path: Path, row: int, kind: str, bad: object, said: str) -> None:
    """Whether it is held out or not, and in whichever batch of rows."""
    columns = {"input": "*" if kind == "table" else kind}
    made = preset(kind, columns, objective="reconstruction", steps=1).changed({"training.hold_out": 0.5})
    with pytest.raises(BadInput, match=re.escape(said.format(row))):
        prepared(tmp_path, data=arrays_with(row, kind, bad), made=made)


def test_no_text_at_all_is_said_with_the_columns(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no text to learn from in 'text'"):
        prepared(tmp_path, data=[{"text": "", "label": "a"}, {"text": None, "label": "b"}])


def test_rows_that_are_all_held_out_are_said_to_be(tmp_path: Path) -> None:
    made = recipe().changed({"training.hold_out": 0.99})
    with pytest.raises(
        BadInput, match=r"all are held out to judge by\. Give more rows, or --set training\.hold_out=0\."
    ):
        prepared(tmp_path, data=[{"text": "one", "label": "a"}], made=made)
