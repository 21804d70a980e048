"""Texts that have rows which are none of their tokens: filled up to one length, or with class tokens before them."""

import numpy as np
import pytest
import torch

from raw2vec import Raw2Vec
from raw2vec.embedding import PatchEmbedding, TokenEmbedding
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged
from small import rows

IDS = Ragged(torch.tensor([3, 4, 5, 6]), torch.tensor([[3], [0], [1]]))


def test_texts_are_filled_up() -> None:
    made = TokenEmbedding(9, 4, filled=4, filler=2)
    found = made(IDS)
    assert found.lengths.tolist() == [4, 4, 4]
    assert made.grids(IDS.shapes).tolist() == [[4], [4], [4]]
    ids = torch.tensor([3, 4, 5, 2, 2, 2, 2, 2, 6, 2, 2, 2])
    assert torch.equal(found.values, made.table(ids))
    with pytest.raises(BadInput, match=r"has 3 tokens, and all are filled up to 2"):
        TokenEmbedding(9, 4, filled=2)(IDS)
    with pytest.raises(BadInput, match="with one of 9 tokens, not 9"):
        TokenEmbedding(9, 4, filled=2, filler=9)


def test_pixels_lose_their_mean_channel_by_channel() -> None:
    plain = PatchEmbedding(2, 3, 1, patch=1)
    made = PatchEmbedding(2, 3, 1, patch=1, mean=(0.5, 0.1), deviation=(2.0, 0.25))
    made.load_state_dict(plain.state_dict())
    items = Ragged(torch.rand(5, 2), torch.tensor([[3], [2]]))
    shifted = items.replace((items.values - torch.tensor([0.5, 0.1])) / torch.tensor([2.0, 0.25]))
    torch.testing.assert_close(made(items).values, plain(shifted).values)
    for bad in ({"mean": (0.5,), "deviation": (1.0,)}, {"mean": (0.0, 0.0), "deviation": (1.0, 0.0)}):
        with pytest.raises(BadInput, match="a number for each of 2 channels, deviations above 0"):
            PatchEmbedding(2, 3, 1, patch=1, **bad)


@pytest.mark.parametrize("change", [{"embedding.filled": 64}, {"encoder.class_tokens": 1}])
def test_labels_are_learned_with_them_and_tokens_are_not_told(change: dict[str, int]) -> None:
    settings = {"raw.max_tokens": 64, "training.hold_out": 0.0, "stages.0.batch_items": 20, **change}
    made = Raw2Vec("supervised", "transformer", size="tiny", steps=2, settings=settings)
    made.fit(rows(60), input="text", label="label")
    texts = [row["text"] for row in rows(9)]
    alone = np.stack([made.encode(text) for text in texts])
    np.testing.assert_allclose(made.encode(texts), alone, atol=1e-5)
    with pytest.raises(BadInput, match=r"filled up to one length|class tokens before them"):
        Raw2Vec("masked", "transformer", size="tiny", steps=2, settings=settings).fit(rows(60), input="text")
