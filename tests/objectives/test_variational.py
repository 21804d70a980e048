"""The variational objective against a model whose posterior and marginal likelihood are known exactly."""

import math

import pytest
import torch

from linear_gaussian import PLACES, WIDTH, Bare, Same, linear_gaussian, marginal, strips
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.latents import Gaussian, Point, Quantised
from raw2vec.models import Autoencoder, Embedder
from raw2vec.objectives import Variational
from raw2vec.seeding import Draws


def batch(count: int = 4, **sides: int) -> Batch:
    """Items by role, each side drawn from its own seed."""
    return Batch(torch.arange(count), {role: strips(count, seed) for role, seed in (sides or {"input": 0}).items()})


def doubtful_model() -> Autoencoder:
    """One whose posterior is not the exact one: there is a gap to close."""
    torch.manual_seed(0)
    model = linear_gaussian(Gaussian(1, PLACES, WIDTH, "all"))
    torch.nn.init.normal_(model.latent.project.weight, std=0.3)
    return model


def test_with_the_exact_posterior_every_importance_bound_is_the_marginal() -> None:
    model, items = linear_gaussian(), batch()
    for samples in (1, 3):
        losses = Variational(samples, "importance")(model, items, Draws(0))
        torch.testing.assert_close(-losses["variational"], marginal(model, items.sides["input"]).mean())


def test_with_the_exact_posterior_the_elbo_is_the_marginal_on_average() -> None:
    model, items = linear_gaussian(), batch()
    draws = [Variational(50)(model, items, Draws(seed))["negative_elbo"] for seed in range(100)]
    found = torch.stack(draws).detach()
    error = float(found.std()) / len(found) ** 0.5
    assert abs(float(found.mean() + marginal(model, items.sides["input"]).mean().detach())) < 4 * error
    assert error < 0.02


def test_the_importance_bound_rises_with_samples_up_to_the_marginal() -> None:
    model, items = doubtful_model(), batch(40)
    bounds = [-Variational(k, "importance")(model, items, Draws(0))["variational"].item() for k in (1, 5, 50, 2000)]
    exact = marginal(model, items.sides["input"]).mean().item()
    assert bounds == sorted(bounds)
    assert bounds[0] < exact - 0.5, "there is a gap,"
    assert bounds[-1] == pytest.approx(exact, abs=0.05), "and it closes"


def test_one_importance_sample_is_the_elbo_on_average() -> None:
    model, items = doubtful_model(), batch()
    found = [Variational(1, "importance")(model, items, Draws(seed)) for seed in range(500)]
    gaps = torch.stack([losses["variational"] - losses["negative_elbo"] for losses in found]).detach()
    assert abs(float(gaps.mean())) < 4 * float(gaps.std()) / len(gaps) ** 0.5


def test_what_is_minimised_and_what_judges() -> None:
    model, items = doubtful_model(), batch()
    losses = Variational(beta=3.0)(model, items, Draws(0))
    assert list(losses) == ["variational", "kl", "reconstruction", "negative_elbo"]
    kl = model.latent.posterior(items.sides["input"]).kl()
    torch.testing.assert_close(losses["kl"], kl.sum(dim=1).mean())
    torch.testing.assert_close(losses["variational"], losses["reconstruction"] + 3 * losses["kl"])
    torch.testing.assert_close(losses["negative_elbo"], losses["reconstruction"] + losses["kl"])
    plain = Variational()(model, items, Draws(0))
    torch.testing.assert_close(plain["variational"], plain["negative_elbo"])


def test_held_out_items_are_judged_by_the_bound_that_is_learned() -> None:
    model, items = doubtful_model(), batch()
    tight = Variational(20, "importance", beta=0.5)(model, items, Draws(0))
    name, bound = list(tight.items())[-1]
    assert name == "negative_bound"
    assert bound < tight["negative_elbo"]
    torch.testing.assert_close(bound, Variational(20, "importance")(model, items, Draws(0))["variational"])
    assert list(Variational(20)(model, items, Draws(0)))[-1] == "negative_elbo"


def test_free_bits_cost_nothing_and_pull_nothing() -> None:
    model, items = doubtful_model(), batch()
    units = model.latent.posterior(items.sides["input"]).kl().mean(dim=0).detach()
    low, high = units.sort().values.tolist()
    free = (low + high) / 2
    losses = Variational(free_bits=free)(model, items, Draws(0))
    assert (losses["variational"] - losses["reconstruction"]).item() == pytest.approx(free + high)
    torch.testing.assert_close(losses["negative_elbo"], losses["reconstruction"] + losses["kl"])
    all_free = Variational(free_bits=2 * high)(model, items, Draws(0))
    bias = model.latent.project.bias
    (pull,) = torch.autograd.grad(all_free["variational"] - all_free["reconstruction"], bias, allow_unused=True)
    assert pull is None or pull.abs().max() < 1e-12


def test_every_side_counts_with_draws_of_its_own() -> None:
    model = doubtful_model()
    both = Variational()(model, batch(input=0, target=1), Draws(0))
    alone = [Variational()(model, batch(**{role: seed}), Draws(0)) for role, seed in (("input", 0), ("target", 1))]
    for name in both:
        torch.testing.assert_close(both[name], (alone[0][name] + alone[1][name]) / 2)
    same = [Variational()(model, batch(**{role: 0}), Draws(0))["reconstruction"].item() for role in ("input", "target")]
    assert same[0] != same[1]


def test_an_items_draw_is_its_own() -> None:
    model, items = doubtful_model(), batch(6)
    whole = Variational(2)(model, items, Draws(3))["negative_elbo"]
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = Batch(items.items[order], {"input": items.sides["input"].take(order)})
    torch.testing.assert_close(Variational(2)(model, shuffled, Draws(3))["negative_elbo"], whole)
    assert Variational(2)(model, items, Draws(3, 1))["negative_elbo"] != whole


@pytest.mark.parametrize(
    "settings",
    [{}, {"samples": 3, "beta": 0.5}, {"samples": 3, "bound": "importance", "beta": 2.0}, {"free_bits": 0.4}],
    ids=str,
)
def test_gradients(settings) -> None:
    model, items = doubtful_model(), batch(3)
    objective = Variational(**settings)

    def losses(*_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(objective(model, items, Draws(0)).values())

    assert torch.autograd.gradcheck(losses, tuple(model.parameters()))


def test_a_quantised_code_pays_for_its_name_and_is_committed() -> None:
    torch.manual_seed(0)
    latent = Quantised(1, PLACES, WIDTH, codes=4, groups=2, pooling="all")
    model, items = linear_gaussian(latent), batch()
    losses = Variational()(model, items, Draws(0))
    assert losses["kl"].item() == pytest.approx(2 * math.log(4))
    posterior = latent.posterior(items.sides["input"])
    torch.testing.assert_close(losses["variational"], losses["negative_elbo"] + posterior.penalty().mean())
    told = -model.log_prob(posterior.mean, items.sides["input"]).mean()
    torch.testing.assert_close(losses["reconstruction"], told)
    torch.testing.assert_close(losses["codes_in_use"], latent.perplexity.mean())


def test_what_is_refused() -> None:
    with pytest.raises(BadInput, match="choose latent 'gaussian'"):
        Variational()(linear_gaussian(Point(1, WIDTH)), batch(), Draws(0))
    with pytest.raises(BadInput, match="give the recipe a decoder"):
        Variational()(Embedder(Bare(), Same(), Point(1)), batch(), Draws(0))
    with pytest.raises(BadInput, match="at least 1 sample"):
        Variational(samples=0)
    with pytest.raises(BadInput, match="beta is -1"):
        Variational(beta=-1.0)
    with pytest.raises(BadInput, match="set free_bits to 0"):
        Variational(bound="importance", free_bits=0.1)
