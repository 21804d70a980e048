"""Retrieval: metrics by hand and by scikit-learn, whatever the order, with ties and repeats as they are documented."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import RETRIEVAL
from raw2vec.evaluate import retrieval as module
from raw2vec.evaluate.retrieval import Task, measure, ranks


def task(query, document, gain=None, documents=None) -> Task:
    query, document = np.array(query), np.array(document)
    gain = np.ones(len(query)) if gain is None else np.array(gain, dtype=float)
    count = documents or document.max() + 1
    return Task([f"q{i}" for i in range(query.max() + 1)], [f"d{i}" for i in range(count)], query, document, gain)


def scored(scores, judged) -> dict[str, float]:
    """Any scores (Q, D) are the products of themselves and the unit vectors."""
    scores = np.asarray(scores, dtype=np.float64)
    return measure(judged, scores, np.eye(scores.shape[1])).metrics()


def named(table: dict[str, list[float]]):
    return lambda texts, role: np.array([table[text] for text in texts])


def test_metrics_by_hand():
    scores = [[0.9, 0.1, 0.2], [0.8, 0.5, 0.1], [0.7, 0.6, 0.1]]  # own documents at ranks 1, 2 and 3
    found = scored(scores, task([0, 1, 2], [0, 1, 2]))
    assert found["mrr@10"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found["recall@1"] == pytest.approx(1 / 3)
    assert found["recall@10"] == 1
    assert found["ndcg@10"] == pytest.approx((1 + 1 / np.log2(3) + 1 / 2) / 3)


def test_beyond_the_tenth_place_counts_nothing():
    scores = np.concatenate([np.linspace(1, 2, 10), [0.5]])[None]
    found = scored(scores, task([0], [10]))
    assert found == {"mrr@10": 0, "recall@1": 0, "recall@10": 0, "ndcg@10": 0}


def test_several_answers_and_the_cap_of_recall():
    found = scored([[0.9, 0.8, 0.7, 0.6]], task([0, 0], [1, 3]))  # ranks 2 and 4
    assert found["mrr@10"] == 0.5
    assert found["recall@1"] == 0
    assert found["ndcg@10"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))
    assert scored([[0.9, 0.8, 0.1]], task([0, 0], [0, 1]))["recall@1"] == 1  # one place can hold but one of the two
    many = scored([np.arange(20, 0, -1)], task([0] * 12, np.arange(1, 13)))  # ranks 2 to 13: nine of ten places
    assert many["recall@10"] == 0.9


def test_ndcg_agrees_with_scikit_learn():
    draw = np.random.default_rng(0)
    scores, gains = draw.random((40, 60)), draw.integers(0, 4, (40, 60)) * (draw.random((40, 60)) < 0.2)
    gains[:, 0] = 1
    query, document = np.nonzero(gains)
    found = scored(scores, task(query, document, gains[query, document], documents=60))
    assert found["ndcg@10"] == pytest.approx(ndcg_score(gains, scores, k=10))


def test_a_tie_takes_the_mean_of_the_places_it_spans():
    judged = task([0], [0], documents=5)
    assert ranks(judged, np.zeros((1, 5)), np.eye(5)) == [3]
    assert ranks(judged, np.array([[0.5, 0.5, 0.9, 0.1, 0.1]]), np.eye(5)) == [2.5]
    nearly = np.array([[0.5, 0.5 + 1e-8, 0.1, 0.1, 0.1]])  # rounding is a tie
    assert ranks(judged, nearly, np.eye(5)) == [1.5]


@pytest.mark.parametrize("block", [1, 7, 1 << 24])
def test_ranks_do_not_depend_on_the_block(block, monkeypatch):
    draw = np.random.default_rng(1)
    judged = task(np.repeat(np.arange(20), 2), np.stack([np.arange(20), 39 - np.arange(20)], 1).ravel())
    scores = draw.integers(0, 6, (20, 40)).astype(np.float64)
    monkeypatch.setattr(module, "SCORES", block * 40)
    assert list(ranks(judged, scores, np.eye(40))) == [slow_rank(scores, judged, pair) for pair in range(40)]


def slow_rank(scores, judged, pair) -> float:
    """By the definition: wrong ones above, half of the level ones, right ones up to itself."""
    query, own = judged.query[pair], scores[judged.query[pair], judged.document[pair]]
    right = judged.document[judged.query == query]
    wrong = np.delete(scores[query], right)
    mates = scores[query, right]
    before = (mates > own).sum() + (mates == own)[: int(np.flatnonzero(right == judged.document[pair])[0])].sum()
    return (wrong > own).sum() + (wrong == own).sum() / 2 + before + 1


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing(count, seed):
    draw = np.random.default_rng(seed)
    queries, documents = draw.integers(-2, 3, (2, count, 3))
    order = draw.permutation(count)
    plain = scored(queries @ documents.T, task(np.arange(count), np.arange(count)))
    place = np.argsort(order)  # where each document went
    moved = scored(queries @ documents[order].T, task(np.arange(count), place))
    both = scored(queries[order] @ documents[order].T, task(np.arange(count), np.arange(count)))
    assert moved == pytest.approx(plain)
    assert both == pytest.approx(plain)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40))
def test_a_perfect_encoder_gets_one_and_an_inverted_one_the_last_place(count):
    same = named({f"{side}{i}": np.eye(count)[i] for side in "qd" for i in range(count)})
    columns = {"input": [f"q{i}" for i in range(count)], "target": [f"d{i}" for i in range(count)]}
    assert set(RETRIEVAL.run(same, columns).metrics.values()) == {1.0}
    inverted = RETRIEVAL.run(lambda texts, role: same(texts, role) * (1 if role == "input" else -1), columns)
    assert inverted.metrics["mrr@10"] == pytest.approx(1 / count if count <= 10 else 0)


def test_identical_texts_are_one_query_and_one_document():
    columns = {"input": ["a", "a", "b"], "target": ["x", "y", "x"]}
    encode = named({"a": [1, 0.1], "b": [0, 1], "x": [0, 1], "y": [1, 0]})
    report = RETRIEVAL.run(encode, columns)
    assert report.items == 2
    assert report.metrics["recall@1"] == 1  # 'a' finds y, and b finds x, though x is also another row's
    assert report.metrics["mrr@10"] == 1
    again = {"input": [*columns["input"], "a"], "target": [*columns["target"], "x"]}  # a row twice is a row
    assert RETRIEVAL.run(encode, again).metrics == report.metrics


def test_judgements_as_beir_lays_them_out():
    encode = named({"one": [1, 0], "two": [0, 1], "x": [1, 0.2], "y": [0.2, 1], "z": [-1, -1]})
    queries, documents = {"q1": "one", "q2": "two"}, {"d1": "x", "d2": "y", "d3": "z"}
    report = RETRIEVAL.judged(encode, queries, documents, {"q1": {"d1": 1, "d2": 2, "d3": 0}, "q2": {"d2": 0}})
    assert report.items == 1
    assert report.metrics["ndcg@10"] == pytest.approx((1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3)))
    assert any("1 of 2 queries have no right answer" in note for note in report.notes)
    with pytest.raises(BadInput, match="a document 'd9' that is not among the 3"):
        RETRIEVAL.judged(encode, queries, documents, {"q1": {"d9": 1}})
    with pytest.raises(BadInput, match="no pair with a gain above 0"):
        RETRIEVAL.judged(encode, queries, documents, {"q1": {"d1": 0}})


def test_a_report_beside_its_baselines():
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lamda", "mu"]
    columns = {"input": [f"find {word}" for word in words], "target": [f"def {word}(x)" for word in words]}
    report = RETRIEVAL.run(lambda texts, role: np.ones((len(texts), 4)), columns)
    assert report.baselines["BM25"] == report.baselines["TF-IDF"] == dict.fromkeys(report.metrics, 1.0)
    assert report.metrics["mrr@10"] == pytest.approx(1 / 6.5)  # a collapsed encoder stands in the middle
    assert report.ahead["BM25"]["mrr@10"] == 0
    assert "the model does not beat BM25 (mrr@10 0.154 against 1.000)" in report.notes


def test_one_row_and_unusable_vectors():
    one = RETRIEVAL.run(lambda texts, role: np.ones((1, 3)), {"input": ["a"], "target": ["b"]})
    assert one.metrics["mrr@10"] == 1
    assert any("only 1 documents" in note for note in one.notes)
    columns = {"input": ["a", "b"], "target": ["c", "d"]}
    with pytest.raises(NonFinite, match="input 1 is not finite"):
        RETRIEVAL.run(lambda texts, role: np.array([[1.0], [np.nan]]), columns)
    with pytest.raises(BadInput, match=r"shape \(1, 2\) for 2 input items"):
        RETRIEVAL.run(lambda texts, role: np.ones((1, 2)), columns)
    with pytest.raises(BadInput, match="1 dimensions and targets 2"):
        RETRIEVAL.run(lambda texts, role: np.ones((2, 1 if role == "input" else 2)), columns)
