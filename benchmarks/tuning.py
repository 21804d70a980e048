"""Three ways to tune minilm on banking77 (Casanueva et al. 2020): all weights, low-rank adapters, the head alone.

    python -m benchmarks.tuning banking77 --rows 1500 --steps 100 --tokens 768

Each way's learning rate is the one that is best on 500 further training rows; then the test rows are told once. All
take as many steps of as many tokens.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from raw2vec import Raw2Vec

DEVELOPMENT = 500
WAYS: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "all weights": ({}, (1e-4, 3e-4, 1e-3)),
    "adapters of rank 8": ({"stages.0.adapters.rank": 8}, (1e-4, 3e-4, 1e-3)),
    "the head alone": ({"stages.0.frozen": ["embedding", "encoder"]}, (3e-4, 1e-3, 3e-3, 1e-2)),
    "all weights, layer_decay 0.8": ({"training.optimizer.layer_decay": 0.8}, (3e-4,)),
}
"""Settings, and the learning rates to choose from; heads take twenty times these, adapters ten times."""


def rows_of(path: Path) -> tuple[list[str], list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["category"] for row in rows]


def fitted(texts: list[str], labels: list[str], steps: int, tokens: int, settings: dict[str, Any]) -> Raw2Vec:
    shared = {"training.hold_out": 0.0, "stages.0.batch_tokens": tokens}
    return Raw2Vec("supervised", steps=steps, checkpoint="minilm", settings=shared | settings).fit(texts, labels)


def accuracy(model: Raw2Vec, texts: list[str], labels: list[str]) -> float:
    return float(np.mean([str(found) == label for found, label in zip(model.predict(texts), labels, strict=True)]))


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="train.csv and test.csv, with text and category")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=768)
    asked = parser.parse_args(words)
    texts, labels = rows_of(asked.folder / "train.csv")
    order = np.random.default_rng(0).permutation(len(texts))[: asked.rows + DEVELOPMENT]
    texts, labels = [texts[place] for place in order], [labels[place] for place in order]
    held, kept = (texts[asked.rows :], labels[asked.rows :]), (texts[: asked.rows], labels[: asked.rows])
    new, told = rows_of(asked.folder / "test.csv")
    print(f"{len(kept[0])} rows of training, {len(new)} of test; {asked.steps} steps of {asked.tokens} tokens")
    print(f"{'':30s}{'rate':>8s}{'held out':>10s}{'test':>8s}{'seconds':>9s}", flush=True)
    for name, (settings, rates) in WAYS.items():
        tried = []
        for rate in rates:
            began = monotonic()
            model = fitted(*kept, asked.steps, asked.tokens, settings | {"training.learning_rate": rate})
            tried.append((accuracy(model, *held), rate, monotonic() - began, model))
            print(f"  {name}, rate {rate:g}: {tried[-1][0]:.3f} held out", file=sys.stderr, flush=True)
        found, rate, seconds, model = max(tried, key=lambda one: one[0])
        print(f"{name:30s}{rate:8.0e}{found:10.3f}{accuracy(model, new, told):8.3f}{seconds:9.0f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
