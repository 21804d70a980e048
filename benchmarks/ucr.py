"""Six sets of the UCR archive: codes learned without a label, judged by an SVM, beside T-Loss's published figures.

    python -m benchmarks.ucr --data FOLDER

FOLDER holds `NAME/NAME_TRAIN.ts` and `NAME/NAME_TEST.ts` as the wheel of the package aeon does, in aeon/datasets/data
(`pip download --no-deps aeon`, and unzip it). The protocol is that of T-Loss (Franceschi, Dieuleveut & Jaggi 2019): an
encoder is fitted to a set's training part without labels, and a support vector machine with a radial kernel to its
vectors and labels; C, and whether numbers are standardised, are chosen by cross-validation within the training part,
for the baselines as well. One recipe for all sets.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import raw2vec
from benchmarks.machine import heading

Numbers = NDArray[np.floating[Any]]
PUBLISHED = {
    "ArrowHead": 0.829,
    "GunPoint": 0.993,
    "ItalyPowerDemand": 0.925,
    "OSULeaf": 0.831,
    "ACSF1": 0.810,
    "PickupGestureWiimoteZ": 0.780,
}
MOST_ROWS = 512  # longer series are embedded several steps at a time


class Split(NamedTuple):
    """A data set: series of one channel and their classes, to learn from and to be judged by."""

    learned: list[Numbers]
    labels: list[str]
    judged: list[Numbers]
    answers: list[str]


def main(
    data: Annotated[Path, typer.Option(help="The folder of NAME/NAME_TRAIN.ts and NAME/NAME_TEST.ts.")],
    steps: int = 200,
    seeds: list[int] = [0, 1, 2],  # noqa: B006
    names: list[str] = list(PUBLISHED),  # noqa: B006
) -> None:
    """The accuracy on each set's test part, by our codes (the mean over the seeds) and by the baselines."""
    table: dict[str, dict[str, float]] = {}
    began = time.perf_counter()
    for name in names:
        split = opened(data, name)
        row = {f"raw2vec, seed {seed}": accuracy(split, *codes(split, steps, seed)) for seed in seeds}
        row["raw2vec"] = float(np.mean(list(row.values())))
        table[name] = row | baselines(split, seeds[0]) | {"T-Loss, published": PUBLISHED[name]}
        typer.echo(f"{name}: {json.dumps(rounded(table[name]))}", err=True)
    mean = {way: float(np.mean([row[way] for row in table.values()])) for way in table[names[0]]}
    found = {"machine": heading(), "steps": steps, "seconds": round(time.perf_counter() - began), "mean": rounded(mean)}
    print(json.dumps(found | {name: rounded(row) for name, row in table.items()}, indent=2))


def opened(folder: Path, name: str) -> Split:
    """Both parts of a set."""
    parts = [folder / name / f"{name}_{part}.ts" for part in ("TRAIN", "TEST")]
    if missing := [path for path in parts if not path.is_file()]:
        raise typer.BadParameter(f"There is no file {missing[0]}: the wheel of the package aeon holds it.")
    return Split(*read(parts[0]), *read(parts[1]))


def read(path: Path) -> tuple[list[Numbers], list[str]]:
    """A .ts file of one channel: after @data a series a line, its numbers between commas, its class after a colon."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.lower().startswith("@data")) + 1
    cells = [line.rsplit(":", 1) for line in lines[first:] if line.strip()]
    return [np.array(numbers.split(","), np.float64) for numbers, _ in cells], [label.strip() for _, label in cells]


def codes(split: Split, steps: int, seed: int, rate: float = 1e-3) -> tuple[Numbers, Numbers]:
    """Vectors of both parts by an encoder that was fitted to the first, which has no labels."""
    patch = -(-max(map(len, split.learned)) // MOST_ROWS)
    settings = {"embedding.patch": patch, "training.learning_rate": rate, "training.hold_out": 0.0}
    model = raw2vec.Raw2Vec("contrastive", kind="series", steps=steps, settings=settings, seed=seed)
    model.fit({"series": split.learned}, input="series")
    return model.transform(split.learned), model.transform(split.judged)


def accuracy(split: Split, learned: Numbers, judged: Numbers) -> float:
    """Of an SVM on these vectors, its C and scale chosen among the training part."""
    folds = min(5, *np.unique(split.labels, return_counts=True)[1])
    choices = {"scale": [StandardScaler(), "passthrough"], "svm__C": [10.0**power for power in range(4, -3, -1)]}
    machine = Pipeline([("scale", StandardScaler()), ("svm", SVC())])
    search = GridSearchCV(machine, choices, cv=RepeatedStratifiedKFold(n_splits=folds, n_repeats=3, random_state=0))
    return float(search.fit(learned, split.labels).score(judged, split.answers))


def baselines(split: Split, seed: int) -> dict[str, float]:
    """The numbers themselves, brought to one length where lengths differ, and the same encoder without training."""
    length = max(map(len, split.learned))
    learned, judged = (np.array([resized(item, length) for item in part]) for part in (split.learned, split.judged))
    pca = PCA(min(320, len(learned) - 1, length), random_state=0).fit(learned)
    nearest = KNeighborsClassifier(1).fit(learned, split.labels)
    return {
        "encoder untrained": accuracy(split, *codes(split, 1, seed, rate=1e-12)),
        "raw values, SVM": accuracy(split, learned, judged),
        "PCA, SVM": accuracy(split, pca.transform(learned), pca.transform(judged)),
        "raw values, nearest neighbour": float(nearest.score(judged, split.answers)),
    }


def resized(series: Numbers, length: int) -> Numbers:
    """The series at so many steps, on straight lines between its own."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(series)), series)


def rounded(row: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in row.items()}


if __name__ == "__main__":
    typer.run(main)
