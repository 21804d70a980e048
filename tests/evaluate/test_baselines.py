"""The lexical baselines: one strong analyser, scores as the libraries give them, and odd texts that break nothing."""

import bm25s
import numpy as np
import pytest

from raw2vec.evaluate.baselines import bm25, content_words, tfidf, tfidf_svd, word_overlap, words

DOCUMENTS = ["def read_file(path)", "def writeFile(path, text)", "class HTTPServer2", "path path path"]


def products(baseline, queries, documents, width=3) -> np.ndarray:
    encode = baseline(documents, width)
    scores = encode(queries, "input") @ encode(documents, "target").T
    return np.asarray(scores if isinstance(scores, np.ndarray) else scores.todense())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("readFile", ["read", "file"]),
        ("HTTPServer_v2", ["http", "server", "v", "2"]),
        ("__init__ snake_case", ["init", "snake", "case"]),
        ("Größe ÉTÉ 10%", ["größe", "été", "10"]),
        ("…", ["…"]),
        ("", [""]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_stop_words_go_unless_nothing_else_is_there():
    assert content_words("return the file") == ["return", "file"]
    assert content_words("to be or not to be") == ["to", "be", "or", "not", "to", "be"]


def test_bm25_is_bm25s():
    queries = ["read the path", "server", "unheard", "path path"]
    index = bm25s.BM25(method="lucene", dtype="float64")
    index.index([content_words(document) for document in DOCUMENTS], show_progress=False)
    known = [[word for word in content_words(query) if word in index.vocab_dict] for query in queries]
    expected = [index.get_scores(row) if row else np.zeros(len(DOCUMENTS)) for row in known]
    np.testing.assert_allclose(products(bm25, queries, DOCUMENTS), expected, atol=1e-12)


def test_cosines_of_tfidf_and_of_shared_words():
    np.testing.assert_allclose(np.diag(products(tfidf, DOCUMENTS, DOCUMENTS)), 1)
    assert products(word_overlap, ["a b c d"], ["a b c d e f g h i", "x"])[0] == pytest.approx([4 / 6, 0])


@pytest.mark.parametrize("width", [1, 2, 500])
def test_svd_has_at_most_the_width(width):
    rows = tfidf_svd(DOCUMENTS, width)(DOCUMENTS, "input")
    assert rows.shape == (4, min(width, 4))
    if width == 500:  # nothing is lost, so cosines stay as they were
        np.testing.assert_allclose(rows @ rows.T, products(tfidf, DOCUMENTS, DOCUMENTS), atol=1e-6)


@pytest.mark.parametrize("baseline", [bm25, tfidf, tfidf_svd, word_overlap])
@pytest.mark.parametrize("texts", [["", "?"], ["one"], ["日本", "the", "的"]])
def test_odd_texts_break_nothing(baseline, texts):
    assert np.isfinite(products(baseline, ["new", "", *texts], texts)).all()
