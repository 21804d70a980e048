"""How sure a measurement is: a seeded percentile bootstrap over items, all contestants under the same resamples."""

from collections.abc import Iterator, Mapping

import numpy as np

from raw2vec.evaluate.base import MODEL, Comparison, Measured, Values, lower_is_better
from raw2vec.seeding import key

RESAMPLES = 1000
BLOCK = 2_000_000
"""Counts held at once (16 MB), whatever the number of items."""


def compare(contestants: Mapping[str, Measured], seed: int) -> Comparison:
    """The model's 95% intervals, and how often it is ahead of each baseline on each metric they share."""
    drawn = resample(contestants, seed)
    model = drawn.pop(MODEL)
    ahead = {
        name: {metric: superiority(model[metric], values[metric], lower_is_better(metric)) for metric in values}
        for name, values in drawn.items()
    }
    own = contestants[MODEL].metrics()
    return Comparison({metric: _around(own[metric], interval(values)) for metric, values in model.items()}, ahead)


def _around(estimate: float, found: tuple[float, float]) -> tuple[float, float]:
    """The interval, or none (NaN) where it leaves out the estimate itself.

    So it is with macro-F1 of rare labels: resamples lack the hardest of them.
    """
    low, high = found
    return found if not (estimate < low or estimate > high) else (float("nan"), float("nan"))


def resample(contestants: Mapping[str, Measured], seed: int, resamples: int = RESAMPLES) -> dict[str, Values]:
    """Contestant → metric → (resamples,) values, every contestant measured on the same draws of the same items."""
    (items,) = {measured.items for measured in contestants.values()}
    found: dict[str, list[Values]] = {name: [] for name in contestants}
    for counts in _draws(items, resamples, seed):
        for name, measured in contestants.items():
            found[name].append(measured.of(counts))
    return {name: {m: np.concatenate([part[m] for part in parts]) for m in parts[0]} for name, parts in found.items()}


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval (Efron 1979) that holds `level` of the resampled values (R,); of none at all, NaN."""
    if np.isnan(values).all():
        return float("nan"), float("nan")
    with np.errstate(invalid="ignore"):  # between two infinite values there is no telling
        low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def superiority(model: np.ndarray, baseline: np.ndarray, lower_is_better: bool = False) -> float:
    """The share of paired resamples (R,) in which the model is better, a draw counting half: 0.5 is no difference.

    A resample in which the metric is undefined (NaN: no anomaly was drawn) tells neither way and is left out.
    """
    told = ~(np.isnan(model) | np.isnan(baseline))
    if not told.any():
        return 0.5
    better = model < baseline if lower_is_better else model > baseline
    return float(better[told].mean() + (model == baseline)[told].mean() / 2)


def _draws(items: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each item is drawn in each resample of as many items: blocks of (r, items), `resamples` rows in all."""
    generator = np.random.Generator(np.random.PCG64DXSM(key(seed, "bootstrap")))
    rows = max(1, BLOCK // items)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = generator.integers(items, size=(count, items)) + np.arange(count)[:, None] * items
        yield np.bincount(drawn.ravel(), minlength=count * items).reshape(count, items).astype(np.float64)
