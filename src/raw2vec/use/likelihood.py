"""How likely a model finds items: the marginal likelihood by sampling, its lower bound, and a code's cost."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.latents import Posterior
from raw2vec.models import Autoencoder
from raw2vec.objectives.variational import doubtful, log_likelihoods, log_mean_exp
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Bounds(NamedTuple):
    """What is known of log p(x) of each item, (B,) float64 nats each, from the same draws of its code.

    elbo: the evidence lower bound. log_likelihood: the importance-weighted estimate (Burda et al. 2016, equation 8),
    which is too low on average, and the less so the more draws there are.
    """

    elbo: Tensor
    log_likelihood: Tensor


@torch.no_grad()
def bounds(
    model: Autoencoder,
    items: Ragged,
    numbers: Tensor,
    samples: int,
    seed: int,
    chunk: int = 256,
    progress: Callable[[int], None] = lambda items: None,
) -> Bounds:
    """Both bounds of each item from `samples` draws of its code.

    numbers (B,) are the items' own, to which the draws are keyed; `chunk` is how many codes are decoded at a time, and
    `progress` hears how many items were just done. Neither chunk nor batch mates make a difference. BadInput for a
    latent without doubt, and for fewer than one sample.
    """
    found = []
    for part, keys in _parts(items, numbers, samples, chunk):
        posterior = doubtful(model, part)
        told, ratios = [], []
        for codes in _codes(posterior, keys, samples, seed, chunk):
            told.append(log_likelihoods(model, codes, part).double())
            ratios.append(posterior.log_ratio(codes).double())
        likelihoods, cost = torch.cat(told), posterior.kl().double().sum(dim=1)
        weighted = log_mean_exp(likelihoods + torch.cat(ratios), dim=0)
        found.append(Bounds(likelihoods.mean(dim=0) - cost, weighted))
        progress(len(part))
    return Bounds(*(torch.cat(each) for each in zip(*found, strict=True)))


def marginal_log_likelihood(
    model: Autoencoder, items: Ragged, numbers: Tensor, samples: int, seed: int, chunk: int = 256
) -> Tensor:
    """log p(x) of each item, (B,) float64 nats, by importance sampling; see `bounds`."""
    return bounds(model, items, numbers, samples, seed, chunk).log_likelihood


def elbo(model: Autoencoder, items: Ragged, numbers: Tensor, samples: int, seed: int, chunk: int = 256) -> Tensor:
    """The evidence lower bound of each item, (B,) float64 nats; see `bounds`."""
    return bounds(model, items, numbers, samples, seed, chunk).elbo


@torch.no_grad()
def unit_costs(model: Autoencoder, items: Ragged, chunk: int = 256) -> Tensor:
    """What each unit of the codes costs, KL(q || p), (B, L) float64 nats. BadInput for a latent without doubt."""
    return torch.cat([doubtful(model, part).kl().double() for part in items.split(chunk)])


def _parts(items: Ragged, numbers: Tensor, samples: int, chunk: int) -> Iterator[tuple[Ragged, Tensor]]:
    """At most `chunk` items at a time, and their numbers."""
    if samples < 1 or chunk < 1:
        raise BadInput(f"A likelihood takes at least 1 sample and a chunk of at least 1, not {samples} and {chunk}.")
    return zip(items.split(chunk), numbers.split(chunk), strict=True)


def _codes(posterior: Posterior, numbers: Tensor, samples: int, seed: int, chunk: int) -> Iterator[Tensor]:
    """Codes (k, B, L), as many at a time as make no more than `chunk` together, until there are `samples` an item."""
    count, width = posterior.mean.shape
    draws, each = Draws(seed), max(1, chunk // max(count, 1))
    for start in range(0, samples, each):
        places = range(start, min(start + each, samples))
        noise = torch.stack([draws.normal(f"sample {place}", numbers, width) for place in places])
        yield posterior.draw(noise.to(posterior.mean))
