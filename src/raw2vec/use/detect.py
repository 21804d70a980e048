"""How well a model knows an item: likelihoods in nats, and the line below which an item counts as an anomaly."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from raw2vec.errors import BadInput, NonFinite, called
from raw2vec.folder import Model
from raw2vec.models import Autoencoder
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws
from raw2vec.use.encode import GAPS, evaluation
from raw2vec.use.generate import autoencoder, device_of, portions


def score_samples(parts: Model, items: Sequence[Any], samples: int = 1, seed: int = 0) -> NDArray[np.float64]:
    """How likely the model finds each item, (n,) nats; higher is more normal.

    Given its code where the latent is a point; where it is a distribution, the evidence lower bound (Kingma & Welling
    2014), averaged over `samples` codes. Codes are drawn by the item's own values, so an item scores the same alone, in
    any batch and at any place. It is the likelihood of the whole item, a long one's windows and all, what is missing
    left out; where sizes differ (see `unit`) it is the mean over the elements that are there, or else the larger of
    two items would be the stranger one. Raises NonFinite with the item's number for a score that is none.
    """
    model = autoencoder(parts)
    if samples < 1:
        raise BadInput(f"A score is the mean over at least 1 sample, not {samples}.")
    windows = parts.raw.windows(items)
    owners, ragged = windows.owners, windows.ragged
    nats = torch.zeros(len(items), dtype=torch.float64)
    with evaluation(model):
        for part in portions(model, ragged.shapes):
            nats.index_add_(0, owners[part], _bound(model, ragged.take(part), samples, seed))
    missing = ragged.values.isnan()[:, None].flatten(1)
    item = owners[ragged.owners]
    bad = (~nats.isfinite()).nonzero()
    if len(bad):
        first = int(bad[0])
        reason = GAPS if missing[item == first].any() else "The model's weights may be damaged."
        raise NonFinite(f"{called(items, first).capitalize()} has a score that is not finite. {reason}")
    if parts.raw.form.shape is None:
        there = torch.zeros_like(nats).index_add_(0, item, (~missing.all(dim=1)).double())
        nats /= there.clamp(min=1)
    return nats.numpy()


def unit(parts: Model) -> str:
    """What this model's scores are in: a whole item's nats, or nats an element where items are of different sizes."""
    return "nats" if parts.raw.form.shape is not None else "nats an element"


def threshold(scores: ArrayLike, contamination: float = 0.1) -> float:
    """The score below which the share `contamination` of the items lies; in (0, 0.5], as scikit-learn has it."""
    held = np.asarray(scores, np.float64)
    if not 0 < contamination <= 0.5:
        raise BadInput(f"contamination is the share of anomalies, above 0 and at most 0.5, not {contamination:g}.")
    if not held.size:
        raise BadInput("There are no scores to find a threshold among: hand in at least one item.")
    return float(np.quantile(held, contamination))


def flags(decisions: ArrayLike) -> NDArray[np.int64]:
    """scikit-learn's answer to scores minus their threshold, (n,): -1 (an anomaly) below zero, else 1."""
    return np.where(np.asarray(decisions) < 0, -1, 1)


def _bound(model: Autoencoder, items: Ragged, samples: int, seed: int) -> Tensor:
    """log p(x | z), the mean over the codes drawn, less KL(q(z | x) || p(z)): (B,) float64 on the CPU."""
    noise = _noise(items, model.latent.width, samples, seed)
    items = items.to(device_of(model))
    posterior = model.latent.posterior(model.contextual(items))
    codes = posterior.draw(noise.to(items.values.device))
    given = torch.stack([model.log_prob(code, items) for code in codes])
    return (given.double().mean(dim=0) - posterior.kl().double().sum(dim=1)).cpu()


def _noise(items: Ragged, width: int, samples: int, seed: int) -> Tensor:
    """Standard normal numbers (samples, B, width), the same for the same item wherever it is."""
    keys = torch.tensor([_key(item) for item in items.items()], dtype=torch.long)
    return torch.stack([Draws(seed).normal(f"score {place}", keys, width) for place in range(samples)])


def _key(item: Tensor) -> int:
    """63 bits of an item's shape and values."""
    content = repr(tuple(item.shape)).encode() + item.contiguous().numpy().tobytes()
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little") >> 1
