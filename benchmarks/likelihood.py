"""How likely a variational autoencoder finds statically binarised MNIST, in nats: is the likelihood right?

    python -m benchmarks.likelihood --data FOLDER/mnist_static_binarized.npz

By default the net of which 89.78 nats are published (200 importance samples): a hidden layer of 400 ReLU to either
side of a code of 40, Bernoulli pixels. --bound importance is the importance-weighted autoencoder (Burda et al. 2016,
k = 50, published 86.82 with 5,000 samples): two layers of 200 tanh, a code of 50. --encoder convolutional is an
architecture of our own; published for its like is the VampPrior's 85.79. The test pictures are judged once, at the end.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import raw2vec
from benchmarks.digits import Pictures, binary
from benchmarks.machine import heading
from raw2vec.settings import worded
from raw2vec.use.likelihood import bounds

ELBO: dict[str, Any] = {
    "encoder": {"name": "dense", "width": 400, "layers": 0},
    "embedding": {"patch": 0, "activation": "relu"},
    "decoder": {"name": "dense", "width": 400, "layers": 1, "activation": "relu"},
    "latent.width": 40,
    "stages.0.objectives": [{"name": "variational"}],
    "training.learning_rate": 1e-3,
}
IMPORTANCE: dict[str, Any] = {
    "encoder": {"name": "dense", "width": 200, "layers": 1, "activation": "tanh", "end": "activation"},
    "embedding": {"patch": 0, "activation": "tanh"},
    "decoder": {"name": "dense", "width": 200, "layers": 2, "activation": "tanh"},
    "latent.width": 50,
    "stages.0.objectives": [{"name": "variational", "samples": 50, "bound": "importance"}],
}
CONVOLUTIONAL: dict[str, Any] = {
    "encoder": {"name": "convolutional", "width": 64, "layers": 4, "halvings": 2},
    "embedding": {"patch": 2},
    "decoder": {"name": "convolutional", "width": 64, "layers": 4, "halvings": 2},
    "latent": {"name": "gaussian", "width": 40, "pooling": "all"},
    "stages.0.objectives": [{"name": "variational", "warmup": 0.2}],
}


def main(
    data: Annotated[Path, typer.Option(help="An .npz of train, valid and test, uint8 (n, 98), eight pixels a byte.")],
    minutes: float = 15.0,
    encoder: str = "dense",
    bound: str = "elbo",
    samples: Annotated[int, typer.Option(help="Codes drawn for each test picture.")] = 200,
    items: Annotated[
        int, typer.Option(help="How many test pictures are judged, evenly spaced: they lie by digit.")
    ] = 10_000,
    seed: int = 0,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
) -> None:
    """Fits on the 50,000 training pictures but a fiftieth, which choose the best weights; prints the test's nats."""
    train, _, test = binary(data)
    test = test[:: -(-len(test) // items)]
    recipe = CONVOLUTIONAL if encoder == "convolutional" else IMPORTANCE if bound == "importance" else ELBO
    made = raw2vec.Raw2Vec(
        "variational",
        encoder,
        minutes=minutes,
        seed=seed,
        settings={**recipe, "likelihood": {"name": "bernoulli"}, "training.hold_out": 0.02, **worded(settings)},
    )
    made.fit(train)
    began = time.perf_counter()
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {"encoder": encoder, "bound": bound, "minutes": minutes, "seed": seed, "set": settings},
        "nats": judged(made, test, samples, seed) | {"samples": samples, "items": len(test)},
        "training_seconds": made.report["seconds"],
        "judging_seconds": round(time.perf_counter() - began),
        "steps": made.report["steps"],
        "held_out": [round(check["held_out"], 2) for check in made.report["history"]],
    }
    print(json.dumps(found, indent=2))


def judged(made: raw2vec.Raw2Vec, pictures: Pictures, samples: int, seed: int) -> dict[str, float]:
    """The pictures' mean negative ELBO, and minus the mean of their log-likelihoods by importance sampling."""
    parts = made.parts_
    items, places = parts.raw.windows(list(pictures)).ragged, torch.arange(len(pictures))
    parts.model.eval()
    found = bounds(parts.model, items, places, samples, seed, chunk=4000)
    return {
        "negative_elbo": round(-found.elbo.mean().item(), 2),
        "negative_log_likelihood": round(-found.log_likelihood.mean().item(), 2),
    }


if __name__ == "__main__":
    typer.run(main)
