"""The facade's verbs of the way back: single and many, arrays and lists, seeds and thresholds."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_wine

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.system.decoding import Decoding
from raw2vec.use import detect, generate
from tiny_autoencoder import Arrays, doubtful, embedder_only, parts, pictures, reconstructed

FIXED = Arrays(shape=(2, 3))
SAME, MIXED = pictures((2, 3), (2, 3), (2, 3)), pictures((2, 3), (4, 1))


class Facade(Decoding):
    """Nothing but the way back."""

    def __init__(self, model: Model):
        self.model = model

    def _parts(self) -> Model:
        return self.model

    def _device(self) -> torch.device:
        return torch.device("cpu")


def test_one_code_gives_one_item_and_many_of_one_shape_one_array() -> None:
    model = Facade(parts(FIXED))
    assert model.decode([0.2, 1.0]).shape == (2, 3)
    many = model.decode([[0.2, 1.0], [0.4, 0.0]])
    assert (many.shape, many.dtype) == ((2, 2, 3), np.uint8)
    np.testing.assert_array_equal(model.inverse_transform(torch.tensor([[0.2, 1.0], [0.4, 0.0]])), many)


def test_many_of_several_shapes_are_a_list() -> None:
    model = Facade(parts())
    made = model.decode([[0.2, 1.0], [0.4, 0.0]], sizes=[(1, 2), (3, 3)])
    assert [item.shape for item in made] == [(1, 2), (3, 3)]
    assert model.decode([0.2, 1.0], sizes=(1, 2)).shape == (1, 2)
    assert model.decode(np.empty((0, 2)), sizes=(1, 2)) == []


def test_reconstruct_gives_what_it_is_given() -> None:
    model = Facade(parts())
    np.testing.assert_allclose(model.reconstruct(SAME[0]), reconstructed(SAME[0]), atol=1)
    assert model.reconstruct(np.stack(SAME)).shape == (3, 2, 3)
    assert [item.shape for item in model.reconstruct(MIXED)] == [(2, 3), (4, 1)]


def test_samples_by_the_prior_and_by_what_is_like_them() -> None:
    model = Facade(parts(FIXED, doubtful()))
    assert model.sample(5, seed=1).shape == (5, 2, 3)
    np.testing.assert_array_equal(model.sample(5, seed=1), generate.sample(model.model, 5, 1))
    dark = [np.full((2, 3), 3, np.uint8), np.full((2, 3), 4, np.uint8)]
    assert model.sample(20, like=dark).max() < 8
    assert model.sample(20, like=dark).tolist() == model.sample(20, like=dark).tolist()


def test_samples_have_the_sizes_of_what_they_are_like() -> None:
    model = Facade(parts())
    made = model.sample(40, like=MIXED)
    assert {item.shape for item in made} == {(2, 3), (4, 1)}
    assert [item.shape for item in model.sample(40, like=MIXED)] == [item.shape for item in made]
    assert model.sample(3, like=MIXED, sizes=(1, 1)).shape == (3, 1, 1)


def test_a_line_between_two_items() -> None:
    model = Facade(parts())
    made = model.interpolate(SAME[0], SAME[1], steps=4)
    assert made.shape == (4, 2, 3)
    np.testing.assert_array_equal(made[[0, -1]], model.reconstruct(SAME[:2]))
    with pytest.raises(BadInput, match="an end of it holds 3"):
        model.interpolate(SAME[0], SAME)


def test_scores_and_what_is_below_the_threshold() -> None:
    model = Facade(parts(FIXED))
    scores = model.score_samples(SAME)
    np.testing.assert_array_equal(scores, detect.score_samples(model.model, SAME))
    assert model.score(SAME) == scores.mean()
    with pytest.raises(BadInput, match="knows no threshold"):
        model.decision_function(SAME)
    model.model.report["threshold"] = float(np.sort(scores)[1])
    np.testing.assert_array_equal(model.decision_function(SAME) < 0, scores < np.sort(scores)[1])
    assert model.threshold_ == np.sort(scores)[1]


@pytest.mark.parametrize(
    "use", [lambda m: m.decode([0, 0]), lambda m: m.reconstruct(SAME), lambda m: m.score(SAME), lambda m: m.sample()]
)
def test_a_model_without_a_way_back_says_so(use) -> None:
    with pytest.raises(BadInput, match="no decoder"):
        use(Facade(embedder_only()))


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_of_few_rows_about_the_share_that_was_asked_for_is_flagged(share: float) -> None:
    wines = load_wine(as_frame=True).data
    model = Raw2Vec("reconstruction", kind="table", latent=3, size="tiny", steps=20, contamination=share).fit(wines)
    assert (model.predict(wines) == -1).mean() == pytest.approx(share, abs=0.02)
    again = Raw2Vec(recipe=model.parts_.recipe, steps=2)
    assert again.fit(wines).parts_.recipe.training.contamination == share, "the recipe's stays, where nobody asks"
    assert again.set_params(contamination=0.2).fit(wines).parts_.recipe.training.contamination == 0.2


@pytest.mark.parametrize("share", [0.0, 0.6, -1, float("nan"), "many"])
def test_a_share_that_is_none_is_refused(share: object) -> None:
    with pytest.raises(BadInput, match="contamination"):
        Raw2Vec("reconstruction", kind="table", steps=1, contamination=share).fit(load_wine(as_frame=True).data)


def test_with_nothing_held_out_the_threshold_is_of_what_was_trained_on() -> None:
    wines = load_wine(as_frame=True).data
    settings = {"training.hold_out": 0.0}
    model = Raw2Vec("reconstruction", kind="table", latent=3, size="tiny", steps=5, settings=settings).fit(wines)
    assert (model.decision_function(wines) < 0).mean() == pytest.approx(0.1, abs=0.02)


def test_a_data_frame_is_made_again_of_what_comes_back() -> None:
    wines = load_wine(as_frame=True).data[:60].assign(name="a", year=1999, day=pd.Timestamp("2026-01-01"))
    model = Raw2Vec("reconstruction", kind="table", latent=3, size="tiny", steps=2).fit(wines)
    for back in (model.decode(model.encode(wines)), model.reconstruct(wines), model.sample(60, like=wines)):
        pd.testing.assert_series_equal(pd.DataFrame(back).dtypes, wines.dtypes)
