import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

import raw2vec
from raw2vec.embedding import PatchEmbedding
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged


def items(*shapes: tuple[int, ...], channels: int = 2) -> Ragged:
    count = int(torch.tensor(shapes).prod(dim=1).sum())
    generator = torch.Generator().manual_seed(count)
    return Ragged(torch.randn(count, channels, generator=generator), torch.tensor(shapes))


def test_patches_are_what_a_convolution_with_a_stride_sees() -> None:
    pictures = items((6, 4), (6, 4), channels=3)
    embedding = PatchEmbedding(channels=3, width=5, dimensions=2, patch=2)
    weight = embedding.linear.weight.view(5, 2, 2, 3).permute(0, 3, 1, 2)
    whole = pictures.values.view(2, 6, 4, 3).permute(0, 3, 1, 2)
    expected = conv2d(whole, weight, embedding.linear.bias, stride=2).permute(0, 2, 3, 1)
    found = embedding(pictures)
    assert found.shapes.tolist() == [[3, 2], [3, 2]]
    torch.testing.assert_close(found.values, expected.reshape(12, 5))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_item_is_embedded_the_same_alone_and_among_others(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))
    shapes = data.draw(st.lists(st.tuples(*[st.integers(1, 5)] * axes), min_size=1, max_size=4))
    embedding = PatchEmbedding(channels=2, width=3, dimensions=axes, patch=data.draw(st.integers(1, 4)))
    together = embedding(items(*shapes))
    assert together.shapes.equal(embedding.grids(torch.tensor(shapes)))
    assert together.values.shape == (int(together.lengths.sum()), 3)
    alone = [embedding(items(*shapes).take(torch.tensor([place]))).values for place in range(len(shapes))]
    torch.testing.assert_close(together.values, torch.cat(alone), atol=1e-6, rtol=1e-5)


def test_the_whole_item_is_one_patch_by_default() -> None:
    embedding = PatchEmbedding(channels=2, width=3, dimensions=2, shape=(4, 5))
    pictures = items((4, 5), (4, 5))
    expected = embedding.linear(pictures.values.view(2, 40))
    assert embedding.grids(pictures.shapes).tolist() == [[1, 1], [1, 1]]
    torch.testing.assert_close(embedding(pictures).values, expected)


def test_pixels_count_as_255ths() -> None:
    embedding = PatchEmbedding(channels=1, width=3, dimensions=1, patch=2)
    pixels = torch.tensor([[0], [51], [255]], dtype=torch.uint8)
    shapes = torch.tensor([[3]])
    expected = embedding(Ragged(torch.tensor([[0.0], [0.2], [1.0]]), shapes))
    torch.testing.assert_close(embedding(Ragged(pixels, shapes)).values, expected.values)


def test_what_is_missing_has_a_contribution_of_its_own() -> None:
    embedding = PatchEmbedding(channels=2, width=3, dimensions=1, patch=1, missing="flag")
    values = torch.tensor([[1.0, math.nan], [math.nan, 2.0], [0.0, 0.0]])
    value, flag = embedding.linear.weight[:, :2], embedding.linear.weight[:, 2:]
    found = embedding(Ragged(values, torch.tensor([[3]]))).values - embedding.linear.bias
    torch.testing.assert_close(found[0], value[:, 0] + flag[:, 1])
    torch.testing.assert_close(found[1], 2 * value[:, 1] + flag[:, 0])
    assert not found[2].any()


def test_a_missing_number_is_not_hidden_where_none_may_be() -> None:
    embedding = PatchEmbedding(channels=1, width=3, dimensions=1, patch=1)
    found = embedding(Ragged(torch.tensor([[1.0], [math.nan]]), torch.tensor([[1], [1]]))).values
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


@pytest.mark.parametrize("missing", ["none", "flag"])
@pytest.mark.parametrize("shapes", [[(3,), (3,)], [(3,), (4,)]], ids=["one shape", "mixed"])
def test_gradients(missing: str, shapes: list[tuple[int, ...]]) -> None:
    embedding = PatchEmbedding(channels=2, width=3, dimensions=1, patch=2, missing=missing).double()
    given_items = items(*shapes)
    values = given_items.values.double().requires_grad_()
    inputs = (values, *embedding.parameters())
    assert torch.autograd.gradcheck(lambda *_: embedding(given_items.replace(values)).values, inputs)


def test_dropout_is_for_training_only() -> None:
    embedding = PatchEmbedding(channels=1, width=50, dimensions=1, patch=1, dropout=0.5)
    one = items((1,), channels=1)
    assert (embedding(one).values == 0).any()
    assert (embedding.eval()(one).values != 0).all()


def test_it_keeps_the_scale_of_what_it_is_given() -> None:
    torch.manual_seed(0)
    embedding = PatchEmbedding(channels=3, width=100, dimensions=2, patch=8)
    assert embedding(items((64, 64), channels=3)).values.std().item() == pytest.approx(1.0, abs=0.1)


def test_items_that_do_not_fit() -> None:
    embedding = PatchEmbedding(channels=2, width=3, dimensions=1, shape=(4,))
    with pytest.raises(BadInput, match=r"Item 1 has the shape \(3,\).*one patch of \(4,\)"):
        embedding(items((4,), (3,)))
    with pytest.raises(BadInput, match=r"shape \(1,\).*takes 2 channels"):
        embedding(items((4,), channels=1))
    with pytest.raises(BadInput, match="Items differ in size"):
        PatchEmbedding(channels=2, width=3, dimensions=1)
    with pytest.raises(BadInput, match="not 'zero'"):
        PatchEmbedding(channels=2, width=3, dimensions=1, patch=1, missing="zero")


@pytest.mark.parametrize("encoder", ["convolutional", "transformer"])
def test_pictures_of_one_black_or_white_dot_are_learned(encoder: str) -> None:
    """A row of zeros is where a normalisation is steepest: layer upon layer, its gradient was infinite."""
    dots = [np.full((1, 1), 255 * (place % 2), np.uint8) for place in range(60)]
    made = raw2vec.Raw2Vec("reconstruction", encoder, kind="image", steps=3).fit(dots)
    assert np.isfinite(made.encode(dots[:2])).all()
