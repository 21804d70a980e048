"""Progress: what a fit's listener says on a terminal and elsewhere."""

import io
import math
import sys

import pytest

from raw2vec.cli.base import Counter, Training, duration
from raw2vec.train.base import Phase, Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return Clock()


def step(number: int, share: float, **more) -> Progress:
    values = {"losses": {"contrastive": 2.5}, "items": 64, "tokens": 640, "seconds": 0.5}
    return Progress("contrastive", number, 0, share, **{**values, **more})


def test_lines_where_there_is_no_terminal(capsys, clock):
    with Training(clock) as hear:
        hear(Phase("Learning the vocabulary"))
        clock.now += 5
        hear(step(1, 0.0))
        clock.now += 4
        hear(step(2, 0.1))
        clock.now += 1
        hear(step(3, 0.125))
        hear(step(3, 0.125, losses={}, items=0, seconds=0.0, held_out=2.25))
        clock.now += 9.9
        hear(step(4, 0.3))
        hear(Phase("Judging"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "0:00  Learning the vocabulary",
        "0:10  contrastive  12%  step 3  loss 2.500  128 items/s  0:35 left",
        "0:10  contrastive  12%  step 3  loss 2.500  held out 2.250  128 items/s  0:35 left",
        "0:20  Judging",
    ]


def test_time_left_counts_from_where_a_run_was_resumed(capsys, clock):
    with Training(clock) as hear:
        hear(step(50, 0.5))
        clock.now += 10
        hear(step(60, 0.6))
    assert "0:40 left" in capsys.readouterr().err


def test_a_new_stage_forgets_the_loss_of_the_last(capsys, clock):
    with Training(clock) as hear:
        hear(Progress("masked", 1, 0, 0.1, {"masked": 9.0}, 8, 80, 0.1, held_out=8.5))
        hear(step(2, 0.5, held_out=None))
        clock.now += 10
        hear(step(3, 0.6))
    last = capsys.readouterr().err.splitlines()[-1]
    assert "loss 2.500" in last
    assert "held out" not in last


def test_a_score_that_chooses_the_weights_is_told(capsys, clock):
    with Training(clock) as hear:
        hear(step(3, 0.5, losses={}, items=0, seconds=0.0, held_out=2.25, scores={"bleu": 31.27}))
    assert "held out 2.250  bleu 31.3" in capsys.readouterr().err


def test_a_bar_on_a_terminal_leaves_nothing_behind(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Training(clock) as hear:
        hear(Phase("Learning the vocabulary"))
        hear.bar.refresh()
        hear(step(1, 0.25, held_out=2.0))
        hear.bar.refresh()
        hear(Phase("Judging"))
    text = terminal.getvalue()
    for words in ("Learning the vocabulary", "contrastive", "25%", "held out 2.000", "Judging"):
        assert words in text
    assert text.endswith("\x1b[2K")  # the line is wiped


def test_counting_items(capsys, clock):
    with Counter(clock) as count:
        clock.now += 4
        count(100)
        clock.now += 6
        count(400)
    assert capsys.readouterr().err == "0:10  encoding  500 items  50 items/s\n"
    with Counter(clock, "measuring") as count:
        clock.now += 10
        count(20)
    assert capsys.readouterr().err == "0:10  measuring  20 items  2 items/s\n"


def test_losses_are_smoothed(clock):
    hear = Training(clock)
    for value in (4.0, 2.0):
        hear(step(1, 0.1, losses={"total": value, "other": 100.0}))
    assert math.isclose(hear.loss, 3.9)


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (3723, "1:02:03")])
def test_durations(seconds, told):
    assert duration(seconds) == told
