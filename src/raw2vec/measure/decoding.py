"""A model with a decoder as the protocols want it: what it brings back, what it finds likely, what it finds strange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.evaluate import (
    ANOMALY,
    BINARY_LIKELIHOOD,
    LEVELS_LIKELIHOOD,
    LIKELIHOOD,
    RATE_DISTORTION,
    RECONSTRUCTION,
    REWRITING,
    TEXT_ANOMALY,
    TEXT_LIKELIHOOD,
    Bounds,
    Rebuilt,
    Report,
    health,
)
from raw2vec.folder import Model
from raw2vec.latents import Gaussian
from raw2vec.measure.base import numbers
from raw2vec.ragged import Ragged
from raw2vec.use.detect import score_samples
from raw2vec.use.encode import evaluation
from raw2vec.use.generate import autoencoder, decoded, device_of, encoded, reconstruct, there_and_back
from raw2vec.use.likelihood import bounds, unit_costs

SAMPLES = 100  # codes drawn an item for the importance-weighted bound


def reconstruction(parts: Model, held: Mapping[str, list[Any]], seed: int = 0, seen: Ragged | None = None) -> Report:
    """Items beside what their codes bring back: texts word by word, all others in the units of the kind's Ragged.

    Pixels run from 0 to 1; a table's categories are left out. `seen` are training items, which baselines learn from.
    """
    model = autoencoder(parts)
    if parts.raw.form.longest:
        known = None if seen is None else {"input": parts.raw.restore(seen)}
        rewritten = Rebuilt(reconstruct(parts, held["input"]), model.latent.width)
        return REWRITING.run(lambda _: rewritten, held, seed, known)
    windows = parts.raw.windows(held["input"]).ragged
    answer = Rebuilt(numbers(parts, there_and_back(parts, windows)), model.latent.width)
    train = None if seen is None else {"input": numbers(parts, seen)}
    peak = 1.0 if parts.recipe.kind == "image" else None
    return RECONSTRUCTION.run(lambda _: answer, {"input": numbers(parts, windows)}, seed, train, peak)


def rate_distortion(parts: Model, held: Mapping[str, list[Any]], seed: int = 0) -> Report:
    """What fewer and fewer numbers of the codes keep: those along the leading directions of all these codes."""
    model = autoencoder(parts)
    if parts.raw.form.longest:
        raise BadInput("A rate-distortion curve is drawn of items of numbers; for texts there is 'reconstruction'.")
    windows = parts.raw.windows(held["input"]).ragged
    codes = encoded(model, windows)
    centre = codes.mean(dim=0)
    directions = torch.linalg.svd(codes - centre, full_matrices=False).Vh

    def brief(_: Sequence[Any], width: int) -> list[NDArray[np.float32]]:
        leading = directions[:width]
        kept = codes if width == model.latent.width else centre + (codes - centre) @ leading.T @ leading
        return numbers(parts, decoded(model, kept, windows.shapes))

    items = {"input": numbers(parts, windows)}
    return RATE_DISTORTION.run(brief, items, seed, width=model.latent.width)


def likelihood(
    parts: Model,
    held: Mapping[str, list[Any]],
    seed: int = 0,
    samples: int = SAMPLES,
    progress: Callable[[int], None] = lambda items: None,
) -> Report:
    """What items cost in nats: the evidence lower bound, and the tighter one of importance-weighted codes.

    Beside it, how many units of a Gaussian code are in use and what each costs, and whether it has collapsed.
    """
    model = autoencoder(parts)
    windows = parts.raw.windows(held["input"]).ragged.to(device_of(model))
    places = torch.arange(len(windows))
    with evaluation(model):
        costs = unit_costs(model, windows).numpy()
        found = bounds(model, windows, places, samples, seed, progress=progress)
    elements = windows.lengths.numpy() * max(parts.raw.form.channels, 1)
    told = Bounds(elements, found.elbo.numpy(), costs.sum(axis=1), found.log_likelihood.numpy())
    spoken = "" if parts.recipe.likelihood is None else parts.recipe.likelihood.name
    densities = spoken == "gaussian" and not any(parts.raw.form.categories)
    protocol = LIKELIHOOD if densities else _LIKELIHOODS.get(spoken, TEXT_LIKELIHOOD)
    levels = 256 if densities and parts.recipe.kind == "image" else None
    report = protocol.run(lambda _: told, {"input": numbers(parts, windows)}, seed, levels=levels)
    if not isinstance(model.latent, Gaussian) or len(windows) < 2:
        return report
    space = health(encoded(model, windows).numpy(), kl=costs)
    metrics = report.metrics | {"active_units": float(space.active_units or 0)}
    return replace(report, metrics=metrics, notes=[*space.in_use(), *report.notes])


_LIKELIHOODS = {
    "bernoulli": BINARY_LIKELIHOOD,
    "discretised-logistic": LEVELS_LIKELIHOOD,
    "categorical": LEVELS_LIKELIHOOD,
}


def anomaly(parts: Model, held: Mapping[str, list[Any]], seed: int = 0) -> Report:
    """How well the model's scores tell the items labelled 1, anomalies, from those labelled 0."""
    scores = score_samples(parts, held["input"], seed=seed)
    if parts.raw.form.longest:
        return TEXT_ANOMALY.run(lambda _: scores, held, seed)
    windows = parts.raw.windows(held["input"]).ragged
    return ANOMALY.run(lambda _: scores, {**held, "input": numbers(parts, windows)}, seed)


DECODED: dict[str, Callable[[Model, Mapping[str, list[Any]], int], Report]] = {
    "reconstruction": reconstruction,
    "rate-distortion": rate_distortion,
    "anomaly": anomaly,
}
"""The protocols that need a decoder and draw nothing."""
