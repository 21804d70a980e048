"""What an encoder of arrays has to beat: the mean item, principal components, forests, and elements taken one by one.

Every baseline takes items of one shape to learn from and a width, and gives what a model would be: an encoder, a way to
rebuild items, a score of how normal they are, or their log-likelihood. Items are read as rows (n, D), each laid flat.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import Encode, numbers

PerItem = Callable[[Sequence[Any]], np.ndarray]
"""Items to one number each, (n,)."""

Rebuild = Callable[[Sequence[Any]], np.ndarray]
"""Items to rows (n, D) that stand for them."""

LEAST_DEVIATION = 1e-3
"""As in the Gaussian readout: an element that never varies would otherwise be worth any number of nats."""

LEVELS = 256


def raw_values(items: Sequence[Any], width: int) -> Encode:
    """The items as they are, what is missing at its mean; `width` has no part in it."""
    _, fill = _whole(items)
    return lambda asked, role: fill(asked)


def pca(items: Sequence[Any], width: int) -> Encode:
    """The first `width` principal components (Pearson 1901), or as many as the items have."""
    components, fill = _components(items, width)
    return lambda asked, role: components.transform(fill(asked))


def mean_item(items: Sequence[Any], width: int) -> Rebuild:
    """Every item rebuilt as their mean; `width` has no part in it."""
    mean, _ = _moments(items)
    return lambda asked: np.tile(mean, (len(asked), 1))


def pca_reconstruction(items: Sequence[Any], width: int) -> Rebuild:
    """Items rebuilt from their first `width` principal components: the best linear autoencoder of that width."""
    components, fill = _components(items, width)
    return lambda asked: components.inverse_transform(components.transform(fill(asked)))


def pca_error(items: Sequence[Any], width: int) -> PerItem:
    """Minus the squared error of what the components with 90% of the variance rebuild: high for a normal item.

    `width` has no part in it: at the width of the items themselves there would be no error left to tell by.
    """
    components, fill = _components(items, 0.9)

    def score(asked: Sequence[Any]) -> np.ndarray:
        rows = fill(asked)
        return -((rows - components.inverse_transform(components.transform(rows))) ** 2).sum(axis=1)

    return score


def isolation_forest(items: Sequence[Any], width: int) -> PerItem:
    """How many random cuts it takes to part an item from the others (Liu et al. 2008); `width` has no part in it."""
    known, fill = _whole(items)
    forest = IsolationForest(random_state=0).fit(known)
    return lambda asked: np.asarray(forest.score_samples(fill(asked)))


def bernoulli(items: Sequence[Any], width: int) -> PerItem:
    """Each element a coin of its own, (ones + 1) / (items + 2), for values of 0 and 1: nats, a probability.

    A value between is the chance of a one, and its log-likelihood the expected one, as in the Bernoulli readout.
    """
    rows = _within(items)
    chance = (np.nansum(rows, axis=0) + 1) / ((~np.isnan(rows)).sum(axis=0) + 2)

    def log_likelihood(asked: Sequence[Any]) -> np.ndarray:
        values = _within(asked)
        return np.nansum(values * np.log(chance) + (1 - values) * np.log1p(-chance), axis=1)

    return log_likelihood


def gaussian(items: Sequence[Any], width: int) -> PerItem:
    """Each element a Gaussian with a mean and a deviation of its own: nats, a density.

    Hard to beat where some elements never vary (the borders of pictures), which it knows to LEAST_DEVIATION.
    """
    means, variances = _moments(items)
    return _density(means, np.sqrt(variances))


def one_deviation(items: Sequence[Any], width: int) -> PerItem:
    """Each element a Gaussian with its own mean and one deviation for all, as the Gaussian readout: nats, a density."""
    means, variances = _moments(items)
    return _density(means, np.sqrt(variances.mean()))


def histogram(items: Sequence[Any], width: int) -> PerItem:
    """Each element one of 256 levels in [0, 1], as often as it was seen: nats, a probability.

    One item's worth of the uniform distribution is added (Perks 1947), so that no level is impossible.
    """
    rows = _within(items)
    seen = np.full((rows.shape[1], LEVELS), 1 / LEVELS)
    there, places = ~np.isnan(rows), _places(rows)
    np.add.at(seen, (np.broadcast_to(np.arange(rows.shape[1]), rows.shape)[there], places[there]), 1)
    table = np.log(seen / seen.sum(axis=1, keepdims=True))

    def log_likelihood(asked: Sequence[Any]) -> np.ndarray:
        values = _within(asked)
        return np.where(np.isnan(values), 0, table[np.arange(len(table)), _places(values)]).sum(axis=1)

    return log_likelihood


def _rows(items: Sequence[Any]) -> np.ndarray:
    """Items of one shape as rows (n, D), in float64: a baseline should not lose by its rounding."""
    return np.stack(numbers(items)).astype(np.float64)


def _whole(items: Sequence[Any]) -> tuple[np.ndarray, Callable[[Sequence[Any]], np.ndarray]]:
    """Rows (n, D) with what is missing at the mean of its element, and the way to bring others to the same."""
    means, _ = _moments(items)

    def fill(asked: Sequence[Any]) -> np.ndarray:
        rows = _rows(asked)
        return np.where(np.isnan(rows), means, rows)

    return fill(items), fill


def _moments(items: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Each element's mean and variance (D,) over the items that have it; zeros where none does."""
    rows = _rows(items)
    there = ~np.isnan(rows)
    count = np.maximum(there.sum(axis=0), 1)
    means = np.where(there, rows, 0).sum(axis=0) / count
    return means, (np.where(there, rows - means, 0) ** 2).sum(axis=0) / count


def _components(items: Sequence[Any], width: float) -> tuple[PCA, Callable[[Sequence[Any]], np.ndarray]]:
    """PCA of `width` components, or of as many as hold that share of the variance: exact for small, else randomised."""
    known, fill = _whole(items)
    with np.errstate(invalid="ignore"):  # a single item, or none that differs, has no variance to share out
        return PCA(min(width, *known.shape), random_state=0).fit(known), fill


def _density(means: np.ndarray, deviations: np.ndarray) -> PerItem:
    deviations = np.maximum(deviations, LEAST_DEVIATION)

    def log_likelihood(asked: Sequence[Any]) -> np.ndarray:
        squares = ((_rows(asked) - means) / deviations) ** 2
        return np.nansum(-0.5 * squares - np.log(deviations) - 0.5 * np.log(2 * np.pi), axis=1)

    return log_likelihood


def _within(items: Sequence[Any]) -> np.ndarray:
    """Rows of numbers in [0, 1], or BadInput with the item of one that is not."""
    rows = _rows(items)
    bad = np.flatnonzero(((rows < 0) | (rows > 1)).any(axis=1))
    if len(bad):
        raise BadInput(
            f"Item {bad[0]} holds a number outside [0, 1], which no pixel is; measure the density of such numbers."
        )
    return rows


def _places(rows: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(rows) * (LEVELS - 1)).astype(np.int64)
