"""How likely a model finds items: the marginal likelihood by sampling, its lower bound, and a code's cost."""

from collections.abc import Iterator

import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.latents import Posterior
from raw2vec.models import Autoencoder
from raw2vec.objectives.variational import doubtful, log_likelihoods, log_mean_exp
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


@torch.no_grad()
def marginal_log_likelihood(
    model: Autoencoder, items: Ragged, numbers: Tensor, samples: int, seed: int, chunk: int = 256
) -> Tensor:
    """log p(x) of each item, (B,) float64 nats: the importance-weighted estimate (Burda et al. 2016, equation 8).

    On average it is too low, and the less so the more `samples` there are. numbers (B,) are the items' own, to which
    the draws are keyed; `chunk` is how many codes are decoded at a time. Neither it nor batch mates make a difference.
    BadInput for a latent without doubt, and for fewer than one sample.
    """
    found = []
    for part, keys in _parts(items, numbers, samples, chunk):
        posterior = doubtful(model, part)
        weights = [
            log_likelihoods(model, codes, part).double() + posterior.log_ratio(codes).double()
            for codes in _codes(posterior, keys, samples, seed, chunk)
        ]
        found.append(log_mean_exp(torch.cat(weights), dim=0))
    return torch.cat(found)


@torch.no_grad()
def elbo(model: Autoencoder, items: Ragged, numbers: Tensor, samples: int, seed: int, chunk: int = 256) -> Tensor:
    """The evidence lower bound of each item, (B,) float64 nats; its arguments are those of the marginal likelihood."""
    found = []
    for part, keys in _parts(items, numbers, samples, chunk):
        posterior = doubtful(model, part)
        told = [log_likelihoods(model, codes, part).double() for codes in _codes(posterior, keys, samples, seed, chunk)]
        found.append(torch.cat(told).mean(dim=0) - posterior.kl().double().sum(dim=1))
    return torch.cat(found)


@torch.no_grad()
def code_cost(model: Autoencoder, items: Ragged) -> Tensor:
    """What the code of each item costs, KL(q || p), (B,) float64 nats. BadInput for a latent without doubt."""
    return doubtful(model, items).kl().double().sum(dim=1)


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
