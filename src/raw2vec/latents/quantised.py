"""The vector-quantised latent: an item is a few words of a learned vocabulary (van den Oord et al. 2017, VQ-VAE)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from raw2vec.errors import BadInput
from raw2vec.latents.base import Latent, Posterior, begin
from raw2vec.layers.base import wide
from raw2vec.layers.pooling import Pooling, PoolingName
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

_DECAY = 0.99  # of the codebook's moving averages (van den Oord et al. 2017, appendix A)
_DEAD = 0.1  # a code that is used less than this share of what codes are on average gets another place


class Nearest(Posterior):
    """Codes that are certain, of a vocabulary whose words are all as likely beforehand: they cost `nats` an item."""

    def __init__(self, mean: Tensor, nats: float, penalties: Tensor):
        self.mean, self._nats, self._penalties = mean, nats, penalties

    def draw(self, noise: Tensor) -> Tensor:
        return self.mean.expand(noise.shape)

    def log_ratio(self, codes: Tensor) -> Tensor:
        return codes.new_full(codes.shape[:-1], -self._nats)

    def kl(self) -> Tensor:
        return torch.full_like(self.mean, self._nats / self.mean.shape[1])

    def penalty(self) -> Tensor:
        """The commitment: what keeps the vector near the code that stands for it."""
        return self._penalties


class Quantised(Latent):
    """The states of an item, pooled and mapped to (B, width), each of `groups` equal parts replaced by the nearest of
    its `codes` vectors: groups * log(codes) nats an item.

    commitment: how much the squared distance to the codes counts in the posterior's `penalty`. pooling: see
    layers.Pooling; "all" needs items of `places` rows each.

    The codebook learns by moving averages and not by gradient, in `posterior` in training mode: each code moves to the
    mean of the parts that chose it, and one that hardly any chose takes the place of a part of the batch, drawn by the
    step's number. All of this is in buffers, so a run that is resumed goes on to the bit.

    In training mode the gradient goes straight through to the vector before the codes: an estimate, which no finite
    difference knows. In eval mode it is the true one: a small change of the states changes no code, and so only the
    penalty has a slope.
    """

    codebook: Tensor
    """(groups, codes, width / groups)."""
    counts: Tensor
    """(groups, codes): how many parts of a batch chose each code, as a moving average."""
    step: Tensor

    def __init__(
        self,
        inputs: int,
        places: int = 0,
        width: int = 32,
        codes: int = 512,
        groups: int = 1,
        commitment: float = 0.25,
        pooling: PoolingName = "mean",
    ):
        super().__init__()
        _check(width, codes, groups)
        self.inputs, self.width, self.codes, self.groups = inputs, width, codes, groups
        self.commitment = commitment
        self.pool = Pooling(inputs, pooling, places)
        self.project = nn.Linear(self.pool.width, width)
        begin(self.project)
        self.register_buffer("codebook", torch.randn(groups, codes, width // groups))
        self.register_buffer("counts", torch.zeros(groups, codes))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self, states: Ragged) -> Tensor:
        parts = self._parts(states)
        return self._through(parts, self.vectors_of(self._nearest(parts)))

    def posterior(self, states: Ragged) -> Nearest:
        parts = self._parts(states)
        if self.training:
            self._revive(parts.detach())
        codes = self._nearest(parts)
        vectors = self.vectors_of(codes)
        if self.training:
            self._follow(parts.detach(), codes)
        distances = (parts.flatten(1) - vectors).square().sum(dim=1)
        return Nearest(self._through(parts, vectors), self.groups * math.log(self.codes), self.commitment * distances)

    def prior(self, draws: Draws, items: Tensor) -> Tensor:
        """Any of the codes, in each group by itself."""
        luck = torch.stack([draws.uniform(f"code of group {group}", items) for group in range(self.groups)], dim=1)
        return self.vectors_of((luck * self.codes).long().to(self.codebook.device))

    def codes_of(self, states: Ragged) -> Tensor:
        """The number of each part's code, (B, groups) int64."""
        return self._nearest(self._parts(states))

    def vectors_of(self, codes: Tensor) -> Tensor:
        """What the codes (B, groups) stand for, (B, width)."""
        return self.codebook[torch.arange(self.groups, device=codes.device), codes].flatten(1)

    @property
    def usage(self) -> Tensor:
        """The share of late that each code had of its group's choices, (groups, codes); zeros before any training."""
        return self.counts / self.counts.sum(dim=1, keepdim=True).clamp(min=torch.finfo(self.counts.dtype).tiny)

    @property
    def perplexity(self) -> Tensor:
        """How many codes are in use, (groups,): the exponential of the usage's entropy, between 1 and `codes`."""
        return torch.special.entr(self.usage).sum(dim=1).exp()

    def watched(self) -> dict[str, Tensor]:
        return {"codes_in_use": self.perplexity.mean()}

    def _parts(self, states: Ragged) -> Tensor:
        """(B, groups, width / groups)."""
        projected = self.project(self.pool(states))
        return wide(projected).unflatten(1, (self.groups, -1))

    @torch.no_grad()
    def _nearest(self, parts: Tensor) -> Tensor:
        # Differences and not the product that is faster: its rounding depends on how many batch mates there are.
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cdist(parts.transpose(0, 1), self.codebook, compute_mode=exact).argmin(dim=2).T

    def _through(self, parts: Tensor, vectors: Tensor) -> Tensor:
        """The vectors to the bit, not finite where the parts are not; with the parts' gradient while training."""
        fixed = parts.flatten(1).detach()
        return vectors + ((parts.flatten(1) if self.training else fixed) - fixed)

    @torch.no_grad()
    def _revive(self, parts: Tensor) -> None:
        """Moves dead codes to parts of the batch, each to another one. Before the first step all codes are dead."""
        draws, items = Draws(0, int(self.step)), torch.arange(len(parts), device=parts.device)
        for group, counts in enumerate(self.counts):
            dead = (counts <= _DEAD * counts.mean()).nonzero().squeeze(1)[: len(parts)]
            chosen = draws.uniform(f"revived codes of group {group}", items).argsort()[: len(dead)]
            self.codebook[group, dead] = parts[chosen, group].to(self.codebook.dtype)
            counts[dead] = len(parts) / self.codes

    @torch.no_grad()
    def _follow(self, parts: Tensor, codes: Tensor) -> None:
        """One step of the moving averages: of how often a code is chosen, and of what chooses it."""
        choices = one_hot(codes, self.codes).to(self.codebook.dtype)
        counts = choices.sum(dim=0)
        sums = torch.einsum("bgk,bgd->gkd", choices, parts.to(self.codebook.dtype))
        self.counts.lerp_(counts, 1 - _DECAY)
        weights = (1 - _DECAY) / self.counts.clamp(min=torch.finfo(self.counts.dtype).tiny)
        self.codebook += weights[..., None] * (sums - counts[..., None] * self.codebook)
        self.step += 1


def _check(width: int, codes: int, groups: int) -> None:
    if groups < 1 or width < 1 or width % groups:
        raise BadInput(
            f"A quantised latent of width {width} cannot be split into {groups} equal groups: choose a width that the "
            f"number of groups divides."
        )
    if codes < 2:
        raise BadInput(f"A quantised latent needs at least 2 codes to choose from, not {codes}.")
