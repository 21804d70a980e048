"""Pictures learnt from without labels, and with them: what nearest neighbours and a linear probe read off the vectors.

    python -m benchmarks.vision --data FOLDER/mnist_from_pngs.npz --minutes 10
    python -m benchmarks.vision --data FOLDER/cifar10-jpeg --minutes 2.5 --minutes 5 --minutes 10 --objective supervised

Data: MNIST as an .npz of xtr, ytr, xte, yte, or a folder of cifar10-train.tar.xz and cifar10-test.tar.xz, JPEG files by
class. Protocols knn/1 and linear-probe/1 learn from all training pictures and measure the test pictures, beside raw
pixels and PCA of the same width; with labels, the model's own head is measured. With --tune the last sixth of the
training pictures, drawn by the seed, is judged instead of the test set. --steps makes a run the same on any machine.
Several budgets are as many fits, from nothing each: a curve. One JSON object a fit.
"""

import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image

import raw2vec
from benchmarks.machine import gemm_rate, heading
from raw2vec.evaluate import ARRAY_KNN, ARRAY_LINEAR_PROBE
from raw2vec.seeding import permutation
from raw2vec.settings import worded

_ARCHIVES = ("cifar10-train.tar.xz", "cifar10-test.tar.xz")


class Labelled(NamedTuple):
    """Pictures, uint8 (n, H, W) or (n, H, W, 3), and the class of each (n,)."""

    pictures: NDArray[np.uint8]
    classes: NDArray[Any]

    def take(self, rows: NDArray[np.int64]) -> "Labelled":
        return Labelled(self.pictures[rows], self.classes[rows])


def main(
    data: Annotated[Path, typer.Option(help="MNIST's .npz, or the folder of CIFAR-10's archives.")],
    minutes: Annotated[list[float], typer.Option(help="A budget, or several.")] = [10.0],  # noqa: B006
    steps: Annotated[list[int], typer.Option(help="Instead of minutes.")] = [],  # noqa: B006
    objective: str = "contrastive",
    encoder: str = "convolutional",
    size: str = "small",
    seed: int = 0,
    tune: bool = False,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
) -> None:
    """Fits on the training pictures and prints what is read off the vectors of the others."""
    train, judged = opened(data)
    if tune:
        order = permutation(len(train.pictures), seed, "tune")
        kept = len(order) * 5 // 6
        train, judged = train.take(order[:kept]), train.take(order[kept:])
    asked = {"objective": objective, "encoder": encoder, "size": size, "seed": seed, "set": settings}
    for budget in [{"steps": n} for n in steps] or [{"minutes": n} for n in minutes]:
        made, spent = fitted(train, objective, encoder, {"size": size, "seed": seed, **budget}, settings)
        found = {
            "machine": heading(),
            "gemm_gflops_bfloat16": round(gemm_rate(torch.bfloat16) / 1e9),
            "load": round(os.getloadavg()[0], 1),
            "command": {**asked, **budget},
            "judged": "a sixth of the training pictures" if tune else "the test pictures",
            **(told(made, judged) if objective == "supervised" else read(made, train, judged, seed)),
            **{name: round(value) for name, value in spent.items()},
            "steps": made.report["steps"],
            "held_out": [round(check["held_out"], 4) for check in made.report["history"]],
        }
        print(json.dumps(found), flush=True)


def fitted(
    train: Labelled, objective: str, encoder: str, options: dict[str, Any], settings: list[str]
) -> tuple[raw2vec.Raw2Vec, dict[str, float]]:
    """A model of these pictures, and the seconds that it took in all, judging and what is read before it too."""
    made = raw2vec.Raw2Vec(objective, encoder, settings=worded(settings), **options)
    began, worked = time.perf_counter(), time.process_time()
    made.fit(train.pictures, train.classes if objective == "supervised" else None)
    return made, {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}


def read(made: raw2vec.Raw2Vec, train: Labelled, judged: Labelled, seed: int) -> dict[str, Any]:
    """The accuracy of each protocol on the model's vectors, with its 95% interval, and on what it has to beat."""
    vectors = np.concatenate([made.transform(part.pictures) for part in (train, judged)])
    rows = [{"input": list(part.pictures), "label": part.classes.tolist()} for part in (train, judged)]
    found = {}
    for protocol in (ARRAY_KNN, ARRAY_LINEAR_PROBE):
        report = protocol.run(lambda items, role: vectors, rows[1], seed, rows[0])
        for metric in (name for name in report.metrics if name.endswith("accuracy")):
            ours = {"raw2vec": round(report.metrics[metric], 4), "interval": report.intervals[metric]}
            rivals = {name: each[metric] for name, each in report.baselines.items() if metric in each}
            found[f"{report.protocol} {metric}"] = ours | {name: round(value, 4) for name, value in rivals.items()}
    return found


def told(made: raw2vec.Raw2Vec, judged: Labelled) -> dict[str, Any]:
    """The accuracy of the model's own head."""
    return {"accuracy": round(float((made.predict(judged.pictures) == judged.classes).mean()), 4)}


def opened(path: Path) -> tuple[Labelled, Labelled]:
    """The training and the test pictures."""
    if path.is_dir():
        if missing := [name for name in _ARCHIVES if not (path / name).is_file()]:
            raise typer.BadParameter(f"{path} has no {missing[0]}.", param_hint="--data")
        train, test = (unpacked(path / name) for name in _ARCHIVES)
        return train, test
    if not path.is_file():
        raise typer.BadParameter(f"There is no file or folder {path}.", param_hint="--data")
    with np.load(path) as held:
        if missing := [name for name in ("xtr", "ytr", "xte", "yte") if name not in held.files]:
            raise typer.BadParameter(f"{path} has no '{missing[0]}'.", param_hint="--data")
        return Labelled(held["xtr"], held["ytr"]), Labelled(held["xte"], held["yte"])


def unpacked(archive: Path) -> Labelled:
    """Pictures of an archive of CLASS/NAME.jpg, all of one size."""
    pictures, classes = [], []
    with tarfile.open(archive) as held:
        for member in held:
            content = held.extractfile(member) if member.isfile() else None
            if content is not None:
                with Image.open(io.BytesIO(content.read())) as picture:
                    pictures.append(np.asarray(picture.convert("RGB")))
                classes.append(Path(member.name).parent.name)
    return Labelled(np.stack(pictures), np.array(classes))


if __name__ == "__main__":
    typer.run(main)
