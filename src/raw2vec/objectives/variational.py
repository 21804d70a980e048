"""Variational objective: items are told from drawn codes, and codes pay for what they tell (Kingma & Welling 2014)."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.latents import Certain, Posterior
from raw2vec.models import AnyModel, Autoencoder
from raw2vec.objectives.base import Objective, autoencoder
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Told(NamedTuple):
    """What k codes (k, B, L) drawn for B items tell of them: (B, k), (B, k), (B, L) and (B,); nats, all of them.

    The ratios are zeros for the ELBO, which has no use for them.
    """

    log_likelihoods: Tensor
    log_ratios: Tensor
    kl: Tensor
    penalties: Tensor


class Variational(Objective):
    """The negative evidence lower bound, in nats per item.

    Held-out items are judged by it as it is, "negative_elbo", or by the tighter "negative_bound" where that is learned.

    What is minimised, "variational", weighs and bends it:
    samples: codes drawn an item.
    bound: the "elbo", or the tighter one of "importance" weighted samples (Burda et al. 2016): the elbo for one sample,
        and with many nearer and nearer to the likelihood itself.
    beta: how much the codes' cost counts (Higgins et al. 2017).
    warmup: share of the stage in which beta rises from zero (Bowman et al. 2016), so that codes are learned before they
        are dear.
    free_bits: nats that each unit of the code may cost on average, for nothing (Kingma et al. 2016, appendix C.8), so
        that the code is not given up before it is learned.
    To this comes what the latent asks for itself, `Posterior.penalty`.
    """

    needs = "sides"

    def __init__(
        self,
        samples: int = 1,
        bound: Literal["elbo", "importance"] = "elbo",
        beta: float = 1.0,
        warmup: float = 0.0,
        free_bits: float = 0.0,
    ):
        super().__init__()
        if samples < 1:
            raise BadInput(f"A variational objective draws at least 1 sample an item, not {samples}.")
        if min(beta, free_bits, warmup) < 0:
            raise BadInput(
                f"beta is {beta:g}, warmup {warmup:g} and free_bits {free_bits:g}, but none may be below zero."
            )
        if bound == "importance" and free_bits:
            raise BadInput("The importance bound has no cost by unit that could be free: set free_bits to 0.")
        self.samples, self.bound, self.beta, self.free_bits = samples, bound, beta, free_bits
        self.warmup = warmup

    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        sides = [self._told(model, items, batch.items, draws, role) for role, items in batch.sides.items()]
        told = Told(*(torch.cat(each) for each in zip(*sides, strict=True)))
        beta = self.beta * (min(1.0, draws.share / self.warmup) if self.warmup else 1.0)
        kl, reconstruction = told.kl.sum(dim=1).mean(), -told.log_likelihoods.mean()
        judged = {"negative_elbo": reconstruction + kl}
        if self.bound == "importance":
            minimised = -log_mean_exp(told.log_likelihoods + beta * told.log_ratios, dim=1).mean()
            judged["negative_bound"] = -log_mean_exp(told.log_likelihoods + told.log_ratios, dim=1).mean()
        else:
            minimised = reconstruction + beta * told.kl.mean(dim=0).clamp(min=self.free_bits).sum()
        return {
            "variational": minimised + told.penalties.mean(),
            **autoencoder(model, "A variational objective").latent.watched(),
            "kl": kl,
            "reconstruction": reconstruction,
            **judged,
        }

    def _told(self, model: AnyModel, items: Ragged, numbers: Tensor, draws: Draws, role: str) -> Told:
        model = autoencoder(model, "A variational objective")
        posterior = doubtful(model, items)
        width = posterior.mean.shape[1]
        noise = draws.normal(f"codes of {role}", numbers, self.samples * width).to(posterior.mean.dtype)
        codes = posterior.draw(noise.view(-1, self.samples, width).transpose(0, 1))
        likelihoods = log_likelihoods(model, codes, items)
        ratios = posterior.log_ratio(codes) if self.bound == "importance" else torch.zeros_like(likelihoods)
        return Told(likelihoods.T, ratios.T, posterior.kl(), posterior.penalty())


def doubtful(model: Autoencoder, items: Ragged) -> Posterior:
    """The posterior of the items' codes; BadInput for a latent that has none but the point itself."""
    posterior = model.latent.posterior(model.contextual(items))
    if isinstance(posterior, Certain):
        raise BadInput("A likelihood needs a latent that says how sure it is: choose latent 'gaussian', not 'point'.")
    return posterior


def log_likelihoods(model: Autoencoder, codes: Tensor, items: Ragged) -> Tensor:
    """log p(x | z) of each item under each of its k codes (k, B, L): (k, B) nats."""
    count = len(codes)
    repeated = items if count == 1 else items.take(torch.arange(len(items)).repeat(count))
    return model.log_prob(codes.flatten(0, 1), repeated).view(count, len(items))


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """The logarithm of the mean of the exponentials along `dim`."""
    return values.logsumexp(dim) - math.log(values.shape[dim])
