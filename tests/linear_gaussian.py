"""The autoencoder whose marginal likelihood is known: strips of numbers, x = W z + b + noise (probabilistic PCA)."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from raw2vec.decoders import Decoder
from raw2vec.embedding import Embedding
from raw2vec.latents import Gaussian, Latent
from raw2vec.models import Autoencoder, Embedder, GridAutoencoder
from raw2vec.ragged import Ragged
from raw2vec.readout import Readout

PLACES, WIDTH, DEVIATION = 5, 2, 0.5


class Bare(Embedding):
    """Numbers (N, 1) as they are, in 255ths where they are pixels; what is missing as zero."""

    width = 1

    def forward(self, items: Ragged) -> Ragged:
        values = items.values.double() / 255 if items.values.dtype == torch.uint8 else items.values
        return items.replace(values.nan_to_num())

    def grids(self, shapes: Tensor) -> Tensor:
        return shapes


class Same(nn.Module):
    """An encoder that does nothing."""

    width = 1

    def forward(self, rows: Ragged) -> Ragged:
        return rows


class Loadings(Decoder):
    """W z + b, one row a place: W has orthogonal columns, so that the exact posterior's units are independent."""

    def __init__(self) -> None:
        super().__init__(latent=WIDTH, width=1)
        generator = torch.Generator().manual_seed(1)
        columns = torch.linalg.qr(torch.randn(PLACES, WIDTH, generator=generator)).Q
        self.weight = nn.Parameter(columns * torch.tensor([1.5, 0.7]))
        self.bias = nn.Parameter(torch.randn(PLACES, generator=generator))

    def forward(self, codes: Tensor, shapes: Tensor, before: Ragged | None = None) -> Ragged:
        return Ragged((codes @ self.weight.T + self.bias).reshape(-1, 1), shapes)


class Noisy(Readout):
    """Normal about the states."""

    def log_prob(self, states: Ragged, items: Ragged) -> Tensor:
        values = items.values / 255 if items.values.dtype == torch.uint8 else items.values
        missing = values.isnan()
        squares = ((values.nan_to_num() - states.values) / DEVIATION).square()
        return -0.5 * (squares + math.log(2 * math.pi * DEVIATION**2)).masked_fill(missing, 0.0).sum(dim=1)

    def mode(self, states: Ragged, shapes: Tensor) -> Ragged:
        return states

    def sample(self, states: Ragged, shapes: Tensor, luck: Tensor) -> Ragged:
        return states


def linear_gaussian(latent: Latent | None = None) -> Autoencoder:
    """In float64 and eval mode. Its latent, unless given, is the exact posterior."""
    model = GridAutoencoder(Embedder(Bare(), Same(), latent or Gaussian(1, PLACES, WIDTH, "all")), Loadings(), Noisy())
    model = model.double().eval()
    if latent is None:
        _make_exact(model)
    return model


def strips(count: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Ragged:
    """Items of PLACES numbers."""
    values = torch.randn(count * PLACES, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values = (values * 40 + 128).clamp(0, 255).to(dtype) if dtype == torch.uint8 else values.to(dtype)
    return Ragged(values, torch.full((count, 1), PLACES))


def marginal(model: Autoencoder, items: Ragged) -> Tensor:
    """log p(x), exactly: x is normal about b with covariance W W' + noise."""
    weight, bias = model.decoder.weight, model.decoder.bias
    covariance = weight @ weight.T + DEVIATION**2 * torch.eye(PLACES, dtype=weight.dtype)
    return MultivariateNormal(bias, covariance).log_prob(items.values.view(-1, PLACES))


@torch.no_grad()
def _make_exact(model: Autoencoder) -> None:
    weight, bias, project = model.decoder.weight, model.decoder.bias, model.latent.project
    variance = 1 / (1 + weight.square().sum(dim=0) / DEVIATION**2)
    toward = variance[:, None] * weight.T / DEVIATION**2
    project.weight.copy_(torch.cat([toward, torch.zeros_like(toward)]))
    project.bias.copy_(torch.cat([-toward @ bias, 10 * (variance.log() / 10).atanh()]))
