"""A pretrained checkpoint, taken over: its score on STS-B, its vectors beside sentence-transformers', and both speeds.

    python -m benchmarks.checkpoints FILE --checkpoint minilm

FILE is a csv without a heading: sentence, sentence, score (STS-B's dev or test part). sentence-transformers opens the
very same folder; the two encode the same sentences in turns.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.stats import spearmanr

import raw2vec
from benchmarks.machine import heading
from raw2vec.packaged import packaged


def main(
    file: Annotated[Path, typer.Argument(help="A csv of sentence, sentence, score.")],
    checkpoint: str = "minilm",
    rounds: int = 5,
) -> None:
    """Prints one JSON object."""
    from sentence_transformers import SentenceTransformer

    with file.open(newline="", encoding="utf-8") as opened:
        left, right, scores = zip(*csv.reader(opened), strict=True)
    folder = packaged(checkpoint) or Path(checkpoint)
    models: dict[str, Any] = {"raw2vec": raw2vec.load(checkpoint, device="cpu")}
    models["sentence-transformers"] = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors, seconds = {}, {name: [] for name in models}  # type: ignore[var-annotated]
    for _ in range(rounds):
        for name, model in models.items():
            began = time.perf_counter()
            vectors[name] = model.encode([*left, *right])
            seconds[name].append(time.perf_counter() - began)
    found = {}
    for name, rows in vectors.items():
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        cosines = (units[: len(left)] * units[len(left) :]).sum(1)
        pace = 2 * len(left) / float(np.median(seconds[name]))
        score = float(spearmanr(cosines, np.array(scores, float)).statistic)
        found[name] = {"spearman": round(score, 4), "items_per_s": round(pace, 1)}
    ours, theirs = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in vectors.values())
    worst = {
        "worst_cosine": float((ours * theirs).sum(1).min()),
        "largest_difference": float(np.abs(ours - theirs).max()),
    }
    print(json.dumps({"machine": heading(), "pairs": len(left), **found, **worst}, indent=2))


if __name__ == "__main__":
    typer.run(main)
