"""What every protocol shares: names and versions, the columns asked for, reports as JSON and as a table."""

import json
from dataclasses import replace

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.evaluate import PROTOCOLS, RETRIEVAL, Report, protocol, table
from raw2vec.evaluate.base import unit, verdicts

REPORT = Report(
    protocol="masked/1",
    headline="nats",
    metrics={"accuracy": 0.5, "nats": 1.25, "perplexity": 1234.5},
    intervals={"accuracy": (0.4, 0.6), "nats": (1.0, float("nan"))},
    baselines={"unigram": {"accuracy": 0.1, "nats": 6.0}},
    ahead={"unigram": {"accuracy": 1.0, "nats": 1.0}},
    items=7,
    seconds=0.5,
    notes=["a sentence"],
)


def test_names_with_and_without_versions():
    assert {name: each.name for name, each in PROTOCOLS.items()} == {name: name for name in PROTOCOLS}
    assert protocol("retrieval") is protocol("retrieval/1") is RETRIEVAL
    with pytest.raises(BadInput, match=r"no protocol 'retreival'.* Did you mean 'retrieval'"):
        protocol("retreival")
    with pytest.raises(BadInput, match="no protocol 'sts/9'"):
        protocol("sts/9")


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_protocol_asks_for_its_columns(name):
    each = PROTOCOLS[name]
    with pytest.raises(BadInput, match=f"'{name}' needs a column as input; given are: text"):
        each.run(lambda *_: None, {"text": ["a"]})
    with pytest.raises(BadInput, match="no rows"):
        each.run(lambda *_: None, {role: [] for role in each.roles})
    if len(each.roles) > 1:
        with pytest.raises(BadInput, match="columns of one length"):
            each.run(lambda *_: None, {role: ["a"] * size for size, role in enumerate(each.roles, 1)})


def test_a_report_is_json():
    plain = json.loads(json.dumps(REPORT.as_dict(), allow_nan=False))
    assert plain["intervals"] == {"accuracy": [0.4, 0.6], "nats": [1.0, None]}
    assert plain["baselines"]["unigram"]["nats"] == 6
    real = RETRIEVAL.run(lambda texts, role: np.eye(len(texts)), {"input": ["a", "b"], "target": ["c", "d"]})
    assert json.loads(json.dumps(real.as_dict(), allow_nan=False))["protocol"] == "retrieval/1"


def test_the_table_lines_up():
    rows = table(REPORT)
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["masked/1", "accuracy", "nats", "perplexity"],
        ["model", "0.500", "1.250 (1.000 to nan)", "1,234"],
        ["unigram", "0.100", "6.000", "–"],
    ]
    assert len({len("  ".join(row)) for row in rows}) == 1


def test_small_figures_keep_three_digits():
    small = replace(REPORT, metrics={"mse": 0.00912, "sse": float("inf")}, baselines={"PCA": {"mse": 0.0101}})
    assert [[cell.strip() for cell in row[1:]] for row in table(small)] == [
        ["mse", "sse"],
        ["0.00912", "inf"],
        ["0.01010", "–"],
    ]


def test_the_model_is_judged_by_its_headline():
    def judge(headline, ours, theirs, share):
        return verdicts(headline, {headline: ours}, {"BM25": {headline: theirs}}, {"BM25": {headline: share}})

    assert judge("mrr@10", 0.41, 0.42, 0.3) == ["the model does not beat BM25 (mrr@10 0.410 against 0.420)"]
    assert judge("mrr@10", 0.42, 0.42, 0.5) == ["the model does not beat BM25 (mrr@10 0.420 against 0.420)"]
    assert "may be chance (mrr@10 0.430 against 0.420; ahead in 81%" in judge("mrr@10", 0.43, 0.42, 0.81)[0]
    assert judge("mrr@10", 0.5, 0.42, 1.0) == []
    assert judge("nats", 1.0, 2.0, 1.0) == []
    assert judge("nats", 2.0, 1.0, 0.0) != []


def test_a_zero_row_stays_zero():
    assert unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0, 0]]
