"""The quantised latent: nearest codes, their cost, and a codebook that learns, revives and resumes to the bit."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.latents import Quantised
from raw2vec.ragged import Ragged


def states(count: int, seed: int = 0, width: int = 4) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count * 2, width, generator=generator, dtype=torch.float64)
    return Ragged(values, torch.full((count, 1), 2))


def made(**settings: object) -> Quantised:
    torch.manual_seed(0)
    return Quantised(**{"inputs": 4, "width": 6, "codes": 8, "groups": 2, **settings}).double()


def parts_of(latent: Quantised, x: Ragged) -> Tensor:
    return latent.project(x.mean()).view(len(x), latent.groups, -1)


@given(st.sampled_from([1, 2, 3, 6]), st.integers(2, 9), st.integers(1, 5), st.integers(0, 99))
def test_each_part_becomes_its_nearest_code(groups, codes, items, seed) -> None:
    latent, x = made(groups=groups, codes=codes).eval(), states(items, seed)
    parts, found = parts_of(latent, x), latent.codes_of(x)
    assert found.shape == (items, groups)
    assert found.dtype == torch.int64
    for item in range(items):
        for group in range(groups):
            distances = (latent.codebook[group] - parts[item, group]).norm(dim=1)
            assert int(found[item, group]) == int(distances.argmin())
    wanted = torch.stack([latent.codebook[group, found[:, group]] for group in range(groups)], dim=1).flatten(1)
    assert torch.equal(latent(x), wanted)
    assert torch.equal(latent.vectors_of(found), wanted)


def test_a_code_costs_what_naming_it_takes() -> None:
    posterior = made().eval().posterior(states(3))
    codes = posterior.draw(torch.randn(5, 3, 6, dtype=torch.float64))
    assert torch.equal(codes, posterior.mean.expand(5, 3, 6))
    nats = 2 * math.log(8)
    torch.testing.assert_close(posterior.log_ratio(codes), torch.full((5, 3), -nats, dtype=torch.float64))
    torch.testing.assert_close(posterior.kl().sum(dim=1), torch.full((3,), nats, dtype=torch.float64))


def test_the_penalty_is_the_squared_distance_to_the_codes() -> None:
    latent, x = made(commitment=0.5).eval(), states(3)
    wanted = 0.5 * (parts_of(latent, x).flatten(1) - latent(x)).square().sum(dim=1)
    torch.testing.assert_close(latent.posterior(x).penalty(), wanted)
    assert not made(commitment=0.0).posterior(x).penalty().any()


def test_in_training_the_gradient_goes_straight_through() -> None:
    latent, x = made().train(), states(3)
    values = x.values.requires_grad_()
    weights = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for code in (latent(x), latent.posterior(x).mean):
        (found,) = torch.autograd.grad((code * weights).sum(), values)
        (wanted,) = torch.autograd.grad((latent.project(x.mean()) * weights).sum(), values)
        torch.testing.assert_close(found, wanted)


def test_gradients_in_eval_mode_are_the_true_ones() -> None:
    latent, x = made(pooling="attention").eval(), states(3)

    def answers(values: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        posterior = latent.posterior(x.replace(values))
        return posterior.penalty(), posterior.mean + 0 * posterior.penalty()[:, None]

    assert torch.autograd.gradcheck(answers, (x.values.requires_grad_(), *latent.parameters()))
    assert not latent(x).requires_grad


def test_codes_move_to_the_mean_of_what_chooses_them() -> None:
    """Three heaps, three codes: each ends in the middle of one, and all are used as often as there are items."""
    latent = Quantised(2, width=2, codes=3).double().train()
    torch.nn.init.eye_(latent.project.weight)
    middles = torch.tensor([[5.0, 0], [-5, 5], [0, -5]], dtype=torch.float64)
    offsets = torch.tensor([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]], dtype=torch.float64)
    heaps = (middles[:, None] + offsets).view(-1, 2)
    x = Ragged(heaps, torch.ones(12, 1, dtype=torch.long))
    for _ in range(1500):
        latent.posterior(x)
    found = latent.codebook[0]
    assert torch.cdist(middles, found).min(dim=1).values.max() < 1e-3
    torch.testing.assert_close(latent.usage, torch.full((1, 3), 1 / 3).double())
    torch.testing.assert_close(latent.perplexity, torch.tensor([3.0]).double())
    torch.testing.assert_close(latent.counts, torch.full((1, 3), 4.0).double(), rtol=1e-4, atol=0)


def test_one_step_of_the_moving_averages_by_hand() -> None:
    latent, x = made().train(), states(5)
    latent.counts.fill_(2.0)
    before, parts, codes = latent.codebook.clone(), parts_of(latent, x), latent.codes_of(x)
    latent.posterior(x)
    for group in range(2):
        for code in range(8):
            chosen = parts[codes[:, group] == code, group]
            count = 0.99 * 2 + 0.01 * len(chosen)
            wanted = (0.99 * 2 * before[group, code] + 0.01 * chosen.sum(dim=0)) / count
            torch.testing.assert_close(latent.codebook[group, code], wanted)
            assert float(latent.counts[group, code]) == pytest.approx(count)


def test_dead_codes_are_revived_from_the_batch() -> None:
    latent, x = made(groups=1).train(), states(5)
    latent.counts.fill_(2.0)
    latent.counts[0, [1, 4]] = 0.01
    latent.codebook[0, [1, 4]] = 1e3
    kept = latent.codebook.clone()
    latent.posterior(x)
    distances = torch.cdist(latent.codebook[0], parts_of(latent, x)[:, 0])
    nearest = distances[[1, 4]].min(dim=1)
    assert nearest.values.max() < 0.05, "each stands where an item stands, but for a first step towards its others,"
    assert nearest.indices[0] != nearest.indices[1], "and not on each other"
    alive = [0, 2, 3, 5, 6, 7]
    assert (latent.codebook - kept)[0, alive].norm(dim=1).max() < 0.1


def test_the_first_batches_fill_the_codebook() -> None:
    latent = made(codes=16, groups=1).train()
    for step in range(4):
        latent.posterior(states(4, seed=step))
    everything = torch.cat([parts_of(latent, states(4, seed=step))[:, 0] for step in range(4)])
    assert torch.cdist(everything, latent.codebook[0]).min(dim=1).values.median() < 0.3
    assert float(latent.perplexity) > 8


def test_training_is_a_function_of_its_buffers() -> None:
    """Stopped, stored, loaded and gone on with: the same codebook to the bit, whatever else was drawn in between."""
    whole, stopped = made().train(), made().train()
    for step in range(6):
        whole.posterior(states(5, seed=step))
    for step in range(3):
        stopped.posterior(states(5, seed=step))
    torch.manual_seed(99)
    resumed = Quantised(inputs=4, width=6, codes=8, groups=2).double().train()
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    for step in range(3, 6):
        torch.rand(3)
        resumed.posterior(states(5, seed=step))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert int(whole.step) == 6


def test_a_call_and_eval_mode_change_nothing_and_never_draw() -> None:
    latent, x = made(), states(5)
    before, state = copy.deepcopy(latent.state_dict()), torch.get_rng_state()
    latent.train()(x)
    latent.codes_of(x)
    latent.eval().posterior(x)
    latent(x)
    assert all(torch.equal(value, latent.state_dict()[name]) for name, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_mates_do_not_matter() -> None:
    latent, x = made(codes=64).float().eval(), states(40)
    x = x.replace(x.values.float())
    together = latent.codes_of(x)
    assert torch.equal(together, torch.cat([latent.codes_of(item) for item in x.split(1)]))


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match="width 6 cannot be split into 4 equal groups"):
        made(groups=4)
    with pytest.raises(BadInput, match="at least 2 codes"):
        made(codes=1)
