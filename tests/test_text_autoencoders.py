"""A text to one vector and back to the text: learned by heart, it comes back to the letter."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import raw2vec
from raw2vec.decoders import RecurrentWriter
from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Dense
from raw2vec.errors import BadInput
from raw2vec.latents import Point
from raw2vec.models import Embedder, SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.readout import TokenReadout
from raw2vec.system import Raw2Vec

SUBJECTS = ("A man", "Two dogs", "The old WOMAN", "My sister")
VERBS = ("ran over", "saw", "never liked")
OBJECTS = ("the hill.", "a red car!", "naïve café-goers", "42  spaces\there")
TEXTS = [f"{subject} {verb} {thing}" for subject in SUBJECTS for verb in VERBS for thing in OBJECTS]
QUICK = {"raw.vocabulary": 300, "embedding.width": 32, "stages.0.batch_tokens": 512, "training.learning_rate": 1e-2}


@pytest.fixture(scope="module")
def model() -> Raw2Vec:
    return Raw2Vec(objective="reconstruction", latent=32, size="tiny", steps=200, settings=QUICK).fit(TEXTS)


def test_texts_learned_by_heart_come_back_to_the_letter(model: Raw2Vec) -> None:
    back = model.decode(model.encode(TEXTS))
    assert sum(text == other for text, other in zip(TEXTS, back, strict=True)) > 0.9 * len(TEXTS)
    assert model.decode(model.encode(TEXTS[3])) == back[3], "a single vector gives a single text"
    assert model.reconstruct(TEXTS) == back
    assert list(model.inverse_transform(model.transform(TEXTS))) == back


def test_a_text_is_written_the_same_alone_and_among_others(model: Raw2Vec) -> None:
    codes = model.encode(TEXTS)
    assert [model.decode(code) for code in codes[:5]] == model.decode(codes)[:5]
    assert model.decode(codes[::-1]) == model.decode(codes)[::-1]


def test_the_folder_writes_the_same_texts(model: Raw2Vec, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    codes = model.encode(TEXTS[:8])
    assert raw2vec.load(tmp_path / "m").decode(codes) == model.decode(codes)


def test_a_walk_leads_from_one_text_to_the_other(model: Raw2Vec) -> None:
    walk = model.interpolate(TEXTS[0], TEXTS[20], steps=5)
    assert [walk[0], walk[-1]] == model.reconstruct([TEXTS[0], TEXTS[20]])
    assert len(walk) == 5


def test_texts_are_drawn_where_those_at_hand_lie(model: Raw2Vec) -> None:
    drawn = model.sample(6, seed=1, like=TEXTS)
    assert drawn == model.sample(6, seed=1, like=TEXTS) != model.sample(6, seed=2, like=TEXTS)
    assert all(isinstance(text, str) for text in drawn)
    with pytest.raises(BadInput, match="no prior"):
        model.sample(3)


def test_strange_texts_score_lower(model: Raw2Vec) -> None:
    known, strange = model.score_samples(TEXTS), model.score_samples(["zqx %% 99 ;;", "hill the over ran man A"])
    assert known.mean() > strange.max()


def test_an_empty_text_and_one_too_long_are_answered(model: Raw2Vec) -> None:
    back = model.reconstruct(["", "word " * 500, TEXTS[0]])
    assert len(back) == 3
    assert all(isinstance(text, str) for text in back)


def test_inspect_shows_the_writer_as_well(model: Raw2Vec) -> None:
    shown = {part.name: part for part in model.inspect(TEXTS).parts}
    assert shown["decoder"].parameters > 0
    assert "decoder.layers.0" in shown


def test_a_variational_model_of_texts_has_a_prior_and_a_bound(tmp_path: Path) -> None:
    settings = QUICK | {"decoder.forget": 0.3, "stages.0.objectives.0.warmup": 0.5}
    model = Raw2Vec(objective="variational", latent=8, size="tiny", steps=25, settings=settings).fit(TEXTS)
    assert model.sample(3, seed=0) == model.sample(3, seed=0)
    assert model.encode(TEXTS[:2]).tobytes() == model.encode(TEXTS[:2]).tobytes()
    found = model.evaluate(TEXTS, protocol="likelihood").metrics
    assert found["nats"] <= -found["elbo"] + 1e-6


def test_what_cannot_be_written_is_said() -> None:
    with pytest.raises(BadInput, match=r"token by token: .* recurrent"):
        Raw2Vec(objective="reconstruction", decoder="dense", steps=1).fit(TEXTS)
    with pytest.raises(BadInput, match="cls-sep"):
        Raw2Vec(objective="reconstruction", steps=1, settings={"raw.boundaries": "none"}).fit(TEXTS)


def tiny() -> SequenceToSequence:
    """Tokens 0 to 6, of which 5 begins a text and 6 ends it."""
    torch.manual_seed(0)
    embedder = Embedder(TokenEmbedding(7, 4), Dense(4, 6), Point(6, 5))
    return SequenceToSequence(embedder, RecurrentWriter(5, 4, 8), TokenReadout(8, 7, 6, beginning=5)).double().eval()


def test_the_likelihood_is_the_product_of_each_tokens_given_those_before() -> None:
    model, ids = tiny(), torch.tensor([5, 3, 1, 6, 5, 2, 6])
    items, codes = Ragged(ids, torch.tensor([[4], [3]])), torch.randn(2, 5, dtype=torch.float64)
    expected = []
    for code, text in zip(codes, items.items(), strict=True):
        kept, total = model.decoder.begin(code[None]), 0.0
        for place, (before, token) in enumerate(pairwise(text)):
            states, kept = model.step(kept, before[None], place)
            total = total + model.readout.linear(states).log_softmax(dim=1)[0, token]
        expected.append(total)
    torch.testing.assert_close(model.log_prob(codes, items), torch.stack(expected))


def test_all_short_texts_together_are_as_likely_as_can_be() -> None:
    """Texts that end within four tokens, and the beginnings of all others, share out the whole of probability."""
    model = tiny()
    code, chance = torch.randn(1, 5, dtype=torch.float64), 0.0
    beginnings: list[list[int]] = [[]]
    for length in range(4):
        longer = [[*text, token] for text in beginnings for token in range(7)]
        done = [text for text in longer if text[-1] == 6 or length == 3]
        beginnings = [text for text in longer if text[-1] != 6]
        items = Ragged(torch.tensor([[5, *text] for text in done]).flatten(), torch.full((len(done), 1), length + 2))
        chance += model.log_prob(code.expand(len(done), -1), items).exp().sum().item()
    assert chance == pytest.approx(1.0)


def test_drawn_texts_follow_the_likelihood() -> None:
    model, count = tiny(), 20_000
    codes = torch.randn(1, 5, dtype=torch.float64).expand(count, -1)
    luck = torch.rand(count, 1, generator=torch.Generator().manual_seed(0))
    drawn = model.sample(codes, torch.ones(count, 1, dtype=torch.long), luck)
    each = Ragged(torch.tensor([[5, token] for token in range(7)]).flatten(), torch.full((7, 1), 2))
    chances = model.log_prob(codes[:7], each).exp().detach().numpy()
    np.testing.assert_allclose(np.bincount(drawn.values, minlength=7) / count, chances, atol=0.015)


def test_a_text_ends_where_it_says_or_at_its_limit() -> None:
    model, codes = tiny(), torch.randn(5, 5, dtype=torch.float64)
    with torch.no_grad():
        model.readout.linear.bias[6] = -100.0
        endless = model.mode(codes, torch.tensor([[1], [4], [2], [9], [3]]))
        assert endless.lengths.tolist() == [1, 4, 2, 9, 3]
        model.readout.linear.bias[6] = 100.0
        assert model.mode(codes, torch.full((5, 1), 9)).values.tolist() == [6] * 5
