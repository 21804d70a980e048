"""Encoding speed: the very same model folder opened by raw2vec and by sentence-transformers, in turn."""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import typer

import raw2vec
from benchmarks.machine import gemm_rate, heading, interleaved
from benchmarks.texts import mixed


def main(items: int = 500, width: int = 384, layers: int = 6, rounds: int = 5) -> None:
    """Texts a second with a MiniLM-sized transformer, on mixed-length source code."""
    from sentence_transformers import SentenceTransformer

    warnings.simplefilter("ignore")
    texts = mixed(items)
    settings = {"encoder.width": width, "encoder.layers": layers, "encoder.heads": 12}
    with tempfile.TemporaryDirectory() as scratch:
        ours = raw2vec.Raw2Vec("masked", "transformer", steps=1, settings=settings).fit(texts)
        ours.save(Path(scratch) / "m")
        theirs = SentenceTransformer(str(Path(scratch) / "m"), device="cpu")
    vectors = {
        "raw2vec float32": lambda: ours.encode(texts),
        "raw2vec bfloat16": lambda: ours.encode(texts, precision="bfloat16"),
        "sentence-transformers float32": lambda: theirs.encode(texts, show_progress_bar=False),
    }
    reference = theirs.encode(texts, normalize_embeddings=True)
    worst = {name: float((normal(work()) * reference).sum(1).min()) for name, work in vectors.items()}
    seconds = interleaved(vectors, rounds)
    found = {
        "machine": heading(),
        "gemm_gflops": {str(d): round(gemm_rate(d) / 1e9) for d in (torch.float32, torch.bfloat16)},
        "items": len(texts),
        "items_per_s": {name: round(len(texts) / s, 1) for name, s in seconds.items()},
        "ratio": {name: round(seconds["sentence-transformers float32"] / s, 2) for name, s in seconds.items()},
        "worst_cosine": {name: round(value, 6) for name, value in worst.items()},
    }
    print(json.dumps(found, indent=2))


def normal(vectors: np.ndarray) -> np.ndarray:
    """Rows at length one."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    typer.run(main)
