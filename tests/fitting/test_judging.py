"""A translator's weights chosen by how it translates held-out lines: told at every check, and the same when resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from raw2vec.errors import BadInput
from raw2vec.fitting.judging import LINE, LINES, Lines, most_lines
from raw2vec.fitting.reserve import JUDGING, reserve
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.rows import open_rows
from raw2vec.system import Raw2Vec
from raw2vec.train.base import Progress
from raw2vec.train.prepare import prepare
from raw2vec.use.translate import greedily, translate
from raw2vec.use.write import Manner

COLOURS = {"red": "rouges", "green": "vertes", "black": "noires", "white": "blanches", "blue": "bleues"}
THINGS = {"cars": "voitures", "doors": "portes", "houses": "maisons", "flowers": "fleurs", "chairs": "chaises"}
SIZES = {"big": "grandes", "small": "petites", "old": "vieilles", "new": "nouvelles"}
PAIRS = [
    {"en": f"The {c} {a} {b}.", "fr": f"Les {f} {e} {d}."}
    for a, d in COLOURS.items()
    for b, e in THINGS.items()
    for c, f in SIZES.items()
]
PART = {"name": "transformer", "width": 32, "layers": 1, "heads": 2, "dropout": 0.1}


def recipe(**training: Any) -> Recipe:
    return Recipe.read(
        {
            "kind": "pairs",
            "columns": {"input": "en", "target": "fr"},
            "raw": {"tokenizer": "bpe", "vocabulary": 330, "max_tokens": 32},
            "embedding": {"width": 32},
            "encoder": PART,
            "latent": {"name": "point", "width": 8},
            "decoder": PART | {"words": "tied"},
            "stages": [{"objectives": ["translation"], "batch_items": 20}],
            "training": {"steps": 30, "hold_out": 0.3, "checks": 5, "learning_rate": 1e-2, "average": 0.9, **training},
        }
    )


class Killed(Exception):
    """Raised in the middle of a run."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mt") / "whole"


@pytest.fixture(scope="module")
def whole(place: Path) -> Raw2Vec:
    return Raw2Vec(recipe=recipe(judged_by="bleu")).fit(PAIRS, input="en", target="fr", out=place)


def test_every_check_tells_the_score_and_the_best_stays(whole: Raw2Vec, place: Path) -> None:
    history = whole.report["history"]
    assert [list(check) for check in history] == [["stage", "step", "held_out", "bleu"]] * 5
    scores = [check["bleu"] for check in history]
    assert 0 <= min(scores) < max(scores) <= 100
    assert whole.report["metrics"]["bleu"] == pytest.approx(max(scores)), "fewer lines than a check looks at: the same"
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert [line["bleu"] for line in lines if "held_out" in line] == scores
    assert not any("scores" in line for line in lines)


def test_a_run_that_is_killed_and_resumed_chooses_the_same_weights(whole: Raw2Vec, tmp_path: Path) -> None:
    """After the third check, with its best weights and what they scored in the checkpoint alone."""
    made, data = Raw2Vec(recipe=recipe(judged_by="bleu", save_every=1e-9)), {"input": "en", "target": "fr"}

    def stop(event: object) -> None:
        if isinstance(event, Progress) and event.step == 20 and event.losses:
            raise Killed

    with pytest.raises(Killed):
        made.fit(PAIRS, **data, out=tmp_path / "m", listener=stop)
    resumed = made.fit(PAIRS, **data, out=tmp_path / "m", resume=True)
    assert resumed.report["history"] == whole.report["history"]
    found = resumed.parts_.model.state_dict()
    for name, weight in whole.parts_.model.state_dict().items():
        assert torch.equal(weight, found[name]), name


def test_patience_stops_when_the_score_no_longer_rises(whole: Raw2Vec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the loss does: of falling scores the first is the best."""
    scores = iter([9.0, 8.0, 7.0])
    monkeypatch.setattr(Lines, "scores", lambda lines, model: {lines.score: next(scores)})
    made = Raw2Vec(recipe=recipe(judged_by="chrf", patience=2)).fit(PAIRS, input="en", target="fr")
    history = made.report["history"]
    assert [check["chrf"] for check in history] == [9.0, 8.0, 7.0]
    assert history[2]["held_out"] < history[0]["held_out"]
    assert made.report["steps"] == 18


def test_tokens_are_translated_as_their_texts_are(whole: Raw2Vec) -> None:
    parts, texts = whole.parts_, [row["en"] for row in PAIRS[::7]]
    found = greedily(parts.model, parts.raw, parts.raw.windows(texts).ragged)
    assert found == [each.text for each in translate(parts, texts, Manner())]
    assert len(set(found)) > 2


def test_a_score_without_lines_to_translate_is_refused() -> None:
    with pytest.raises(BadInput, match=r"judged_by is bleu of lines held out, but training\.hold_out is 0: raise it"):
        resolve(recipe(judged_by="bleu", hold_out=0.0))


def test_the_last_check_has_its_time_kept(tmp_path: Path) -> None:
    def kept(judged_by: str) -> float:
        made = resolve(recipe(steps=None, minutes=0.5, judged_by=judged_by))
        return reserve(made, prepare(open_rows(PAIRS, []), made, tmp_path, False, lambda event: None))

    held = (kept("loss") - JUDGING) / LINE
    assert 20 < held < 50
    assert kept("bleu") == pytest.approx(JUDGING + 2 * held * LINE)


def test_a_check_takes_a_quarter_of_its_minutes_at_most_and_translates_nothing_where_the_loss_judges() -> None:
    def most(**training: Any) -> int:
        made = resolve(recipe(steps=None, **training))
        return most_lines(made.stages[0], made)

    assert most(minutes=10, judged_by="bleu") == LINES
    assert most(minutes=1, judged_by="bleu", checks=20) == 62
    assert most(minutes=0.001, judged_by="chrf") == 1
    assert most(minutes=10) == 0
    steps = resolve(recipe(judged_by="chrf"))
    assert most_lines(steps.stages[0], steps) == LINES
