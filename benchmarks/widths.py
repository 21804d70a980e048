"""Rate and distortion on scikit-learn's digits: the squared error of a pixel at each width of code, beside PCA's.

    python -m benchmarks.widths

A fifth of the digits is judged; a model of its own is fitted to the others at each width, with and without a cost for
what codes tell ("variational" gives the codes' cost as well, in nats an item: the rate).
"""

import json
from typing import Annotated

import typer

import raw2vec
from benchmarks.machine import heading
from raw2vec.demos.digits import SETTINGS, real_digits


def main(
    widths: Annotated[list[int], typer.Option("--width")] = [1, 2, 4, 8, 16, 32],  # noqa: B006
    steps: int = 800,
    seed: int = 0,
) -> None:
    """Prints, for each width, the error of both kinds of model and of PCA, and the rate where there is one."""
    pictures, _, held = real_digits(seed)
    table: dict[str, dict[str, float]] = {}
    for width in widths:
        row: dict[str, float] = {}
        for objective in ("reconstruction", "variational"):
            made = raw2vec.Raw2Vec(objective, latent=width, steps=steps, settings=SETTINGS, seed=seed)
            made.fit(pictures[~held])
            found = made.evaluate(pictures[held], "reconstruction")
            row[objective] = round(found.metrics["mse"], 5)
        row["nats"] = round(made.evaluate(pictures[held], "likelihood").metrics["kl"], 1)
        row["PCA"] = round(found.baselines["PCA"]["mse"], 5)
        table[str(width)] = row
    print(json.dumps({"machine": heading(), "judged": int(held.sum()), "steps": steps, "mse": table}, indent=2))


if __name__ == "__main__":
    typer.run(main)
