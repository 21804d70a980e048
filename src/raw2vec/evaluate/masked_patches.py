"""Masked autoencoding measured: how well are hidden patches told, beside guesses from the patches that are seen?"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, Values


class Patches(NamedTuple):
    """Items by N patches of E numbers each, M of them hidden, and what was told of those.

    owners (N,) the item of each patch, items one after another; coordinates (N, k) its place on that item's grid;
    truth (N, E), NaN where there is no number; hidden (N,) bool; told (M, E).
    """

    owners: np.ndarray
    coordinates: np.ndarray
    truth: np.ndarray
    hidden: np.ndarray
    told: np.ndarray


Fill = Callable[[Sequence[Any]], Patches]


class MaskedPatches(Protocol):
    """Items with some patches hidden: the mean squared error of the hidden numbers, and their share of variance told.

    `r2` is about the mean of all hidden numbers. Items are what is resampled. The baselines know what the model does,
    the item's visible patches: their mean, place by place within a patch, and a copy of the nearest one.
    """

    name = "masked"
    roles = ("input",)

    def run(self, model: Fill, columns: Columns, seed: int = 0) -> Report:
        started = perf_counter()
        (items,) = self.read(columns)
        patches = model(items)
        truth = patches.truth[patches.hidden]
        if np.isnan(truth).all():
            raise BadInput(f"Not one number of the {len(items)} items was hidden, so there is nothing to measure.")
        owners = patches.owners[patches.hidden]
        bad = np.flatnonzero((np.isnan(patches.told) & ~np.isnan(truth)).any(axis=1))
        if len(bad):
            raise NonFinite(f"What is told of a hidden patch of item {owners[bad[0]]} is not a number.")
        guesses = {MODEL: patches.told, **_guesses(patches)}
        contestants = {name: _measured(owners, truth, told) for name, told in guesses.items()}
        return self.report(contestants, "mse", started, seed, [f"{len(truth)} patches were hidden"])


def _guesses(patches: Patches) -> dict[str, np.ndarray]:
    """What each baseline tells of the hidden patches, (M, E)."""
    mean, nearest = np.empty_like(patches.told), np.empty_like(patches.told)
    known = np.where(np.isnan(patches.truth), np.nanmean(patches.truth), patches.truth)
    ends = np.searchsorted(patches.owners, np.unique(patches.owners), side="right")
    told = 0
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        hidden, own, places = patches.hidden[start:end], known[start:end], patches.coordinates[start:end]
        here = slice(told, told := told + int(hidden.sum()))
        if hidden.any():
            apart = np.abs(places[hidden][:, None] - places[~hidden]).sum(axis=2)
            mean[here], nearest[here] = own[~hidden].mean(axis=0), own[~hidden][apart.argmin(axis=1)]
    return {"mean of what is seen": mean, "nearest seen": nearest}


def _measured(owners: np.ndarray, truth: np.ndarray, told: np.ndarray) -> Measured:
    """Means over numbers as ratios of per-item sums; items that hide no number are left out."""
    there = ~np.isnan(truth)
    rows, mean = there.any(axis=1), truth[there].mean()
    _, item = np.unique(owners[rows], return_inverse=True)

    def per_item(values: np.ndarray) -> np.ndarray:
        return np.bincount(item, np.where(there, values, 0.0).sum(axis=1)[rows]).astype(np.float64)

    counted, missed, spread = (per_item(v) for v in (there, (truth - told) ** 2, (truth - mean) ** 2))

    def of(counts: np.ndarray) -> Values:
        lost, whole = counts @ missed, counts @ spread
        return {
            "mse": lost / (counts @ counted),
            "r2": 1 - np.divide(lost, whole, out=np.full_like(lost, np.nan), where=whole > 0),
        }

    return Measured(len(counted), of)
