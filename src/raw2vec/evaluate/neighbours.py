"""The vote of the nearest rows, each weighted by how near it is: what a space tells with nothing learnt on top of it.

Weighted k nearest neighbours by cosine (Wu et al. 2018, section 3.4), the usual first measure of vectors learnt without
labels: 200 neighbours, or as many as there are, each of the weight e^(cosine / 0.1).
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS, TEMPERATURE = 200, 0.1

Said = dict[str, np.ndarray]


def of_classes(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """The class (k,) with the most weight among the neighbours, from classes (m,) and features (m, L) and (k, L)."""
    near = _shares(learnt, measured)
    classes = sp.csr_array((np.ones(len(labels)), (np.arange(len(labels)), labels)))
    return {"": np.asarray((near @ classes).argmax(axis=1)).ravel()}


def of_several(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """Each label (k, C) that half of the weight has, from zeros and ones (m, C)."""
    return {"": np.asarray(_shares(learnt, measured) @ labels >= 0.5).astype(np.int64)}


def of_numbers(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """The weighted mean (k,) of the neighbours' numbers (m,)."""
    return {"": np.asarray(_shares(learnt, measured) @ labels)}


def _shares(learnt: Any, measured: Any) -> sp.csr_array:
    """How much of the whole weight each learnt row has for each measured one, (k, m)."""
    count = min(NEIGHBOURS, learnt.shape[0])
    search = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(learnt)
    distances, places = search.kneighbors(measured)
    weights = np.exp((distances[:, :1] - distances) / TEMPERATURE)  # the nearest has 1: no row is all zeros
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(places)), count)
    return sp.csr_array((weights.ravel(), (rows, places.ravel())), shape=(len(places), learnt.shape[0]))
