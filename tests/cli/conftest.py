"""The command line with a stand-in for the facade, in a folder of its own that holds a few files to name."""

import sys
from collections.abc import Callable

import facade_double
import pytest
from typer.testing import CliRunner, Result

from raw2vec.cli import app

Run = Callable[..., Result]
FILES = ("tickets.csv", "notes.txt", "pairs.jsonl", "reviews.tsv", "new.tsv", "test.jsonl", "test.tsv")
FILES += ("digits.npy", "readings.parquet", "news.en", "train.en", "train.fr")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Run:
    """`run("fit", "a.txt", "--out", "m")` in a folder with a few files; the facade is `facade_double`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "raw2vec.system", facade_double)
    for worker in ("generated", "grouped", "scored"):
        monkeypatch.setitem(sys.modules, f"raw2vec.cli.{worker}", facade_double)
    monkeypatch.delenv("RAW2VEC_DEBUG", raising=False)
    facade_double.calls.clear()
    facade_double.trouble.clear()
    for name in FILES:
        (tmp_path / name).write_text("x\n")
    for name in ("tickets", "finder", "stars", "digits", "sensors", "tickets.store", "mt", "clip", "pictures"):
        (tmp_path / name).mkdir()
    return lambda *words, **options: CliRunner().invoke(app, list(words), **options)


@pytest.fixture
def asked() -> Callable[[str], list]:
    """What the facade was asked under a name, in order."""
    return lambda name: [given for what, given in facade_double.calls if what == name]
