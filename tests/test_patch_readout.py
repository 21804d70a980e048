import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.embedding import PatchEmbedding
from raw2vec.errors import BadInput
from raw2vec.likelihood import Bernoulli, Categorical, DiscretisedLogistic, Gaussian, Likelihood
from raw2vec.ragged import Ragged
from raw2vec.readout import PatchReadout

LIKELIHOODS: list[Callable[[], Likelihood]] = [
    Bernoulli,
    Gaussian,
    lambda: DiscretisedLogistic(5),
    lambda: Categorical(5),
]
every_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS)


def ragged(shapes: torch.Tensor, channels: int, seed: int = 0) -> Ragged:
    count = int(shapes.prod(dim=1).sum())
    return Ragged(torch.rand(count, channels, generator=torch.Generator().manual_seed(seed)), shapes)


def readout(likelihood: Likelihood, patch: int = 2, **settings: object) -> PatchReadout:
    """Of pictures of two channels, from states 4 wide."""
    torch.manual_seed(0)
    return PatchReadout(inputs=4, channels=2, dimensions=2, likelihood=likelihood, patch=patch, **settings)


@every_likelihood
def test_each_element_is_judged_by_its_own_part_of_its_patchs_state(likelihood: Callable[[], Likelihood]) -> None:
    made = likelihood()
    heads = readout(made)
    items, states = ragged(torch.tensor([[3, 2], [1, 3]]), 2), ragged(torch.tensor([[2, 1], [1, 2]]), 4, seed=1)
    found = Ragged(heads.log_prob(states, items), items.shapes).items()
    parameters = heads.linear(states.values).view(4, 2, 2, 2, -1)
    for place, item in enumerate(items.items()):
        first = int(states.offsets[place])
        for row in range(item.shape[0]):
            for column in range(item.shape[1]):
                patch = first + row // 2 * int(states.shapes[place, 1]) + column // 2
                expected = made.log_prob(parameters[patch, row % 2, column % 2], item[row, column]).sum()
                torch.testing.assert_close(found[place][row, column], expected)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_it_reads_out_on_the_grids_that_the_embedding_made(data: st.DataObject) -> None:
    axes, patch = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    shapes = torch.tensor(data.draw(st.lists(st.tuples(*[st.integers(1, 5)] * axes), min_size=1, max_size=3)))
    embedding = PatchEmbedding(channels=2, width=4, dimensions=axes, patch=patch)
    heads = PatchReadout(4, 2, axes, Gaussian(), patch=patch)
    items = ragged(shapes, 2)
    states = embedding(items)
    mode = heads.mode(states, shapes)
    assert mode.shapes.equal(shapes)
    assert mode.values.shape == items.values.shape
    assert mode.values.dtype == torch.float32
    # A density is highest at the mode, whichever element it is.
    assert (heads.log_prob(states, mode) >= heads.log_prob(states, items)).all()
    torch.testing.assert_close(heads.sample(states, shapes, torch.full_like(items.values, 0.5)).values, mode.values)


def test_the_whole_item_is_one_patch_by_default() -> None:
    heads = readout(Gaussian(), patch=0, shape=(3, 2))
    states = ragged(torch.tensor([[1, 1], [1, 1]]), 4)
    expected = heads.linear(states.values).view(12, 2)
    torch.testing.assert_close(heads.mode(states, torch.tensor([[3, 2], [3, 2]])).values, expected)


@every_likelihood
def test_pixels_come_back_as_pixels(likelihood: Callable[[], Likelihood]) -> None:
    heads = readout(likelihood(), values="pixels")
    shapes = torch.tensor([[4, 4], [2, 3]])
    states, luck = ragged(heads_grids(shapes), 4), ragged(shapes, 2).values
    for restored in (heads.mode(states, shapes), heads.sample(states, shapes, luck)):
        assert restored.values.dtype == torch.uint8
        assert restored.values.shape == (22, 2)
    pixels = (255 * luck).to(torch.uint8)
    as_pixels = heads.log_prob(states, Ragged(pixels, shapes))
    as_numbers = heads.log_prob(states, Ragged(pixels.float() / 255, shapes))
    torch.testing.assert_close(as_pixels, as_numbers)
    assert as_pixels.isfinite().all()


def heads_grids(shapes: torch.Tensor) -> torch.Tensor:
    return (shapes + 1) // 2


def test_a_sure_readout_gives_back_every_pixel() -> None:
    """Means of any 255th, a deviation near zero: 255ths are neither floored nor wrapped round."""
    heads = PatchReadout(1, 1, 1, Gaussian(1e-6), patch=1, values="pixels")
    with torch.no_grad():
        heads.linear.weight.fill_(1.0)
    numbers = torch.cat([torch.arange(256) / 255, torch.tensor([-0.5, 1.5])])
    shapes = torch.tensor([[258]])
    mode = heads.mode(Ragged(numbers[:, None], shapes), shapes)
    assert mode.values.squeeze(1).tolist() == [*range(256), 0, 255]


def test_missing_numbers_count_zero() -> None:
    heads, shapes = readout(Gaussian()), torch.tensor([[2, 2]])
    states, items = ragged(torch.tensor([[1, 1]]), 4), ragged(shapes, 2)
    whole = heads.log_prob(states, items)
    items.values[0] = math.nan
    items.values[1, 0] = math.nan
    found = heads.log_prob(states, items)
    assert found[0] == 0.0
    assert found[1] != whole[1]
    assert found[2:].equal(whole[2:])
    found.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in heads.parameters())


@every_likelihood
@pytest.mark.parametrize("shapes", [[[3, 2], [3, 2]], [[3, 2], [1, 3]]], ids=["one shape", "mixed"])
def test_gradients(likelihood: Callable[[], Likelihood], shapes: list[list[int]]) -> None:
    heads, grid = readout(likelihood()).double(), torch.tensor(shapes)
    states, items = ragged(heads_grids(grid), 4), ragged(grid, 2)
    values = states.values.double().requires_grad_()
    inputs = (values, *heads.parameters())
    assert torch.autograd.gradcheck(lambda *_: heads.log_prob(states.replace(values), items), inputs)


def test_what_does_not_fit() -> None:
    heads = readout(Gaussian())
    states = ragged(torch.tensor([[1, 1]]), 4)
    with pytest.raises(BadInput, match="other grids"):
        heads.mode(states, torch.tensor([[3, 2]]))
    with pytest.raises(BadInput, match=r"shape \(3,\).*gives 2 channels"):
        heads.log_prob(states, ragged(torch.tensor([[2, 2]]), 3))
    with pytest.raises(BadInput, match="'pixels' or 'numbers', not 'dots'"):
        readout(Gaussian(), values="dots")
