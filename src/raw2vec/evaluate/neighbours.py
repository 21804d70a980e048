"""The vote of the nearest rows, each weighted by how near it is: what a space tells with nothing learnt on top of it.

Weighted k nearest neighbours by cosine (Wu et al. 2018, section 3.4), the usual first measure of vectors learnt without
labels: 200 neighbours, or as many as there are, each of the weight e^(cosine / 0.1). Beside it the vote of the 20
nearest, which tells more where classes are of odd shapes and rows are many.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS, FEW, TEMPERATURE = 200, 20, 0.1

Said = dict[str, np.ndarray]


def of_classes(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """The class (k,) with the most weight among the neighbours, from classes (m,) and features (m, L) and (k, L)."""
    classes = sp.csr_array((np.ones(len(labels)), (np.arange(len(labels)), labels)))
    found = _shares(learnt, measured).items()
    return {name: np.asarray((near @ classes).argmax(axis=1)).ravel() for name, near in found}


def of_several(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """Each label (k, C) that half of the weight has, from zeros and ones (m, C)."""
    found = _shares(learnt, measured).items()
    return {name: np.asarray(near @ labels >= 0.5).astype(np.int64) for name, near in found}


def of_numbers(learnt: Any, labels: np.ndarray, folds: np.ndarray, measured: Any) -> Said:
    """The weighted mean (k,) of the neighbours' numbers (m,)."""
    return {name: np.asarray(near @ labels) for name, near in _shares(learnt, measured).items()}


def _shares(learnt: Any, measured: Any) -> dict[str, sp.csr_array]:
    """How much of the whole weight each learnt row has for each measured one, (k, m): of all asked, and of the few."""
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, learnt.shape[0]), metric="cosine", algorithm="brute")
    distances, places = search.fit(learnt).kneighbors(measured)
    weights = np.exp((distances[:, :1] - distances) / TEMPERATURE)  # the nearest has 1: no row is all zeros

    def nearest(count: int) -> sp.csr_array:
        near, where = weights[:, :count], places[:, :count]
        rows = np.repeat(np.arange(len(where)), where.shape[1])
        held = (near / near.sum(axis=1, keepdims=True)).ravel()
        return sp.csr_array((held, (rows, where.ravel())), shape=(len(where), learnt.shape[0]))

    return {"": nearest(NEIGHBOURS), f"knn{FEW}_": nearest(FEW)}
