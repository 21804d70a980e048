"""Spoken digits: codes learned without a label, judged by a linear classifier, beside statistics and PCA.

    python -m benchmarks.fsdd --data FOLDER/fsdd_8khz.npz

The Free Spoken Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset) by its official split: recordings 0 to 4
of each speaker and digit are the test, 300 clips; the other 2,700 train, so that every speaker is in both parts. The
encoder sees the training clips without labels; a logistic regression over standardised codes sees their labels. The
.npz holds `audio` (int16, 8 kHz, all clips end to end), `offsets`, `digit` and `index`, the recording's number.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import raw2vec
from benchmarks.machine import heading
from raw2vec.raw import Audio

Numbers = NDArray[np.float32]
TEST, DEVELOPMENT = range(5), range(5, 10)
SOUND = {"rate": 8000, "n_fft": 256, "hop": 80, "mels": 40}  # a frame every 10 ms
CODE = 256
SETTINGS: dict[str, Any] = {
    "raw": SOUND,
    "embedding": {"patch": [4, 40]},
    "training.hold_out": 0.0,
}


def main(
    data: Annotated[Path, typer.Option(help="The .npz of all clips.")],
    steps: int = 300,
    seeds: list[int] = [0],  # noqa: B006
    development: Annotated[bool, typer.Option(help="Leave the test alone: judge on recordings 5 to 9.")] = False,
) -> None:
    """The share of test clips whose digit is told, by our codes and by the baselines."""
    clips, digits, numbers = opened(data)
    judged = np.isin(numbers, DEVELOPMENT if development else TEST)
    learned = ~judged & ~np.isin(numbers, TEST)
    parts = [[clips[place] for place in np.flatnonzero(part)] for part in (learned, judged)]
    labels = (digits[learned], digits[judged])
    began = time.perf_counter()
    ours = {seed: accuracy(codes(parts[0], parts[1], steps, seed), labels) for seed in seeds}
    found = {
        "machine": heading(),
        "judged on": "development" if development else "test",
        "clips": [len(part) for part in parts],
        "steps": steps,
        "seconds a seed": round((time.perf_counter() - began) / len(seeds)),
        "raw2vec": {str(seed): round(value, 4) for seed, value in ours.items()},
        "mean": round(float(np.mean(list(ours.values()))), 4),
        "baselines": {name: round(value, 4) for name, value in baselines(*parts, labels).items()},
    }
    print(json.dumps(found, indent=2))


def opened(path: Path) -> tuple[list[NDArray[np.int16]], NDArray[np.int8], NDArray[np.int16]]:
    """All clips, their digits, and their numbers among their speaker's recordings of the digit."""
    names = ("audio", "offsets", "digit", "index")
    if not path.is_file():
        raise typer.BadParameter(f"There is no file {path}: give an .npz of {', '.join(names)}.", param_hint="--data")
    with np.load(path) as held:
        audio, offsets, digits, numbers = (held[name] for name in names)
    return np.split(audio, offsets[1:-1]), digits, numbers


def codes(learned: list[Any], judged: list[Any], steps: int, seed: int) -> tuple[Numbers, Numbers]:
    """Vectors of both parts by an encoder that was fitted to the first, which has no labels."""
    encoder = {"name": "transformer", "width": 192, "layers": 3, "heads": 4}
    model = raw2vec.Raw2Vec(
        "contrastive", encoder, latent=CODE, kind="audio", steps=steps, settings=SETTINGS, seed=seed
    )
    model.fit({"sound": learned}, input="sound")
    return model.transform(learned), model.transform(judged)


def accuracy(vectors: tuple[Numbers, Numbers], labels: tuple[Any, Any], classifier: Any = None) -> float:
    """Of a classifier fitted to the first part, on the second; none: logistic regression over standardised numbers."""
    classifier = classifier or make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    return float(classifier.fit(vectors[0], labels[0]).score(vectors[1], labels[1]))


def baselines(learned: list[Any], judged: list[Any], labels: tuple[Any, Any]) -> dict[str, float]:
    """What log-mel spectrograms alone tell: their statistics, and PCA of them all brought to one size."""
    sound = Audio(**SOUND)
    sound.learn(learned)
    parts = [[item[..., 0].numpy() for item in sound.windows(part).ragged.items()] for part in (learned, judged)]
    statistics = [np.array([[*item.mean(axis=0), *item.std(axis=0)] for item in part]) for part in parts]
    resized = [
        np.array([np.asarray(Image.fromarray(item).resize((40, 32))).ravel() for item in part]) for part in parts
    ]
    found = {
        "most frequent digit": accuracy((resized[0], resized[1]), labels, DummyClassifier()),
        "mean and deviation of each band": accuracy((statistics[0], statistics[1]), labels),
    }
    for width in (64, CODE):
        pca = PCA(width, random_state=0).fit(resized[0])
        vectors = (pca.transform(resized[0]), pca.transform(resized[1]))
        found[f"PCA to {width} of 32 × 40 numbers"] = accuracy(vectors, labels)
    return found


if __name__ == "__main__":
    typer.run(main)
