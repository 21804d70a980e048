"""A student beside its teacher: the score on STS-B, and the speed beside sentence-transformers in one run.

    python -m benchmarks.distillation FOLDER --file stsb-en-dev.csv --teacher minilm

FOLDER is what `raw2vec distill` made; the file a csv without a heading: sentence, sentence, score. The teacher is
opened by sentence-transformers as well, with its defaults; all encode the same sentences, in turns.

    python -m benchmarks.distillation FOLDER --file stsb-en-dev.csv --numbers 256,128,64,32

gives instead the score of the student, and of the teacher, by the first numbers of their vectors alone.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.stats import spearmanr

import raw2vec
from benchmarks.machine import heading
from raw2vec.packaged import packaged
from raw2vec.yardstick import in_turn


def main(
    folder: Annotated[Path, typer.Argument(help="A student's folder.")],
    file: Annotated[Path, typer.Option(help="A csv of sentence, sentence, score.")],
    teacher: str = "minilm",
    rounds: int = 5,
    items: int = 3000,
    numbers: Annotated[str, typer.Option(help="Scores by so many first numbers alone, such as 256,64.")] = "",
) -> None:
    """Prints one JSON object: scores of all pairs, speeds of the first `items` sentences."""
    with file.open(newline="", encoding="utf-8") as opened:
        left, right, scores = zip(*csv.reader(opened), strict=True)
    if numbers:
        print(json.dumps(cut({"student": folder, "teacher": teacher}, left, right, scores, numbers), indent=2))
        return
    from sentence_transformers import SentenceTransformer

    place = packaged(teacher) or Path(teacher)
    models: dict[str, Any] = {
        "student": raw2vec.load(folder, device="cpu"),
        "teacher": raw2vec.load(teacher, device="cpu"),
        "sentence-transformers": SentenceTransformer(str(place), device="cpu", local_files_only=True),
    }
    found: dict[str, dict[str, float]] = {}
    for name, model in models.items():
        found[name] = {"spearman": spearman(model.encode([*left, *right]), scores)}
    texts = [*left, *right][:items]
    seconds = in_turn({name: partial(model.encode, texts) for name, model in models.items()}, rounds)
    for name, each in seconds.items():
        found[name] |= {"items_per_s": round(len(texts) / statistics.median(each), 1)}
        found[name] |= {"slowest": round(len(texts) / max(each), 1), "fastest": round(len(texts) / min(each), 1)}
    theirs = found["sentence-transformers"]
    student = found["student"]
    told = {
        "share_of_the_teacher_s_score": round(student["spearman"] / theirs["spearman"], 4),
        "times_as_fast": round(student["items_per_s"] / theirs["items_per_s"], 1),
    }
    print(json.dumps({"machine": heading(), "pairs": len(left), "items": len(texts), **found, **told}, indent=2))


def cut(
    folders: dict[str, Any], left: Sequence[str], right: Sequence[str], scores: Sequence[str], numbers: str
) -> dict[str, Any]:
    """Spearman's correlation by the first numbers of each model's vectors."""
    found: dict[str, Any] = {"machine": heading(), "pairs": len(left)}
    for name, folder in folders.items():
        vectors = raw2vec.load(folder, device="cpu").encode([*left, *right])
        counts = [count for count in map(int, numbers.split(",")) if count <= vectors.shape[1]]
        found[name] = {count: spearman(vectors[:, :count], scores) for count in counts}
    return found


def spearman(vectors: np.ndarray, scores: Sequence[str]) -> float:
    """Between scores (n,) and the cosines of vectors (2 n, L), all left sides before all right ones."""
    left, right = np.split(normal(vectors), 2)
    return round(float(spearmanr((left * right).sum(1), np.array(scores, float)).statistic), 4)


def normal(vectors: np.ndarray) -> np.ndarray:
    """Rows at length one."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


if __name__ == "__main__":
    typer.run(main)
