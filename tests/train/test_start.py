"""The start by latent semantic analysis: tokens that keep company lie near each other."""

from pathlib import Path

import numpy as np
import torch

from raw2vec.embedding import TokenEmbedding
from raw2vec.resolve import resolve
from raw2vec.rows import open_rows
from raw2vec.system import Raw2Vec
from raw2vec.train.prepare import Data, prepare
from raw2vec.train.start import begin
from small import THEMES, recipe, rows


def prepared(work: Path, count: int = 300) -> Data:
    made = resolve(recipe(raw__vocabulary=2000))
    return prepare(open_rows(rows(count), []), made, work, False, lambda event: None)


def table(data: Data, seed: int = 0, start: str = "lsa", width: int = 16) -> torch.Tensor:
    torch.manual_seed(0)
    embedding = TokenEmbedding(data.raw.size, width)
    begin(embedding, data.corpus, start, seed)
    return embedding.weight.detach()


def cosines(data: Data, vectors: torch.Tensor) -> tuple[float, float]:
    """The mean cosine of two words of one theme, and of two themes."""
    ids = {name: [int(data.raw.windows([word]).ragged.values[0]) for word in words] for name, words in THEMES.items()}
    near, far = [], []
    for name, own in ids.items():
        for other, theirs in ids.items():
            scores = torch.nn.functional.normalize(vectors[own]) @ torch.nn.functional.normalize(vectors[theirs]).T
            (near if name == other else far).append(float(scores[~torch.eye(8, dtype=torch.bool)].mean()))
    return float(np.mean(near)), float(np.mean(far))


def test_words_that_keep_company_lie_nearer(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    near, far = cosines(data, table(data))
    assert near > far + 0.2
    drawn = cosines(data, table(data, start="random"))
    assert abs(drawn[0] - drawn[1]) < 0.1


def test_the_start_is_a_function_of_the_seed(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    assert torch.equal(table(data), table(data))
    assert not torch.equal(table(data), table(data, seed=1))


def test_held_out_rows_are_not_seen(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    before = table(data)
    for row in np.flatnonzero(data.corpus.held):
        start, length = data.corpus.starts[row, 0], data.corpus.lengths[row, 0]
        ids = np.array(data.corpus.values)
        ids[start : start + length] = data.raw.ordinary.start
        object.__setattr__(data.corpus, "ids", ids)
    assert torch.equal(table(data), before)


def test_learned_weights_start_at_the_tokens_rarity(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    embedding = TokenEmbedding(data.raw.size, 16, weights="learned")
    begin(embedding, data.corpus, "random", 0)
    assert embedding.log_weights is not None
    often, rarely = (int(data.raw.windows([word]).ragged.values[0]) for word in ("the", "gull"))
    assert embedding.log_weights[often] < embedding.log_weights[rarely]
    assert bool(embedding.log_weights.isfinite().all())


def test_two_texts_are_enough(tmp_path: Path) -> None:
    made = resolve(recipe(training__hold_out=0.0))
    data = [{"text": "one two"}, {"text": "two three"}]
    found = prepare(open_rows(data, []), made, tmp_path, False, lambda event: None)
    vectors = table(found)
    assert vectors.shape == (found.raw.size, 16)
    assert bool(vectors.isfinite().all())


def test_a_single_text_keeps_the_drawn_start(tmp_path: Path) -> None:
    made = resolve(recipe(training__hold_out=0.0))
    found = prepare(open_rows(["one two three"], []), made, tmp_path, False, lambda event: None)
    assert torch.equal(table(found), table(found, start="random"))
    embedding = TokenEmbedding(found.raw.size, 16, weights="learned")
    begin(embedding, found.corpus, "lsa", 0)
    assert bool(embedding.weight.isfinite().all())


def test_a_single_text_is_fitted_by_the_default_recipe() -> None:
    assert Raw2Vec(steps=2, size="tiny").fit(["one two three"]).encode(["two"]).shape == (1, 256)


def test_tiny_widths_and_vocabularies_will_do(tmp_path: Path) -> None:
    made = resolve(recipe(training__hold_out=0.0))
    found = prepare(open_rows(["a a", "a", "a a a"], []), made, tmp_path, False, lambda event: None)
    for width in (1, 2, 3, 100):
        vectors = table(found, width=width)
        assert vectors.shape == (found.raw.size, width)
        assert bool(vectors.isfinite().all())
        assert torch.equal(vectors, table(found, start="random", width=width)) == (width == 1)
