"""MNIST from 30 numbers: the squared error of pictures that a code brings back, after so many minutes, beside PCA's.

    python -m benchmarks.mnist --data FOLDER/mnist_from_pngs.npz --minutes 5

Published for 30 numbers, the test pictures' mean sum of squared errors with pixels from 0 to 1: PCA 13.87, a deep
autoencoder 3.00 (Hinton & Salakhutdinov 2006). With --tune 10,000 of the training pictures are judged instead of
the test set, and nothing is learned from them.
"""

import json
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from sklearn.decomposition import PCA

import raw2vec
from benchmarks.digits import Pictures, grey
from benchmarks.machine import gemm_rate, heading
from raw2vec.seeding import permutation
from raw2vec.settings import worded


def main(
    data: Annotated[Path, typer.Option(help="An .npz of xtr and xte, uint8 (n, 28, 28).")],
    minutes: float = 5.0,
    latent: int = 30,
    encoder: str = "dense",
    size: str = "base",
    seed: int = 0,
    tune: bool = False,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
) -> None:
    """Fits on the training pictures and prints the error on the others."""
    train, judged = grey(data)
    if tune:
        order = permutation(len(train), seed, "tune")  # the file may be sorted by digit
        train, judged = train[order[:50_000]], train[order[50_000:]]
    made = raw2vec.Raw2Vec(
        "reconstruction", encoder, latent=latent, size=size, minutes=minutes, seed=seed, settings=worded(settings)
    )
    made.fit(train)
    found = {
        "machine": heading(),
        "gemm_gflops_bfloat16": round(gemm_rate(torch.bfloat16) / 1e9),
        "load": round(os.getloadavg()[0], 1),
        "command": {"encoder": encoder, "size": size, "latent": latent, "seed": seed, "set": settings},
        "judged": "10,000 training pictures" if tune else "the test pictures",
        "squared_error": {
            "raw2vec": round(squared_error(judged, made.reconstruct(judged)), 3),
            "PCA": round(squared_error(judged, by_pca(train, judged, latent)), 3),
        },
        "seconds": made.report["seconds"],
        "steps": made.report["steps"],
        "held_out": [round(check["held_out"], 3) for check in made.report["history"]],
    }
    print(json.dumps(found, indent=2))


def squared_error(pictures: Pictures, others: np.ndarray) -> float:
    """The mean over the pictures of the sum of squared differences, pixels from 0 to 1."""
    apart = pictures.astype(np.float32) - others.astype(np.float32)
    return float(np.square(apart / 255).sum(axis=(1, 2), dtype=np.float64).mean())


def by_pca(train: Pictures, judged: Pictures, width: int) -> np.ndarray:
    """What `width` principal components of the training pictures bring back, (n, 28, 28)."""
    components = PCA(width, svd_solver="covariance_eigh").fit(train.reshape(len(train), -1).astype(np.float32))
    rows = components.inverse_transform(components.transform(judged.reshape(len(judged), -1).astype(np.float32)))
    return rows.reshape(judged.shape)


if __name__ == "__main__":
    typer.run(main)
