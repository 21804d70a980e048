"""Training speed of autoencoders: one and the same variational net trained by raw2vec and by pythae, in turns.

    python -m benchmarks.autoencoding --data FOLDER/mnist_static_binarized.npz

Needs pythae: `pip install --no-deps pythae cloudpickle imageio tqdm`; the rest is here already. The net is pythae's own
for MNIST: a hidden layer of 512 ReLU to either side of the code, Bernoulli pixels; Adam at one rate of 1e-3. Seconds
are those from the first steps of a run to its last, loading and bookkeeping of both libraries included. Each round
trains both from nothing; both are judged on the same pictures.
"""

import json
import logging
import os
import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch.nn.functional import binary_cross_entropy

import raw2vec
from benchmarks.digits import Pictures, binary
from benchmarks.machine import Clock, gemm_rate, heading
from raw2vec.train.base import Phase, Progress

WIDTH, CODE = 512, 20
WARM = 20  # steps before the clock runs
SETTINGS: dict[str, Any] = {
    "encoder": {"name": "dense", "width": WIDTH, "layers": 0},
    "embedding": {"patch": 0, "activation": "relu"},
    "decoder": {"name": "dense", "width": WIDTH, "layers": 1, "activation": "relu"},
    "likelihood": {"name": "bernoulli"},
    "stages.0.objectives": [{"name": "variational"}],
    "training.optimizer": {"name": "adamw", "weight_decay": 0.0, "beta2": 0.999},
    "training.learning_rate": 1e-3,
    "training.warmup": 0.0,
    "training.decay": "none",
    "training.hold_out": 0.0,
}


def main(
    data: Annotated[Path, typer.Option(help="An .npz of train, valid and test, uint8 (n, 98), eight pixels a byte.")],
    rounds: int = 5,
    steps: int = 780,
    batches: list[int] = [64, 128],  # noqa: B006
    seed: int = 0,
) -> None:
    """Pictures a second and the negative ELBO after the same steps, with batches of 64 and of 128."""
    train, _, test = binary(data)
    gemm = {str(dtype): gemm_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    found: dict[str, Any] = {"machine": heading(), "load": round(os.getloadavg()[0], 1), "seed": seed, "steps": steps}
    found["gemm_gflops"] = {name: round(rate / 1e9) for name, rate in gemm.items()}
    for batch in batches:
        contestants = {
            "raw2vec bfloat16": lambda batch=batch: by_raw2vec(train, test, batch, steps, seed, "bfloat16"),
            "raw2vec float32": lambda batch=batch: by_raw2vec(train, test, batch, steps, seed, "float32"),
            "pythae": lambda batch=batch: by_pythae(train, test, batch, steps, seed),
        }
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, work in contestants.items():
                runs[name].append(work())
        found[f"batch {batch}"] = {name: summary(each, runs["pythae"], gemm) for name, each in runs.items()}
    print(json.dumps(found, indent=2))


def summary(
    runs: list[tuple[float, float]], peers: list[tuple[float, float]], gemm: dict[str, float]
) -> dict[str, float]:
    """Medians over the rounds: pictures a second, the ratio to the peer in the same round, and the share of GEMM."""
    rate = statistics.median(rate for rate, _ in runs)
    operations = 6 * 2 * (784 + CODE) * WIDTH + 6 * CODE * WIDTH  # forwards and backwards, for each picture
    return {
        "pictures_per_s": round(rate),
        "ratio": round(statistics.median(ours / peer for (ours, _), (peer, _) in zip(runs, peers, strict=True)), 2),
        "share_of_float32_gemm": round(operations * rate / gemm["torch.float32"], 2),
        "negative_elbo": round(statistics.median(nats for _, nats in runs), 2),
    }


def by_raw2vec(
    train: Pictures, test: Pictures, batch: int, steps: int, seed: int, precision: str
) -> tuple[float, float]:
    """Pictures a second, and the test pictures' negative ELBO."""
    clock = Clock(WARM)

    def heard(event: Phase | Progress) -> None:
        if isinstance(event, Progress):
            clock.tick(event.items)

    settings = SETTINGS | {"training.precision": precision, "stages.0.batch_items": batch}
    made = raw2vec.Raw2Vec("variational", "dense", latent=CODE, steps=steps, seed=seed, settings=settings)
    made.fit(train, listener=heard)
    return clock.rate, -float(made.score(test))


def by_pythae(train: Pictures, test: Pictures, batch: int, steps: int, seed: int) -> tuple[float, float]:
    """The same of pythae's trainer."""
    clock = Clock(WARM)

    class Ticking(TrainingCallback):  # type: ignore[misc]
        def on_train_step_end(self, training_config: Any, **others: Any) -> None:
            clock.tick(batch)

    logging.disable(logging.INFO)
    torch.manual_seed(seed)
    chosen = as_numbers(train[np.random.default_rng(seed).permutation(len(train))[: batch * steps]])
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=CODE, reconstruction_loss="bce"))
    with tempfile.TemporaryDirectory() as scratch:
        config = BaseTrainerConfig(
            output_dir=scratch,
            num_epochs=1,
            per_device_train_batch_size=batch,
            learning_rate=1e-3,
            no_cuda=True,
            seed=seed,
        )
        data = BaseDataset(torch.from_numpy(chosen), torch.zeros(len(chosen)))
        BaseTrainer(model, data, training_config=config, callbacks=[Ticking()]).train()
    return clock.rate, negative_elbo(model.eval(), torch.from_numpy(as_numbers(test)), seed)


def as_numbers(pictures: Pictures) -> NDArray[np.float32]:
    """(n, 1, 28, 28) of 0 and 1."""
    return (pictures[:, None] / 255).astype(np.float32)


@torch.no_grad()
def negative_elbo(model: Any, pictures: torch.Tensor, seed: int) -> float:
    """Of pythae's encoder and decoder, with one code drawn for each picture: nats."""
    told = model.encoder(pictures)
    mean, log_variance = told.embedding, told.log_covariance
    drawn = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    chances = model.decoder(mean + (log_variance / 2).exp() * drawn).reconstruction
    missed = binary_cross_entropy(chances.flatten(1), pictures.flatten(1), reduction="none").sum(dim=1)
    cost = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
    return float((missed + cost).mean())


if __name__ == "__main__":
    typer.run(main)
