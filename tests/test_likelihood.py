import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.likelihood import Bernoulli, Categorical, DiscretisedLogistic, Gaussian, Likelihood, drawn

MAKERS: list[Callable[[], Likelihood]] = [
    Bernoulli,
    lambda: Gaussian(0.7),
    lambda: Gaussian(0.7, "learned"),
    lambda: DiscretisedLogistic(5),
    lambda: Categorical(5),
]
NAMES = ["bernoulli", "gaussian", "learned gaussian", "discretised logistic", "categorical"]
every_likelihood = pytest.mark.parametrize("make", MAKERS, ids=NAMES)
every_discrete = pytest.mark.parametrize("levels", [2, 5, 256])


def parameters(likelihood: Likelihood, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, likelihood.parameters_each, generator=generator, dtype=torch.float64)


def values(*shape: int) -> Tensor:
    """On the grid of five levels, so that every likelihood takes them."""
    return torch.randint(5, shape, generator=torch.Generator().manual_seed(9)).double() / 4


def evenly(count: int) -> Tensor:
    """Luck of every size, as many of each."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


@every_likelihood
def test_gradients(make: Callable[[], Likelihood]) -> None:
    likelihood = make().double()
    given = parameters(likelihood, 3, 2).requires_grad_()
    own = tuple(likelihood.parameters())
    assert torch.autograd.gradcheck(lambda *_: likelihood.log_prob(given, values(3, 2)), (given, *own))


@every_likelihood
def test_what_is_missing_says_nothing(make: Callable[[], Likelihood]) -> None:
    likelihood = make().double()
    given = parameters(likelihood, 3, 2).requires_grad_()
    target = values(3, 2)
    whole = likelihood.log_prob(given, target).detach()
    target[1] = math.nan
    found = likelihood.log_prob(given, target)
    assert found[1].tolist() == [0.0, 0.0]
    assert found[[0, 2]].equal(whole[[0, 2]])
    found.sum().backward()
    assert given.grad is not None
    assert given.grad.isfinite().all()
    assert not given.grad[1].any()
    assert given.grad[[0, 2]].any()
    assert all(parameter.grad.isfinite() for parameter in likelihood.parameters() if parameter.grad is not None)


@every_likelihood
def test_narrow_numbers_are_widened(make: Callable[[], Likelihood]) -> None:
    likelihood = make()
    given = parameters(likelihood, 4).bfloat16()
    assert likelihood.log_prob(given, values(4).bfloat16()).dtype == torch.float32
    assert likelihood.mode(given).dtype == torch.float32
    assert likelihood.sample(given, torch.full((4,), 0.25)).dtype == torch.float32


@every_likelihood
def test_any_luck_gives_a_finite_value(make: Callable[[], Likelihood]) -> None:
    likelihood = make()
    given = parameters(likelihood, 2).float().expand(3, 2, -1)
    luck = torch.tensor([0.0, 0.5, 1 - 2.0**-24])[:, None].expand(3, 2)
    drawn_values = likelihood.sample(given, luck)
    assert drawn_values.shape == (3, 2)
    assert drawn_values.isfinite().all()
    assert drawn_values.equal(likelihood.sample(given, luck))


@every_discrete
@pytest.mark.parametrize("kind", [DiscretisedLogistic, Categorical])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_all_levels_together_are_certain(kind: type[Categorical], levels: int, spread: float) -> None:
    likelihood = kind(levels)
    given = (parameters(likelihood, 50) * spread)[:, None].expand(50, levels, -1)
    grid = torch.linspace(0, 1, levels, dtype=torch.float64).expand(50, levels)
    found = likelihood.log_prob(given, grid)
    assert found.isfinite().all()
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(50, dtype=torch.float64))


@every_discrete
@pytest.mark.parametrize("kind", [DiscretisedLogistic, Categorical])
def test_samples_are_as_frequent_as_they_are_likely(kind: type[Categorical], levels: int) -> None:
    likelihood, count = kind(levels), 20_000
    given = parameters(likelihood, seed=levels)
    samples = likelihood.sample(given.expand(count, -1), evenly(count))
    seen = torch.bincount((samples * (levels - 1)).round().long(), minlength=levels) / count
    grid = torch.linspace(0, 1, levels, dtype=torch.float64)
    likely = likelihood.log_prob(given.expand(levels, -1), grid).exp()
    torch.testing.assert_close(seen.double(), likely, atol=2 / count, rtol=0)


def test_bernoulli_by_hand() -> None:
    logits = torch.tensor([[0.3], [-2.0], [50.0]], dtype=torch.float64)
    expected = stats.bernoulli.logpmf([1, 0, 1], torch.sigmoid(logits).squeeze(1).numpy())
    found = Bernoulli().log_prob(logits, torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(found, torch.from_numpy(expected))
    assert Bernoulli().sample(torch.tensor([[0.0], [0.0]]), torch.tensor([0.49, 0.51])).tolist() == [1.0, 0.0]
    assert Bernoulli().mode(torch.zeros(2, 1)).tolist() == [0.5, 0.5]


def test_bernoulli_of_a_grey_value_is_what_its_chances_expect() -> None:
    logit, grey = torch.tensor([[0.8]]), torch.tensor([0.3])
    black, white = (Bernoulli().log_prob(logit, torch.tensor([end])) for end in (0.0, 1.0))
    torch.testing.assert_close(Bernoulli().log_prob(logit, grey), 0.7 * black + 0.3 * white)


@pytest.mark.parametrize("scale", ["fixed", "learned"])
def test_gaussian_by_hand(scale: str) -> None:
    gaussian, means = Gaussian(0.5, scale).double(), torch.tensor([[0.0], [1.0], [-3.0]]).double()
    found = gaussian.log_prob(means, torch.tensor([0.2, 1.0, 4.0]).double())
    expected = stats.norm.logpdf([0.2, 1.0, 4.0], [0.0, 1.0, -3.0], 0.5)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-5, atol=1e-5)
    luck = torch.tensor([0.1, 0.5, 0.9]).double()
    expected = stats.norm.ppf(luck.numpy(), [0.0, 1.0, -3.0], 0.5)
    torch.testing.assert_close(gaussian.sample(means, luck), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)
    assert gaussian.mode(means).equal(means.squeeze(1))


def test_a_learned_deviation_finds_the_datas_own() -> None:
    gaussian = Gaussian(1.0, "learned")
    target = 0.3 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.LBFGS(gaussian.parameters(), max_iter=50)

    def loss() -> Tensor:
        optimiser.zero_grad()
        found = -gaussian.log_prob(torch.zeros(2000, 1), target).mean()
        found.backward()
        return found

    optimiser.step(loss)
    assert gaussian.deviation.item() == pytest.approx(target.square().mean().sqrt().item(), rel=1e-3)


def test_a_learned_deviation_never_falls_through_its_floor() -> None:
    gaussian = Gaussian(1.0, "learned")
    with torch.no_grad():
        gaussian.log_excess.fill_(-200.0)
    assert gaussian.deviation.item() == pytest.approx(1e-3)
    assert gaussian.log_prob(torch.zeros(1, 1), torch.zeros(1)).isfinite().all()


def test_a_fixed_deviation_is_no_weight() -> None:
    assert not list(Gaussian(0.5).parameters())
    assert not Gaussian(0.5).state_dict()
    assert [p.shape for p in Gaussian(0.5, "learned").parameters()] == [torch.Size([])]


def test_discretised_logistic_by_hand() -> None:
    likelihood, given = DiscretisedLogistic(5), torch.tensor([-0.1, 0.4]).double()
    logistic = stats.logistic(loc=0.4, scale=math.exp(-1.6))
    edges = [0.0, *logistic.cdf([0.125, 0.375, 0.625, 0.875]), 1.0]
    expected = torch.tensor([math.log(high - low) for low, high in pairwise(edges)]).double()
    found = likelihood.log_prob(given.expand(5, -1), torch.linspace(0, 1, 5))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert likelihood.mode(given).item() == 0.5


def test_discretised_logistic_far_out_is_finite_in_float32() -> None:
    """Where a difference of sigmoids would be zero, and its logarithm infinite."""
    given = torch.tensor([[0.5, -100.0], [-40.0, 0.0], [0.0, 100.0]], requires_grad=True)
    found = DiscretisedLogistic().log_prob(given, torch.tensor([0.5, 0.5, 0.5]))
    assert found.isfinite().all()
    assert (found < 0).all()
    found.sum().backward()
    assert given.grad is not None
    assert given.grad.isfinite().all()


def test_categorical_by_hand() -> None:
    logits = torch.tensor([0.1, 0.2, 0.7]).log()
    likelihood = Categorical(3)
    torch.testing.assert_close(likelihood.log_prob(logits, torch.tensor(0.5)), torch.tensor(0.2).log())
    assert likelihood.mode(logits).item() == 1.0
    assert likelihood.sample(logits.expand(3, -1), torch.tensor([0.05, 0.15, 0.35])).tolist() == [0.0, 0.5, 1.0]


def test_an_outcome_without_a_chance_is_not_drawn() -> None:
    logits = torch.tensor([-math.inf, 0.0, -math.inf]).expand(2, 3)
    assert drawn(logits, torch.tensor([0.0, 0.5])).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Gaussian(0.0), "deviation is 0.0.*above 0"),
        (lambda: Gaussian(math.nan), "deviation is nan"),
        (lambda: Gaussian(1e-4, "learned"), "above 0.001"),
        (lambda: Gaussian(1.0, "free"), "'fixed' or 'learned', not 'free'"),
        (lambda: Categorical(1), "levels is 1"),
        (lambda: DiscretisedLogistic(0), "levels is 0"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], Likelihood], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        make()
