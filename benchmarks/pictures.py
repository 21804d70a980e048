"""Reading pictures: how many a second are made ready to train on, and how many a second training then takes."""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image as Pillow

import raw2vec
from benchmarks.machine import heading, timed
from raw2vec import presets
from raw2vec.build import resolve
from raw2vec.rows import open_rows
from raw2vec.train.base import Progress
from raw2vec.train.prepare import prepare


def photographs(folder: Path, count: int, height: int = 400, width: int = 500) -> None:
    """JPEGs of smooth shapes with noise, in two sub-folders: about 60 kB each."""
    draw = np.random.default_rng(0)
    for number in range(count):
        coarse = Pillow.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Pillow.Resampling.BICUBIC), np.float32)
        noisy = smooth + draw.normal(0, 8, (height, width, 1))
        place = folder / ("odd" if number % 2 else "even") / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place, quality=90)


def main(
    data: Annotated[str | None, typer.Option(help="A folder of pictures; none: synthesised ones.")] = None,
    pictures: int = 1000,
    size: int = 64,
    steps: int = 20,
    threads: int = 1,
) -> None:
    """Pictures a second of a folder, each resized to size x size (0: as they are): read, and learned from by the
    default recipe. The ratio is the first by the second."""
    torch.set_num_threads(threads)
    settings = {"raw.size": [size, size]} if size else {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(data) if data else Path(scratch) / "pictures"
        if data is None:
            photographs(folder, pictures)
        model = raw2vec.Raw2Vec(steps=steps, settings=settings, kind="image")
        rows = open_rows(folder)
        recipe = resolve(presets.chosen(rows, {"input": "path"}, model.get_params()))
        reading = min(timed(lambda: prepare(rows, recipe, Path(scratch) / "w", False, print_nothing)) for _ in range(2))
        heard: list[Progress] = []
        began = time.perf_counter()
        model.fit(folder, listener=lambda event: heard.append(event) if isinstance(event, Progress) else None)
        steady = heard[2:]
        taken = sum(event.items for event in steady) / sum(event.seconds for event in steady)
    read = len(rows.files) / reading  # type: ignore[attr-defined]
    found = {
        "machine": heading(),
        "pictures": len(rows.files),  # type: ignore[attr-defined]
        "read_per_s": round(read, 1),
        "learned_per_s": round(taken, 1),
        "ratio": round(read / taken, 2),
        "fit_seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(found, indent=2))


def print_nothing(event: object) -> None:
    """A listener that keeps quiet."""


if __name__ == "__main__":
    typer.run(main)
