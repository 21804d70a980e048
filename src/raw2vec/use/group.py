"""What is nearly the same, and what belongs together: near-duplicates and clusters of vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import silhouette_score

from raw2vec.errors import BadInput
from raw2vec.neighbours import alike

_CHOICES = (2, 3, 5, 8, 12, 20, 32)
"""Numbers of clusters that are tried where nobody says."""
_JUDGED = 2000  # vectors that a number of clusters is judged by


@dataclass(frozen=True)
class Groups:
    """groups (n,): the number of an item's group of near-duplicates, the largest first, from 0; -1 where it has no
    like. clusters (n,): its cluster's, the largest first. representatives: of each group the item nearest to all."""

    groups: NDArray[np.int64]
    clusters: NDArray[np.int64]
    representatives: NDArray[np.int64]

    @property
    def sizes(self) -> list[int]:
        """Items of each group."""
        return np.bincount(self.groups[self.groups >= 0]).tolist()


def group(vectors: NDArray[np.float32], threshold: float, clusters: int | None = None, seed: int = 0) -> Groups:
    """Items that are linked by cosines of `threshold` or more are one group; k-means of unit vectors makes clusters.

    clusters: how many; none: the number among a few whose silhouette is best (Rousseeuw 1987). BadInput for a threshold
    that is no cosine above 0, and for more clusters than items.
    """
    if not 0 < threshold <= 1:
        raise BadInput(f"The threshold is a cosine above 0 and at most 1, not {threshold:g}.")
    if clusters is not None and not 1 <= clusters <= len(vectors):
        raise BadInput(f"There are {len(vectors)} items, so clusters are 1 to that many, not {clusters}.")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = _linked(vectors, threshold)
    central = [_central(unit, np.flatnonzero(found == number)) for number in range(found.max() + 1)]
    return Groups(found, cluster(unit, clusters, seed), np.array(central, np.int64))


def _linked(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    left, right = alike(vectors, threshold)
    links = sparse.coo_matrix((np.ones(len(left)), (left, right)), (len(vectors), len(vectors)))
    return _ordered(connected_components(links, directed=False)[1], least=2)


def _ordered(labels: NDArray[np.int64], least: int = 1) -> NDArray[np.int64]:
    """Labels (n,) as numbers from 0, the largest first and equal ones as they come; -1 for those of fewer than
    `least`."""
    _, first, which, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    number[counts < least] = -1
    return np.asarray(number[which], np.int64)


def _central(unit: NDArray[np.float32], places: NDArray[np.int64]) -> int:
    return int(places[np.argmax(unit[places] @ unit[places].mean(axis=0))])


def cluster(unit: NDArray[np.float32], clusters: int | None = None, seed: int = 0) -> NDArray[np.int64]:
    """The cluster of each of unit vectors (n, L), from 0, the largest first; see `group`."""
    if clusters is not None:
        return _ordered(_means(unit, clusters, seed))
    some = np.random.default_rng(seed).permutation(len(unit))[:_JUDGED]
    best, found = -2.0, np.zeros(len(unit), np.int64)
    for count in _CHOICES:
        if count >= len(np.unique(unit, axis=0)):
            break
        labels = _means(unit, count, seed)
        if len(np.unique(labels[some])) > 1 and (score := silhouette_score(unit[some], labels[some])) > best:
            best, found = score, labels
    return _ordered(found)


def _means(unit: NDArray[np.float32], count: int, seed: int) -> NDArray[np.int64]:
    made = MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=4096).fit(unit)
    return np.asarray(made.labels_, np.int64)
