"""What an encoder has to beat: the strong, cheap, lexical ways, each with a model's own interface.

Every baseline takes the texts to learn from and a width, and gives an `encode(texts, role)` whose rows' products are
its scores. All read text through `words`, so that none loses to a poorer tokenizer than its rivals'.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import bm25s
import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.preprocessing import normalize

Encode = Callable[[Sequence[str], str], Any]

_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W\d_]+|\d+")


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, with camelCase, snake_case and digits taken apart: HTTPServer_v2 gives four.

    A text without any is one word, itself, so that no text is empty.
    """
    return [word.lower() for word in _WORD.findall(_JOINT.sub(" ", text))] or [text]


def content_words(text: str) -> list[str]:
    """`words` less English stop words, unless nothing else is there. BM25 gains by it and TF-IDF loses."""
    found = words(text)
    return [word for word in found if word not in ENGLISH_STOP_WORDS] or found


def bm25(texts: Sequence[str], width: int) -> Encode:
    """BM25 as Lucene scores it (k1 1.5, b 0.75): queries are word counts, documents their words' weights.

    The documents it is asked for as "target" must be among the texts it learnt from; `width` has no part in it.
    """
    index = bm25s.BM25(method="lucene", dtype="float64")
    index.index([content_words(text) for text in texts], show_progress=False, create_empty_token=False)
    scores, vocabulary = index.scores, index.vocab_dict
    documents = sp.csc_matrix(
        (scores["data"], scores["indices"], scores["indptr"]), shape=(len(texts), len(vocabulary))
    ).tocsr()
    place = {text: row for row, text in enumerate(texts)}

    def encode(asked: Sequence[str], role: str) -> Any:
        if role == "target":
            return documents[[place[text] for text in asked]]
        found = [[vocabulary[word] for word in content_words(text) if word in vocabulary] for text in asked]
        ends = np.cumsum([0, *map(len, found)])
        ids = np.array([word for row in found for word in row], dtype=np.int64)
        return sp.csr_matrix((np.ones(len(ids)), ids, ends), shape=(len(asked), len(vocabulary)))

    return encode


def tfidf(texts: Sequence[str], width: int) -> Encode:
    """TF-IDF rows of length one, with sub-linear term frequencies; `width` has no part in it."""
    vectorizer = TfidfVectorizer(analyzer=words, sublinear_tf=True).fit(texts)

    def encode(asked: Sequence[str], role: str) -> Any:
        return vectorizer.transform(asked)

    return encode


def tfidf_svd(texts: Sequence[str], width: int) -> Encode:
    """TF-IDF brought down to `width` dimensions (latent semantic analysis, Deerwester et al. 1990), at length one.

    Fewer texts or words than `width` give as many dimensions as there are of the scarcer; a single word is its own.
    """
    vectorizer = TfidfVectorizer(analyzer=words, sublinear_tf=True)
    counts = vectorizer.fit_transform(texts)
    if counts.shape[1] == 1:
        return lambda asked, role: vectorizer.transform(asked).toarray()
    reduction = TruncatedSVD(min(width, *counts.shape), random_state=0).fit(counts)

    def encode(asked: Sequence[str], role: str) -> np.ndarray:
        return np.asarray(normalize(reduction.transform(vectorizer.transform(asked))))

    return encode


def word_overlap(texts: Sequence[str], width: int) -> Encode:
    """The words two texts share, over the geometric mean of how many each has (Ochiai 1957). Words weigh the same."""
    vectorizer = TfidfVectorizer(analyzer=words, binary=True, use_idf=False).fit(texts)

    def encode(asked: Sequence[str], role: str) -> Any:
        return vectorizer.transform(asked)

    return encode
