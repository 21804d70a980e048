"""`map` and `group`: what they ask of the facade, what they say, and a real journey."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app


def test_map_says_what_it_drew(run, asked):
    told = run("map", "digits", "digits.npy", "--out", "m.html", "--label", "kind", "--projection", "pca")
    options = {"label": "kind", "projection": "pca", "most": 50_000}
    assert asked("map") == [{"data": "digits.npy", "out": "m.html", **options}]
    assert told.stdout.splitlines()[0].startswith("m.html: 20 items by TSNE, 1.2 MB, in")
    assert "3 sounds had no room" in told.stdout
    found = json.loads(run("map", "digits", "digits.npy", "--out", "m.html", "--json").stdout)
    assert (found["items"], found["projection"], found["bytes"], found["out"]) == (20, "tsne", 1_200_000, "m.html")


def test_group_says_what_is_alike(run, asked):
    told = run("group", "digits", "digits.npy", "--out", "g.csv", "--threshold", "0.9", "--clusters", "3").stdout
    assert asked("group") == [{"data": "digits.npy", "threshold": 0.9, "clusters": 3}]
    assert asked("write") == ["g.csv"]
    assert told.splitlines()[0] == "g.csv: 20 rows; 2 groups of near-duplicates, 5 rows in all; 3 clusters"
    assert "a printer" in told
    found = json.loads(run("group", "digits", "digits.npy", "--out", "g.csv", "--json").stdout)
    assert (found["groups"], found["in_groups"], found["clusters"]) == (2, 5, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("group", "digits", "digits.npy", "--out", "g.txt"), "ends in .csv"),
        (("group", "digits", "nothing.npy", "--out", "g.csv"), "no file or folder"),
        (("map", "digits", "digits.npy", "--out", "m.html", "--projection", "umpa"), "Did you mean 'umap'"),
        (("map", "digits", "digits.npy", "--out", "digits.npy"), "digits.npy"),
    ],
)
def test_bad_arguments_get_one_sentence(run, words, said):
    refused = run(*words)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_real_journey(tmp_path: Path) -> None:
    """Digits, every tenth of them twice: the copies are found, each row keeps its place."""
    digits = (load_digits().images[:120] * 15).astype(np.uint8)
    twice = np.concatenate([digits, digits[::10]])
    np.savez(tmp_path / "d.npz", image=twice, label=np.arange(132))
    raw2vec.Raw2Vec("reconstruction", latent=12, steps=60).fit(digits, out=tmp_path / "m")
    words = [str(tmp_path / "m"), str(tmp_path / "d.npz"), "--input", "image", "--json"]
    found = CliRunner().invoke(app, ["group", *words, "--out", str(tmp_path / "g.csv"), "--threshold", "0.9999"])
    assert json.loads(found.stdout)["groups"] == 12, found.output
    rows = list(csv.DictReader((tmp_path / "g.csv").open()))
    assert [int(row["row"]) for row in rows] == list(range(132)) == [int(row["label"]) for row in rows]
    assert [rows[n]["group"] for n in range(0, 120, 10)] == [row["group"] for row in rows[120:]]
    assert sum(row["group"] == "" for row in rows) == 108
    drawn = CliRunner().invoke(app, ["map", *words, "--out", str(tmp_path / "m.html"), "--projection", "pca"])
    assert json.loads(drawn.stdout)["items"] == 132
