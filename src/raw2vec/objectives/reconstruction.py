"""Reconstruction: an item is told from its code alone, whole or from a corrupted look at it (Vincent et al. 2008)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from raw2vec.augmentation import add_noise, bend, hide, move
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.latents import Posterior
from raw2vec.models import AnyModel, Autoencoder
from raw2vec.objectives.base import Objective, autoencoder
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Reconstruction(Objective):
    """The mean negative log-likelihood of items given their codes, in nats per item; held-out items are judged by it.

    What is minimised, "regularized", is the sum of the other losses, each as it counts there: "reconstruction" itself;
    "penalty", what the latent asks for itself; and those that are asked for here:
    corruption: the code is made from a corrupted item, the likelihood is the whole one's: "noise" of deviation `rate`
        on every number (pixels count as 255ths), or a "mask" that leaves out a share `rate` of them.
    sparse: how much the code's absolute sum counts, "sparsity".
    reach: in training, items are moved by up to so many rows along every axis of their grid, which makes more of them;
        held-out items stay where they are.
    bend: in training, items are seen through a smooth distortion of their grid that moves rows by about so many; pixels
        and numbers only. See augmentation.bend.
    contractive: how much the squared norm of the code's Jacobian by the item's numbers counts, "contraction" (Rifai et
        al. 2011), by Hutchinson's estimate (1990) from one seeded direction an item. For items of numbers only.
    """

    needs = "sides"

    def __init__(
        self,
        corruption: Literal["none", "noise", "mask"] = "none",
        rate: float = 0.25,
        sparse: float = 0.0,
        contractive: float = 0.0,
        reach: int = 0,
        bend: float = 0.0,
    ):
        super().__init__()
        if min(reach, bend) < 0:
            raise BadInput(f"Items cannot be moved by {min(reach, bend):g} rows: give a reach or a bend of 0 or more.")
        if rate < 0 or (corruption == "mask" and rate >= 1):
            raise BadInput(f"A corruption's rate of {rate:g} is out of range: noise takes 0 or more, a mask below 1.")
        if sparse < 0 or contractive < 0:
            raise BadInput(f"sparse is {sparse:g} and contractive is {contractive:g}, but neither may be below zero.")
        self.corruption, self.rate, self.sparse, self.contractive = corruption, rate, sparse, contractive
        self.reach, self.bend = reach, bend

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        sides = [self._costs(model, items, batch.items, draws, role) for role, items in batch.sides.items()]
        losses = {name: torch.cat([costs[name] for costs in sides]).mean() for name in sides[0]}
        watched = autoencoder(model, "Reconstruction").latent.watched()
        return {"regularized": torch.stack(list(losses.values())).sum(), **watched, **losses}

    def _costs(self, model: AnyModel, items: Ragged, numbers: Tensor, draws: Draws, role: str) -> dict[str, Tensor]:
        """What each item costs, by the losses' names, (B,) each."""
        model = autoencoder(model, "Reconstruction")
        if self.training:
            items = self._moved(items, numbers, draws, role)
        seen = self._corrupted(items, numbers, draws, role)
        costs = {}
        if self.contractive:
            directions = draws.normal(f"direction for {role}", numbers, model.latent.width)
            posterior, contraction = with_contraction(model, seen, directions)
            costs["contraction"] = self.contractive * contraction
        else:
            posterior = model.latent.posterior(model.contextual(seen))
        if self.sparse:
            costs["sparsity"] = self.sparse * posterior.mean.abs().sum(dim=1)
        return {**costs, "penalty": posterior.penalty(), "reconstruction": -model.log_prob(posterior.mean, items)}

    def _moved(self, items: Ragged, numbers: Tensor, draws: Draws, role: str) -> Ragged:
        if self.reach:
            items = move(items, numbers, draws, reach=self.reach, purpose=f"move of {role}")
        return bend(items, numbers, draws, by=self.bend, purpose=f"bend of {role}") if self.bend else items

    def _corrupted(self, items: Ragged, numbers: Tensor, draws: Draws, role: str) -> Ragged:
        if self.corruption == "none":
            return items
        if items.values.dtype != torch.uint8 and not items.values.is_floating_point():
            raise BadInput(
                f"Corruption '{self.corruption}' is for pixels and numbers, but '{role}' holds tokens: set corruption "
                f"to 'none', or take objective 'masked'."
            )
        if self.corruption == "noise":
            return add_noise(items, numbers, draws, deviation=self.rate, purpose=f"noise on {role}")
        return hide(items, numbers, draws, rate=self.rate, purpose=f"mask of {role}")


def with_contraction(model: Autoencoder, items: Ragged, directions: Tensor) -> tuple[Posterior, Tensor]:
    """The posterior, and the squared norm of directions (B, L) times the code's Jacobian by the items, (B,).

    Over standard normal directions its mean is the Jacobian's own squared norm. BadInput for items that are no numbers.
    """
    if not items.values.is_floating_point():
        raise BadInput(
            "A contractive penalty needs items of numbers that can be moved a little, but these are tokens or pixels: "
            "set contractive to 0; for pixels, corruption 'noise' does much the same."
        )
    values = items.values.detach().requires_grad_()
    # Of attention's kernels only the plain one can be differentiated twice. Held-out items are judged without gradient.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        posterior = model.latent.posterior(model.contextual(items.replace(values)))
        along = (posterior.mean * directions).sum()
        if not along.requires_grad:  # a code that jumps and does not move
            return posterior, along.new_zeros(len(items))
        (slopes,) = torch.autograd.grad(along, values, create_graph=True)
    return posterior, items.replace(slopes.flatten(1).square().sum(dim=1)).sum()
