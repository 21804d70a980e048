"""Vectors as points of a plane: neighbours stay near each other where they can, else the two widest axes are shown."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from raw2vec.errors import BadInput, MissingExtra, nearest

Projection = Literal["auto", "pca", "tsne", "umap"]
FEW = 5000  # up to so many scikit-learn's own t-SNE takes well under a minute


def project(vectors: NDArray[np.float32], name: str = "auto", seed: int = 0) -> tuple[NDArray[np.float32], str]:
    """Vectors (n, L) as points (n, 2), and the name of the way they came there.

    pca: the two directions of the largest variance. tsne, umap: cosine neighbours stay near each other (van der Maaten
    & Hinton 2008; McInnes et al. 2018). auto: UMAP where it is installed, else t-SNE where openTSNE is or items are
    few, else PCA. Below 10 items it is always PCA. MissingExtra for one that is asked for and not installed.
    """
    known = get_args(Projection)
    if name not in known:
        raise BadInput(f"There is no projection '{name}'.{nearest(name, known)} There are: {', '.join(known)}.")
    if name == "auto":
        name = _best(len(vectors))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if name == "pca" or len(vectors) < 10:
        return _pca(vectors), "pca"
    points = _umap(unit, seed) if name == "umap" else _tsne(unit, seed)
    return np.asarray(points, np.float32), name


def _best(count: int) -> str:
    if find_spec("umap"):
        return "umap"
    return "tsne" if find_spec("openTSNE") or count <= FEW else "pca"


def _pca(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    axes = min(2, *vectors.shape)
    points = PCA(axes, svd_solver="full" if max(vectors.shape) < 500 else "randomized", random_state=0)
    return np.pad(points.fit_transform(vectors), ((0, 0), (0, 2 - axes))).astype(np.float32)


def _tsne(unit: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    around = min(30.0, (len(unit) - 1) / 3)
    if find_spec("openTSNE"):
        from openTSNE import TSNE as Faster

        return np.asarray(Faster(perplexity=around, metric="cosine", random_state=seed, n_jobs=-1).fit(unit))
    if len(unit) > 4 * FEW:
        raise MissingExtra("openTSNE", "map", f"t-SNE of {len(unit):,} items")
    made = TSNE(perplexity=around, init="pca", random_state=seed, n_jobs=-1)  # of unit vectors, squares are cosines
    return np.asarray(made.fit_transform(unit))


def _umap(unit: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    if not find_spec("umap"):
        raise MissingExtra("umap-learn", "map", "The projection 'umap'")
    from umap import UMAP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed costs threads is what we ask for
        return np.asarray(
            UMAP(n_neighbors=min(15, len(unit) - 1), metric="cosine", random_state=seed).fit_transform(unit)
        )
