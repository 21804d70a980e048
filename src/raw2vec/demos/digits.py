"""Handwritten digits, there and back: pictures to twelve numbers each, and pictures out of any twelve numbers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sklearn.datasets import load_digits

from raw2vec.errors import BadInput
from raw2vec.evaluate import Report
from raw2vec.measure.decoding import likelihood, reconstruction
from raw2vec.measure.labelled import classification
from raw2vec.seeding import key
from raw2vec.system import Raw2Vec
from raw2vec.train.base import Listener, Phase
from raw2vec.use.show import Shown, write

LATENT = 12
STEPS = 800  # of 128 digits; more fit the training digits only
SETTINGS = {"encoder.dropout": 0.1, "training.learning_rate": 2e-3}
SHEETS = ("reconstructions.png", "samples.png", "walk.png")

Pictures = NDArray[np.uint8]


def digits(out: Path, minutes: float | None, seed: int, console: Console, listener: Listener) -> dict[str, Any]:
    """Handwritten digits to twelve numbers and back, with a variational autoencoder fitted here and now."""
    strange = [name for name in (*SHEETS, "model") if (out / name).exists()]
    if strange:
        raise BadInput(f"{out} holds {strange[0]} already; give a new --out, or remove it.")
    pictures, labels, held = real_digits(seed)
    console.print(
        f"scikit-learn's {len(pictures):,} digits of 8 × 8 pixels: {(~held).sum():,} to learn from, and "
        f"{held.sum()} to judge by.\n"
    )
    budget = {"minutes": minutes} if minutes else {"steps": STEPS}
    model = Raw2Vec(objective="variational", latent=LATENT, **budget, settings=SETTINGS, seed=seed)
    model.fit(pictures[~held], out=out / "model", listener=listener)
    listener(Phase("Measuring"))
    found = measured(model, pictures, labels, held, seed)
    tell(found, model, console)
    listener(Phase("Drawing"))
    draw(model, pictures[held], labels[held], out, seed)
    console.print(Text(f"\nLook at {', '.join(SHEETS)} in {out}. The same for your own pictures:"))
    for line in (
        "fit my/pictures --objective variational --out m",
        "reconstruct m my/pictures --out there-and-back.png",
        "sample m --out new.png -n 64",
    ):
        console.print(Text(f"  raw2vec {line}", style="bold"))
    fitted = {name: model.report[name] for name in ("steps", "seconds", "items")}
    metrics = {name: value for report in found.values() for name, value in report.metrics.items()}
    baselines: dict[str, dict[str, float]] = {}
    for report in found.values():
        for name, values in report.baselines.items():
            baselines.setdefault(name, {}).update(values)
    protocols = {name: report.as_dict() for name, report in found.items()}
    return {"metrics": metrics, "baselines": baselines, "protocols": protocols, "fit": fitted, "items": int(held.sum())}


def real_digits(seed: int) -> tuple[Pictures, NDArray[np.int64], NDArray[np.bool_]]:
    """The pictures (n, 8, 8), their labels, and which fifth of them is held out."""
    loaded = load_digits()
    held = np.array([key(seed, "demo", number) % 5 == 0 for number in range(len(loaded.images))])
    return (loaded.images * 15).astype(np.uint8), loaded.target, held  # 16 shades become 0 to 240, exactly


def measured(
    model: Raw2Vec, pictures: Pictures, labels: NDArray[np.int64], held: NDArray[np.bool_], seed: int
) -> dict[str, Report]:
    """What comes back, what it costs in nats, and whether a linear map of the code tells the digits apart."""
    columns = {"input": list(pictures[held]), "label": labels[held].tolist()}
    seen = model.parts_.raw.windows(list(pictures[~held])).ragged
    return {
        "reconstruction": reconstruction(model.parts_, columns, seed, seen),
        "likelihood": likelihood(model.parts_, columns, seed),
        "classification": classification(model.parts_, lambda items, role: model.encode(items), columns, seed),
    }


def tell(found: dict[str, Report], model: Raw2Vec, console: Console) -> None:
    """A table for each question, the model above its baselines."""
    asked = {
        "reconstruction": (
            f"What comes back from {LATENT} numbers",
            {"mse": "squared error a pixel", "sse": "a picture"},
        ),
        "likelihood": ("What a digit costs (less is better)", {"nats": "nats", "bits_per_dim": "bits a pixel"}),
        "classification": ("Digits told from the code by a linear map", None),
    }
    for name, (question, wanted) in asked.items():
        report = found[name]
        columns = wanted or {report.headline: report.headline.replace("_", " ")}
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), header_style="dim")
        table.add_column(question)
        for title in columns.values():
            table.add_column(title, justify="right")
        for who, metrics in {"raw2vec": report.metrics, **report.baselines}.items():
            style = "bold green" if metrics is report.metrics else ""
            table.add_row(who, *(f"{metrics[column]:.4f}" for column in columns), style=style)
        console.print(table)
        for note in report.notes:
            console.print(f"  note: {note}")
        console.print()
    console.print(f"{model.report['steps']:,} steps in {model.report['seconds']:.0f} s.")


def draw(model: Raw2Vec, pictures: Pictures, labels: NDArray[np.int64], out: Path, seed: int) -> None:
    """Held-out digits above what came back, digits that nobody wrote, and walks from each digit to the next."""
    some = list(pictures[:48])
    write("image", out / SHEETS[0], Shown(list(model.reconstruct(some)), some, columns=16))
    write("image", out / SHEETS[1], Shown(list(model.sample(64, seed=seed)), columns=16))
    ends = [pictures[labels == digit][0] for digit in (*range(10), 0)]
    steps = [model.interpolate(a, b, steps=12) for a, b in pairwise(ends)]
    write("image", out / SHEETS[2], Shown([picture for walk in steps for picture in walk], columns=12))
