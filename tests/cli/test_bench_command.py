"""`bench`: what it asks, what it says."""

import json
import sys
from types import ModuleType

import facade_double
import pytest

from raw2vec.benching import ROUNDS


@pytest.fixture(autouse=True)
def benching(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("raw2vec.benching")
    module.bench = facade_double.bench
    monkeypatch.setitem(sys.modules, "raw2vec.benching", module)


def test_what_is_asked_and_said(run, asked):
    told = run("bench", "tickets", "tickets.csv", "--input", "body", "--rounds", "7").stdout
    assert asked("bench") == [{"data": "tickets.csv", "input": "body", "rounds": 7}]
    assert told.splitlines()[0] == "a machine; matrix products: 120 in float32 GFLOP/s"
    assert "mixed   float32       1,234       1,100–1,300      9,876            0.51" in told
    assert "note: the texts are drawn" in told
    found = json.loads(run("bench", "tickets", "--json").stdout)
    assert (found["items"], found["items_per_s"], found["engine"]) == (617, 1234.0, "torch")
    assert found["metrics"]["share_of_gemm"] == 0.51
    assert found["speeds"][0]["tokens_per_s"] == 9876.0


def test_the_least_is_what_the_measuring_takes(run):
    assert "x>=5" in run("bench", "--help").stdout
    assert ROUNDS == 5


def test_a_model_that_is_not_there(run):
    refused = run("bench", "tikets")
    assert refused.exit_code == 2
    assert "Did you mean 'tickets'" in refused.stderr
