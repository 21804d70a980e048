"""Every draw in the project comes from here, as a pure function of (seed, epoch, item, purpose).

Nothing depends on what was drawn before, so masks, crops and orders are the same on one process or eight, before and
after a crash. Numbers come from SplitMix64 (Steele, Lea & Flood 2014) applied to a counter: a hash, not a stream.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(*parts: object) -> int:
    """A 63-bit number that any change of any part changes: a seed made of a seed, a purpose and whatever else."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "little") >> 1


def generator(*parts: object) -> torch.Generator:
    """A torch generator of its own for these parts, for instance (seed, "initial weights")."""
    return torch.Generator().manual_seed(key(*parts))


def permutation(count: int, *parts: object) -> NDArray[np.int64]:
    """The numbers below `count` in a drawn order, int64. PCG64DXSM, which stays unbiased at a billion items."""
    return np.random.Generator(np.random.PCG64DXSM(key(*parts))).permutation(count)


@dataclass(frozen=True)
class Draws:
    """What an objective draws for the items of one epoch: the same for an item whichever batch it meets.

    share: how much of its stage is done, from 0 to 1, for what rises or falls on the way; no draw depends on it.
    """

    seed: int
    epoch: int = 0
    share: float = 1.0

    def uniform(self, purpose: str, items: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Numbers in [0, 1), float32 on the items' device: (B,), or with `lengths` (B,) one a row, (N,)."""
        bits = _mix(items.cpu().numpy().astype(np.uint64) * _GOLDEN + np.uint64(key(self.seed, self.epoch, purpose)))
        if lengths is not None:
            counts = lengths.cpu().numpy()
            starts = np.repeat(counts.cumsum() - counts, counts)
            places = (np.arange(counts.sum()) - starts).astype(np.uint64)
            bits = _mix(np.repeat(bits, counts) + (places + np.uint64(1)) * _GOLDEN)
        return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * 2.0**-24).to(items.device)

    def normal(self, purpose: str, items: Tensor, width: int) -> Tensor:
        """Standard normal numbers, (B, width) float32 on the items' device; a wider draw begins with the same ones."""
        uniform = self.uniform(purpose, items, torch.full((len(items),), width)).view(len(items), width)
        return as_normal(uniform)


def as_normal(uniform: Tensor) -> Tensor:
    """Numbers that `Draws.uniform` gave, as standard normal ones of the same shape, float32, by inversion."""
    # From the middle of each step of 2^-24: never infinite, and as often above zero as below.
    return torch.special.ndtri(uniform.double() + 2.0**-25).float()


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: every bit of the answer depends on every bit of the question."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
