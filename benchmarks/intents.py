"""Intents of bank customers (banking77; Casanueva et al. 2020), by an encoder fitted from nothing or from a checkpoint.

    python -m benchmarks.intents --data FOLDER --minutes 10
    python -m benchmarks.intents --data FOLDER --minutes 10 --checkpoint minilm

FOLDER holds train.csv and test.csv, of the columns text and category. Settings were chosen on a part of the training
rows. Beside it logistic regressions on TF-IDF: as scikit-learn has them, and with word pairs and the weight of the
penalty chosen by cross-validation on the training rows.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline

from benchmarks.machine import heading
from raw2vec.settings import worded
from raw2vec.system import Raw2Vec

Rows = dict[str, list[str]]


def main(
    data: Annotated[Path, typer.Option(help="The folder of train.csv and test.csv.")],
    minutes: float = 10.0,
    seed: int = 0,
    encoder: str | None = None,
    checkpoint: Annotated[str | None, typer.Option(help="Begin from this encoder.")] = None,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
    peers: Annotated[bool, typer.Option(help="Measure the regressions as well.")] = True,
) -> None:
    """Fits on the training rows and tells the test's, once."""
    train, test = read(data / "train.csv"), read(data / "test.csv")
    asked: dict[str, Any] = {"encoder": encoder, "checkpoint": checkpoint, "minutes": minutes, "seed": seed}
    model = Raw2Vec("supervised", settings=worded(settings), **asked)
    model.fit(train, input="text", label="category")
    found = {"raw2vec": float(np.mean(model.predict(test["text"]) == np.array(test["category"])))}
    if peers:
        found |= regressions(train, test)
    fitted = {name: model.report[name] for name in ("steps", "seconds")}
    print(json.dumps({"machine": heading(), "seed": seed, **fitted, "set": settings, "accuracy": found}, indent=2))


def read(path: Path) -> Rows:
    """The columns of a csv."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in ("text", "category")}


def regressions(train: Rows, test: Rows) -> dict[str, float]:
    """The accuracy of each."""
    chosen = LogisticRegressionCV(Cs=[1, 3, 10, 30, 100], cv=3, max_iter=2000, use_legacy_attributes=False)
    made = {
        "TF-IDF, logistic regression": make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=2000)),
        "the same, tuned": make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), chosen),
    }
    return {
        name: float(pipeline.fit(train["text"], train["category"]).score(test["text"], test["category"]))
        for name, pipeline in made.items()
    }


if __name__ == "__main__":
    typer.run(main)
