"""`distill`: what it asks, what it says, and a real journey."""

import json
import sys
from pathlib import Path
from types import ModuleType

import facade_double
import pytest
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from small import texts


@pytest.fixture
def distilling(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("raw2vec.distilling")
    module.distill = facade_double.distill
    monkeypatch.setitem(sys.modules, "raw2vec.distilling", module)


@pytest.mark.usefixtures("distilling")
def test_what_is_asked_and_said(run, asked):
    told = run("distill", "tickets", "tickets.csv", "--input", "body", "--latent", "64", "--out", "s", "--minutes", "2")
    (given,) = asked("distill")
    assert given["teacher"] == "tickets"
    assert (given["data"], given["out"], given["input"], given["latent"]) == ("tickets.csv", "s", "body", 64)
    assert (given["encoder"], given["minutes"], given["steps"], given["settings"]) == ("dense", 2.0, None, {})
    assert given["resume"] is False
    assert told.stdout.splitlines()[0] == "s: made of tickets, which was asked for 1,200 texts, in 1:02, 40 steps"
    assert "agrees with its teacher on 60 texts held out" in told.stdout
    assert "next: raw2vec index s tickets.csv --input body --store s.store" in told.stdout
    run("distill", "tickets", "tickets.csv", "--out", "s", "--resume")
    assert asked("distill")[-1]["resume"] is True
    found = json.loads(run("distill", "tickets", "tickets.csv", "--out", "s", "--json").stdout)
    assert (found["out"], found["items_per_s"], found["taught"]) == ("s", 19.5, 1200)


@pytest.mark.usefixtures("distilling")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no file or folder 'nothing'"),
        (("tickets", "nothing.csv"), "no file or folder 'nothing.csv'"),
        (("tickets", "tickets.csv", "--encoder", "desne"), "Did you mean 'dense'"),
        (("tickets", "tickets.csv", "--minutes", "1", "--steps", "2"), "--minutes or --steps, not both"),
        (("tickets", "tickets.csv", "--latent", "0"), "not a number above 0"),
        (("tickets", "tickets.csv", "--set", "seed"), "--set takes KEY=VALUE"),
    ],
)
def test_bad_arguments_get_one_sentence(run, words, said):
    refused = run("distill", *words, "--out", "s")
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_encoders_are_all_there_are():
    from raw2vec import build

    assert set(sys.modules["raw2vec.cli.distill"].ENCODERS) == set(build.ENCODERS)


def test_a_real_journey(tmp_path: Path) -> None:
    """A teacher of one's own, a static student of it, its vectors; and what a student cannot be made of."""
    raw2vec.Raw2Vec(encoder="transformer", size="tiny", steps=2).fit(texts(60), out=tmp_path / "teacher")
    (tmp_path / "t.txt").write_text("\n".join(texts(600, seed=1)) + "\n")
    call = lambda *words: CliRunner().invoke(app, [word.format(tmp_path) for word in words])  # noqa: E731
    words = ("distill", "{}/teacher", "{}/t.txt", "--out", "{}/s", "--latent", "16", "--steps", "20", "--json")
    done = call(*words)
    found = json.loads(done.stdout)
    assert done.exit_code == 0, done.stderr
    assert {"neighbours@10", "cosine"} == set(found["metrics"])
    assert "before training" in found["baselines"]
    assert call("embed", "{}/s", "{}/t.txt", "--out", "{}/v.npy", "--json").exit_code == 0
    again = call(*words)
    assert again.exit_code == 2
    assert "holds a model already" in again.stderr
    smaller = call("distill", "{}/s", "--out", "{}/smaller", "--latent", "4")
    assert smaller.exit_code == 0, "a student can teach"
    assert "how far it agrees with its teacher on 256 passages of Python's manual:" in smaller.stdout
    assert "neighbours@10" in smaller.stdout
    refused = call("distill", "{}/teacher", "--out", "{}/wide", "--latent", "4000")
    assert (refused.exit_code, "have 128 numbers" in refused.stderr) == (2, True)
