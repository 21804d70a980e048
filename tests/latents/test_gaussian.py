"""The Gaussian latent: its cost in closed form, by sampling and by torch's own; its draws; its gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from raw2vec.errors import BadInput
from raw2vec.latents import DiagonalGaussian, Gaussian
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


def states(lengths: list[int], width: int = 4) -> Ragged:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(sum(lengths), width, generator=generator, dtype=torch.float64)
    return Ragged(values, torch.tensor(lengths)[:, None])


def made(**settings: object) -> Gaussian:
    """One whose deviations are far from one."""
    torch.manual_seed(0)
    latent = Gaussian(**{"inputs": 4, "width": 3, **settings}).double()
    torch.nn.init.normal_(latent.project.weight)
    return latent


def posterior(items: int = 2, width: int = 3) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(3)
    draw = torch.randn(2, items, width, generator=generator, dtype=torch.float64)
    return DiagonalGaussian(draw[0], draw[1])


def torchs(found: DiagonalGaussian) -> Normal:
    return Normal(found.mean, found.log_variance.exp().sqrt())


def test_kl_agrees_with_torch_and_with_sampling() -> None:
    found = posterior()
    prior = Normal(torch.zeros_like(found.mean), torch.ones_like(found.mean))
    torch.testing.assert_close(found.kl(), kl_divergence(torchs(found), prior))
    noise = Draws(0).normal("noise", torch.arange(2), 3 * 40_000).view(2, -1, 3).transpose(0, 1).double()
    costs = -found.log_ratio(found.draw(noise))
    error = costs.std(dim=0) / len(costs) ** 0.5
    assert ((costs.mean(dim=0) - found.kl().sum(dim=1)).abs() < 4 * error).all()


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_the_log_ratio_of_any_codes(samples, items, width, seed) -> None:
    found = posterior(items, width)
    codes = 3 * torch.randn(samples, items, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    wanted = Normal(0.0, 1.0).log_prob(codes) - torchs(found).log_prob(codes)
    torch.testing.assert_close(found.log_ratio(codes), wanted.sum(dim=-1))


def test_draws_are_the_noise_moved_and_stretched() -> None:
    found = posterior()
    assert torch.equal(found.draw(torch.zeros(5, 2, 3).double()), found.mean.expand(5, 2, 3))
    ones = found.draw(torch.ones(1, 2, 3).double())[0]
    torch.testing.assert_close((ones - found.mean).log() * 2, found.log_variance)


def test_it_begins_with_the_priors_deviation_whatever_the_item() -> None:
    found = Gaussian(4, width=3).double().posterior(states([3, 5]))
    assert not found.log_variance.any()
    assert found.mean.any()


@given(st.floats(-1e6, 1e6))
def test_the_variance_is_bounded_softly(raw) -> None:
    latent = Gaussian(1, width=1)
    with torch.no_grad():
        latent.project.bias[1] = raw
    found = latent.posterior(Ragged(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.long)))
    log_variance = found.log_variance.item()
    assert abs(log_variance) <= 10
    assert abs(log_variance - raw) <= abs(raw) ** 3 / 300 + 1e-6, "near zero it is what the map says"
    assert found.kl().isfinite().all()
    assert found.log_ratio(torch.full((1, 1, 1), 5.0)).isfinite().all()


@pytest.mark.parametrize("settings", [{}, {"pooling": "attention"}, {"pooling": "all", "places": 3}])
def test_gradients(settings) -> None:
    latent, x = made(**settings), states([3, 3])
    noise = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def answers(values: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        found = latent.posterior(x.replace(values))
        codes = found.draw(noise)
        return codes, found.kl(), found.log_ratio(codes)

    assert torch.autograd.gradcheck(answers, (x.values.requires_grad_(), *latent.parameters()))


def test_a_call_is_the_mean_and_never_draws() -> None:
    latent, x = made().train(), states([3, 0, 2])
    state = torch.get_rng_state()
    assert torch.equal(latent(x), latent.posterior(x).mean)
    assert torch.equal(latent(x), latent(x))
    assert torch.equal(torch.get_rng_state(), state)
    assert not latent.posterior(x).penalty().any()


def test_autocast_gives_float32() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = Gaussian(4, width=3).posterior(states([2]).replace(torch.randn(2, 4)))
    assert found.mean.dtype == found.log_variance.dtype == torch.float32


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match="width of at least 1"):
        Gaussian(4, width=0)
