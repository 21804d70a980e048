"""Likelihoods by sampling, against a model whose marginal likelihood is known exactly."""

import pytest
import torch
from torch import Tensor

from linear_gaussian import WIDTH, linear_gaussian, marginal, strips
from raw2vec.errors import BadInput
from raw2vec.latents import Point
from raw2vec.models import Autoencoder
from raw2vec.use.likelihood import elbo, marginal_log_likelihood, unit_costs

NUMBERS = torch.arange(7) * 3


def doubtful_model() -> Autoencoder:
    """One whose posterior is beside the exact one, and wider."""
    model = linear_gaussian()
    project = model.latent.project
    with torch.no_grad():
        project.weight.add_(torch.randn(project.weight.shape, generator=torch.Generator().manual_seed(0)), alpha=0.05)
        project.bias[WIDTH:].add_(0.3)
    return model


def estimate(model: Autoencoder, samples: int, **options: int) -> Tensor:
    return marginal_log_likelihood(model, strips(7), NUMBERS, samples, **{"seed": 0, **options})


def test_one_sample_of_the_exact_posterior_is_enough() -> None:
    model = linear_gaussian()
    found = estimate(model, 1)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, marginal(model, strips(7)))


def test_many_samples_meet_the_marginal_and_the_elbo_stays_below() -> None:
    model = doubtful_model()
    exact = marginal(model, strips(7))
    torch.testing.assert_close(estimate(model, 5000, chunk=7000), exact, atol=0.03, rtol=0)
    bound = elbo(model, strips(7), NUMBERS, 2000, seed=0, chunk=7000)
    assert (bound < exact).all()
    cost = model.latent.posterior(strips(7)).kl().sum(dim=1)
    torch.testing.assert_close(unit_costs(model, strips(7), chunk=3).sum(dim=1), cost)
    single = torch.stack([elbo(model, strips(7), NUMBERS, 1, seed=seed) for seed in range(400)])
    error = single.std(dim=0) / 20
    assert ((single.mean(dim=0) - bound).abs() < 4 * error).all(), "one sample says the same on average"


@pytest.mark.parametrize("chunk", [1, 3, 7, 20, 1000])
def test_chunks_and_batch_mates_make_no_difference(chunk: int) -> None:
    model = doubtful_model()
    for measure in (marginal_log_likelihood, elbo):
        whole = measure(model, strips(7), NUMBERS, 11, 5, 1000)
        torch.testing.assert_close(measure(model, strips(7), NUMBERS, 11, 5, chunk), whole)
        order = torch.tensor([6, 2, 0])
        torch.testing.assert_close(measure(model, strips(7).take(order), NUMBERS[order], 11, 5, chunk), whole[order])


def test_another_seed_is_another_estimate_and_the_global_generator_is_left_alone() -> None:
    model, state = doubtful_model(), torch.get_rng_state()
    assert torch.equal(estimate(model, 5), estimate(model, 5))
    assert not torch.equal(estimate(model, 5), estimate(model, 5, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert not estimate(model, 5).requires_grad


def test_very_unlikely_items_stay_finite() -> None:
    items = strips(7)
    items.values.mul_(1e3)
    found = marginal_log_likelihood(linear_gaussian().float(), items.replace(items.values.float()), NUMBERS, 10, seed=0)
    assert found.isfinite().all()
    assert (found < -1e5).all()


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match="choose latent 'gaussian'"):
        marginal_log_likelihood(linear_gaussian(Point(1, WIDTH)), strips(7), NUMBERS, 5, seed=0)
    with pytest.raises(BadInput, match="at least 1 sample"):
        estimate(linear_gaussian(), 0)
    with pytest.raises(BadInput, match="chunk of at least 1"):
        elbo(linear_gaussian(), strips(7), NUMBERS, 1, seed=0, chunk=0)
