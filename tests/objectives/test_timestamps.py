"""Two looks at a series: what they share, and what finding each moment costs, beside TS2Vec's own formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from raw2vec import Raw2Vec
from raw2vec.batch import Batch
from raw2vec.encoders import Convolutional, Dense
from raw2vec.errors import BadInput
from raw2vec.objectives import Timestamps
from raw2vec.objectives.timestamps import Looks, _loss
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=5)


class Plain(nn.Module):
    """A model whose states are the numbers themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.encoder = nn.Identity(), nn.Identity()


def series(lengths: list[int], width: int = 3) -> Batch:
    items = [torch.randn(length, width, generator=torch.Generator().manual_seed(length)) for length in lengths]
    return Batch(torch.arange(len(items)), {"input": Ragged.of(items)})


def looks(lengths: list[int], width: int = 3) -> Looks:
    """Random states of items of these lengths, in double precision."""
    generator = torch.Generator().manual_seed(0)
    states = [Ragged.of([torch.randn(n, width, generator=generator).double() for n in lengths]) for _ in range(2)]
    return Looks(torch.stack([each.padded() for each in states]), states[0].inside())


@settings(max_examples=30, deadline=None)
@given(lengths, st.integers(0, 9))
def test_both_looks_show_the_same_moments_of_an_item(lengths, seed) -> None:
    held = series(lengths)
    found = Timestamps(hidden=0.0)._looks(Plain(), held.sides["input"], held.items, Draws(seed), "input")
    for item, first, second, there in zip(held.sides["input"].items(), *found.states, found.there, strict=True):
        size = int(there.sum())
        assert min(2, len(item)) <= size <= len(item)
        assert first[:size].equal(second[:size])
        start = int((item[:, 0] == first[0, 0]).nonzero())
        assert first[:size].equal(item[start : start + size])


def test_looks_hide_their_own_share_of_steps_and_know_no_batch_mates() -> None:
    held = series([400, 300, 200])
    made = Timestamps(hidden=0.3)
    found = made._looks(Plain(), held.sides["input"], held.items, Draws(1), "input")
    gone = (found.states == 0).all(dim=3)[:, found.there]
    assert float(gone.double().mean()) == pytest.approx(0.3, abs=0.07)
    assert not gone[0].equal(gone[1])
    alone = made._looks(Plain(), held.sides["input"].take(torch.tensor([2])), held.items[2:], Draws(1), "input")
    assert alone.states[:, 0].equal(found.states[:, 2, : alone.states.shape[2]])


def by_hand(states: Tensor) -> float:
    """TS2Vec's hierarchical loss (its paper's formulas 1 to 3, algorithm 1), of series of one length: (2, B, T, D)."""
    scale, levels = states.shape[-1] ** -0.5, []
    while True:
        one, other = states
        items, steps = one.shape[:2]
        across = along = 0.0
        for i in range(items):
            for t in range(steps):
                for here, there in ((one, other), (other, one)):
                    own = scale * here[i, t] @ there[i, t]
                    rest = [scale * here[i, t] @ there[j, t] for j in range(items)]
                    rest += [scale * here[i, t] @ here[j, t] for j in range(items) if j != i]
                    across += float(torch.stack(rest).logsumexp(0) - own)
                    rest = [scale * here[i, t] @ there[i, s] for s in range(steps)]
                    rest += [scale * here[i, t] @ here[i, s] for s in range(steps) if s != t]
                    along += float(torch.stack(rest).logsumexp(0) - own)
        count = 2 * items * steps
        levels.append(across / 2 / count if steps == 1 else (across + along) / 2 / count)
        if steps == 1:
            return sum(levels) / len(levels)
        states = torch.stack([states[:, :, t : t + 2].amax(dim=2) for t in range(0, steps, 2)], dim=2)


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_the_cost_is_the_papers(steps: int) -> None:
    made = looks([steps] * 3)
    assert _loss(made).item() == pytest.approx(by_hand(made.states))


def test_moments_that_are_not_there_are_neither_asked_nor_answers() -> None:
    made = looks([5, 2, 4])
    wild = made.states.masked_fill(~made.there[None, :, :, None], 7.0)
    assert _loss(Looks(wild, made.there)).item() == pytest.approx(_loss(made).item())
    alone = looks([5])
    together = Looks(torch.cat([alone.states, alone.states[:, :, :0].new_zeros(2, 1, 5, 3)], dim=1),
                     torch.cat([alone.there, torch.zeros(1, 5, dtype=torch.bool)]))  # fmt: skip
    assert _loss(together).item() == pytest.approx(_loss(alone).item())


def test_what_is_told_from_nothing_is_a_uniform_guess() -> None:
    made = looks([1, 1, 1])
    flat = Looks(torch.zeros_like(made.states), made.there)
    assert _loss(flat).item() == pytest.approx(math.log(5) / 2)


def test_gradients_agree_with_finite_differences() -> None:
    made = looks([4, 3])
    inside = made.there[None, :, :, None]
    states = made.states.masked_fill(~inside, 0.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: _loss(Looks(values * inside, made.there)), (states,))


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 0 and below 1, not 1"):
        Timestamps(hidden=1.0)


@pytest.mark.parametrize("encoder", [Dense(3, 4), Convolutional(3, 4, layers=2, halvings=1)], ids=["bag", "halved"])
def test_an_encoder_without_a_state_a_moment_is_refused(encoder: nn.Module) -> None:
    model, held = Plain(), series([9, 5])
    model.encoder = encoder
    with pytest.raises(BadInput, match=r"--set encoder\.halvings=0"):
        Timestamps()(model, held, Draws(0))


def test_a_series_that_is_one_row_has_no_moments() -> None:
    with pytest.raises(BadInput, match="no moments to tell apart: take --encoder convolutional"):
        Timestamps(sizes=())
    waves = np.zeros((20, 8, 1), np.float32)
    beside = {"stages.0.objectives": [{"name": "variational"}, {"name": "contrastive"}]}
    with pytest.raises(BadInput, match="no moments"):
        Raw2Vec("variational", latent=2, size="tiny", steps=1, settings=beside).fit(waves)
