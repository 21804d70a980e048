"""Reconstruction: the likelihood of items given their codes, and what may be asked beside it."""

import pytest
import torch

from linear_gaussian import PLACES, WIDTH, Bare, Same, linear_gaussian, strips
from raw2vec.augmentation import add_noise, bend, hide, move
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.latents import Gaussian, Latent, Point, Quantised
from raw2vec.models import Autoencoder, Embedder, GridAutoencoder
from raw2vec.objectives import Reconstruction
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


def batch(count: int = 4, dtype: torch.dtype = torch.float64, **sides: int) -> Batch:
    """Items by role, each side drawn from its own seed."""
    known = sides or {"input": 0}
    return Batch(torch.arange(count), {role: strips(count, seed, dtype) for role, seed in known.items()})


def made(kind: type[Latent] = Point, **settings: object) -> Autoencoder:
    torch.manual_seed(0)
    return linear_gaussian(kind(**{"inputs": 1, "places": PLACES, "width": WIDTH, "pooling": "all", **settings}))


def test_it_is_the_likelihood_of_the_items_given_their_codes() -> None:
    model, items = made(), batch()
    losses = Reconstruction()(model, items, Draws(0))
    x = items.sides["input"]
    assert list(losses) == ["regularized", "penalty", "reconstruction"]
    torch.testing.assert_close(losses["reconstruction"], -model.log_prob(model(x), x).mean())
    assert losses["regularized"] == losses["reconstruction"]


def test_a_gaussian_latent_is_told_from_its_mean() -> None:
    model, items = made(Gaussian), batch()
    x = items.sides["input"]
    losses = [Reconstruction()(model, items, Draws(seed))["reconstruction"] for seed in (0, 1)]
    assert losses[0] == losses[1]
    torch.testing.assert_close(losses[0], -model.log_prob(model(x), x).mean())


def test_every_side_counts() -> None:
    model, objective = made(), Reconstruction("noise", 0.5, sparse=0.1)
    both = objective(model, batch(input=0, target=1), Draws(0))
    alone = [objective(model, batch(**{role: seed}), Draws(0)) for role, seed in (("input", 0), ("target", 1))]
    for name in both:
        torch.testing.assert_close(both[name], (alone[0][name] + alone[1][name]) / 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8])
@pytest.mark.parametrize("corruption", ["noise", "mask"])
def test_the_code_is_of_the_corrupted_item_and_the_likelihood_of_the_whole(corruption: str, dtype) -> None:
    model, items = made(), batch(dtype=dtype)
    x = items.sides["input"]
    if corruption == "noise":
        seen = add_noise(x, items.items, Draws(0), deviation=0.3, purpose="noise on input")
    else:
        seen = hide(x, items.items, Draws(0), rate=0.3, purpose="mask of input")
    assert not torch.equal(seen.values, x.values)
    losses = Reconstruction(corruption, 0.3)(model, items, Draws(0))
    torch.testing.assert_close(losses["reconstruction"], -model.log_prob(model(seen), x).mean())
    assert losses["reconstruction"] != Reconstruction(corruption, 0.3)(model, items, Draws(0, 1))["reconstruction"]


def test_items_are_moved_and_bent_in_training_only() -> None:
    model, items = made(), batch()
    x = items.sides["input"]
    moved = move(x, items.items, Draws(0), reach=1, purpose="move of input")
    bent = bend(moved, items.items, Draws(0), by=0.5, purpose="bend of input")
    assert not bent.values.equal(moved.values)
    objective = Reconstruction(reach=1, bend=0.5)
    for training, seen in ((True, bent), (False, x)):
        losses = objective.train(training)(model, items, Draws(0))
        torch.testing.assert_close(losses["reconstruction"], -model.log_prob(model(seen), seen).mean())


def test_sparsity_is_the_codes_absolute_sum() -> None:
    model, items = made(), batch()
    losses = Reconstruction(sparse=0.2)(model, items, Draws(0))
    torch.testing.assert_close(losses["sparsity"], 0.2 * model(items.sides["input"]).abs().sum(dim=1).mean())
    torch.testing.assert_close(losses["regularized"], losses["reconstruction"] + losses["sparsity"])


def test_contraction_is_the_squared_norm_of_the_jacobian_on_average() -> None:
    """A linear code's Jacobian is its map, whatever the item."""
    model, items = made(), batch(2000)
    losses = Reconstruction(contractive=0.5)(model, items, Draws(0))
    exact = 0.5 * model.latent.project.weight.square().sum().item()
    assert losses["contraction"].item() == pytest.approx(exact, rel=0.1)
    torch.testing.assert_close(losses["regularized"], losses["reconstruction"] + losses["contraction"])
    assert list(losses)[-1] == "reconstruction"


def test_contraction_is_of_each_item_by_itself_and_judged_without_gradient() -> None:
    model, items = made(normalize="unit"), batch()
    objective = Reconstruction(contractive=1.0)
    whole = objective(model, items, Draws(0))["contraction"]
    alone = [
        Batch(items.items[[place]], {"input": items.sides["input"].take(torch.tensor([place]))}) for place in range(4)
    ]
    with torch.no_grad():
        found = torch.stack([objective(model, each, Draws(0))["contraction"] for each in alone])
    torch.testing.assert_close(found.mean(), whole)
    assert found.unique().numel() == 4


def test_missing_numbers_have_no_slope() -> None:
    model, items = made(), batch()
    items.sides["input"].values[3] = torch.nan
    losses = Reconstruction(contractive=1.0)(model, items, Draws(0))
    gradients = torch.autograd.grad(losses["regularized"], list(model.parameters()))
    assert all(value.isfinite().all() for value in (*losses.values(), *gradients))


SETTINGS = [
    {},
    {"corruption": "noise", "rate": 0.5},
    {"corruption": "mask"},
    {"sparse": 0.3, "contractive": 0.2},
    {"corruption": "noise", "contractive": 0.2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", [Point, Gaussian, Quantised])
def test_gradients(kind, settings) -> None:
    model, items = made(kind, **({"normalize": "unit"} if kind is Point else {})), batch(3)
    objective = Reconstruction(**settings)

    def losses(*_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(value for value in objective(model, items, Draws(0)).values() if value.requires_grad)

    assert torch.autograd.gradcheck(losses, tuple(model.parameters()))


def test_a_quantised_latent_is_committed_and_learns_its_codes_once_a_call() -> None:
    model, items = made(Quantised, codes=4), batch()
    losses = Reconstruction(contractive=0.1)(model.train(), items, Draws(0))
    assert int(model.latent.step) == 1
    assert losses["penalty"].requires_grad
    torch.testing.assert_close(
        losses["regularized"], losses["penalty"] + losses["reconstruction"] + losses["contraction"]
    )
    torch.testing.assert_close(losses["codes_in_use"], model.latent.perplexity.mean())
    assert list(losses)[-1] == "reconstruction", "by which held-out items are judged"


def test_attention_can_be_differentiated_twice() -> None:
    class Attending(torch.nn.Module):
        width = 1

        def forward(self, rows: Ragged) -> Ragged:
            q = rows.values.view(len(rows), 1, PLACES, 1)
            mixed = torch.nn.functional.scaled_dot_product_attention(q, q, q)
            return rows.replace(mixed.reshape(-1, 1))

    whole = made()
    model = GridAutoencoder(Embedder(Bare(), Attending(), whole.latent), whole.decoder, whole.readout).double()
    losses = Reconstruction(contractive=1.0)(model, batch(), Draws(0))
    losses["contraction"].backward()
    assert model.latent.project.weight.grad.abs().sum() > 0


def test_what_is_refused() -> None:
    tokens = Batch(torch.arange(1), {"input": Ragged(torch.arange(PLACES), torch.tensor([[PLACES]]))})
    for corruption in ("noise", "mask"):
        with pytest.raises(BadInput, match="'input' holds tokens"):
            Reconstruction(corruption)(made(), tokens, Draws(0))
    with pytest.raises(BadInput, match="corruption 'noise' does much the same"):
        Reconstruction(contractive=1.0)(made(), batch(dtype=torch.uint8), Draws(0))
    with pytest.raises(BadInput, match="give the recipe a decoder"):
        Reconstruction()(Embedder(Bare(), Same(), Point(1)), batch(), Draws(0))
    with pytest.raises(BadInput, match="a mask below 1"):
        Reconstruction("mask", 1.0)
    with pytest.raises(BadInput, match="sparse is -1"):
        Reconstruction(sparse=-1.0)
