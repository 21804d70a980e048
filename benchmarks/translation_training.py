"""Training speed of translators: one and the same size trained by raw2vec and by the usual loop, in turns.

    python -m benchmarks.translation_training --data FOLDER

FOLDER is that of Multi30k (benchmarks/translation.py); the extra `peers` brings the peer, Hugging Face's MarianMTModel:
3 + 3 layers, 256 wide, 8,000 subwords, its blocks as wide as ours. Its batches have a fixed number of pairs, which hold
2,048 tokens of both sides on average, padded to the longest, at random or of like length; AdamW (fused), gradients
clipped, no label smoothing. Both read the same ids. Counted are real target tokens a second, those that are told,
without padding; bookkeeping included.

"as fitted" is raw2vec's own loop by its usual recipe: Muon, a moving average, label smoothing, bfloat16 where that is
quick. The others do what the peer does. The share is of the machine's GEMM rate in the same precision, by 6 operations
a token for each weight of the blocks, those of the encoder by source tokens, those of the decoder and of the head by
target tokens.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import MarianMTModel

from benchmarks.machine import Clock, gemm_rate, heading
from benchmarks.marian import SIZES, marian
from benchmarks.translation import pairs
from raw2vec import presets
from raw2vec.batch import Batch
from raw2vec.build import build_model, build_objectives
from raw2vec.fitting.device import working_precision
from raw2vec.models.sequence_to_sequence import parted
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.rows import Filtered, open_rows
from raw2vec.seeding import Draws, permutation
from raw2vec.train.base import Progress, Work
from raw2vec.train.batches import Feed
from raw2vec.train.budget import Budget
from raw2vec.train.loop import Trainer
from raw2vec.train.optimizers import optimizer
from raw2vec.train.prepare import Data, prepare

WARM = 5  # steps before the clock runs
TOKENS = 2048  # of both sides, a batch
PLAIN: dict[str, Any] = {
    "training.optimizer": {"name": "adamw"},
    "training.average": 0.0,
    "training.learning_rate": 1e-3,
    "stages.0.objectives": [{"name": "translation", "smoothing": 0.0}],
}
"""What the peer does."""


def main(
    data: Annotated[Path, typer.Option(help="The folder of Multi30k's files.")],
    rounds: int = 5,
    steps: int = 45,
    vocabulary: int = 8000,
    lines: Annotated[int | None, typer.Option(help="Only so many training pairs: for a quick look.")] = None,
    seed: int = 0,
) -> None:
    """Target tokens a second of all, by turns, and ours over each of theirs."""
    recipe = translator(steps, vocabulary, seed)
    with tempfile.TemporaryDirectory() as work:
        ready = prepared(recipe, data, lines, Path(work))
        ways = contestants(ready, recipe, steps)
        runs: dict[str, list[Pace]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                runs[name].append(way())
        gemm = {dtype: gemm_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
        weights = weights_of(marian(recipe, text(ready)))
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {"steps": steps, "rounds": rounds, "vocabulary": vocabulary, "lines": lines, "tokens": TOKENS},
        "seed": seed,
        "pairs": len(ready.corpus),
        "weights": dict(zip(("encoder", "decoder and head"), weights, strict=True)),
        "gemm_gflops": {str(dtype): round(rate / 1e9) for dtype, rate in gemm.items()},
        **{name: summary(each, weights, gemm) for name, each in runs.items()},
        "ratios": {
            name: {other: ratio(each, runs[other]) for other in runs if other.startswith("marian")}
            for name, each in runs.items()
            if name.startswith("raw2vec")
        },
    }
    print(json.dumps(found, indent=2))


class Pace:
    """Source and target tokens a second in one run, and how much of what was worked out was padding."""

    def __init__(self, precision: torch.dtype):
        self.precision = precision
        self.source, self.target, self.padded = Clock(WARM), Clock(WARM), Clock(WARM)

    def tick(self, source: int, target: int, padded: int = 0) -> None:
        """A step is over that read and told so many tokens, beside so many of padding."""
        for clock, tokens in ((self.source, source), (self.target, target), (self.padded, padded)):
            clock.tick(tokens)


def translator(steps: int, vocabulary: int, seed: int) -> Recipe:
    """Our usual recipe for translation at the peer's sizes."""
    usual = presets.recipe(
        "pairs", {"input": "en", "target": "fr"}, objective="translation", encoder="transformer", steps=steps, seed=seed
    )
    sizes = {f"{side}.{name}": value for side in ("encoder", "decoder") for name, value in SIZES.items()}
    return resolve(usual.changed({**sizes, "raw.vocabulary": vocabulary, "stages.0.batch_tokens": TOKENS}))


def prepared(recipe: Recipe, data: Path, lines: int | None, work: Path) -> Data:
    """The training pairs as ids, for both."""
    known = pairs(data, "train")
    rows = [{"en": a, "fr": b} for a, b in zip(known["input"][:lines], known["target"][:lines], strict=True)]
    kept = Filtered(open_rows(rows, ["en", "fr"], kind="pairs"), "en", "fr", **recipe.filters)
    return prepare(kept, recipe, work, False, lambda event: None)


def contestants(ready: Data, recipe: Recipe, steps: int) -> dict[str, Callable[[], Pace]]:
    """What is to be timed, by its name."""
    peers = {
        f"marian {str(dtype)[6:]}, {order}": partial(by_marian, ready, recipe, steps, dtype, order)
        for order in ("at random", "by length")
        for dtype in (torch.float32, torch.bfloat16)
    }
    ours = {
        f"raw2vec {name}, AdamW": partial(
            by_raw2vec, ready, resolve(recipe.changed({**PLAIN, "training.precision": name}))
        )
        for name in ("float32", "bfloat16")
    }
    return {"raw2vec as fitted": partial(by_raw2vec, ready, recipe), **ours, **peers}


def summary(runs: list[Pace], weights: tuple[int, int], gemm: dict[torch.dtype, float]) -> dict[str, float]:
    """Medians over the rounds."""
    target, source = (statistics.median(getattr(run, side).rate for run in runs) for side in ("target", "source"))
    real = [run.source.items + run.target.items for run in runs]
    padding = [run.padded.items / (run.padded.items + tokens) for run, tokens in zip(runs, real, strict=True)]
    counted = len(runs[0].target.ticks) - WARM
    return {
        "target_tokens_per_s": round(target),
        "source_tokens_per_s": round(source),
        "tokens_a_step": round(statistics.median(real) / counted),
        "padding": round(statistics.median(padding), 3),
        "share_of_gemm": round(6 * (weights[0] * source + weights[1] * target) / gemm[runs[0].precision], 3),
    }


def ratio(ours: list[Pace], theirs: list[Pace]) -> float:
    """Ours over theirs: the median of what it was in each round."""
    return round(statistics.median(a.target.rate / b.target.rate for a, b in zip(ours, theirs, strict=True)), 2)


def by_raw2vec(ready: Data, recipe: Recipe) -> Pace:
    """Our own loop, without checks and checkpoints."""
    model = build_model(recipe, ready.raw)
    objectives = build_objectives(recipe, ready.raw, model, None, 0)
    precision = working_precision(recipe.training.precision, torch.device("cpu"))
    pace, stage, part = Pace(precision), recipe.stages[0], recipe.training.optimizer
    sides: list[tuple[int, int]] = []

    def loss(batch: Batch, draws: Draws) -> dict[str, Tensor]:
        sides.append((len(batch.sides["input"].values), len(batch.sides["target"].values) - len(batch)))
        lost: dict[str, Tensor] = objectives["0/translation"](model, batch, draws)
        return lost

    def heard(event: Progress) -> None:
        pace.tick(*sides.pop())

    feed = Feed(ready.corpus, recipe.views(stage), "pair", False, recipe.seed, stage.batch_tokens)
    rate = recipe.training.learning_rate
    work = Work("translation", feed, [(loss, 1.0)], lambda: optimizer(part.name, part.settings, [model]), rate, 1.0)
    modules = nn.ModuleDict({"model": model, "objectives": objectives})
    budget = Budget(recipe.training)
    Trainer(modules, [work], recipe.training, budget, recipe.seed, listener=heard, precision=precision).run()
    return pace


def by_marian(ready: Data, recipe: Recipe, steps: int, precision: torch.dtype, order: str) -> Pace:
    """The loop that everyone writes."""
    torch.manual_seed(recipe.seed)
    raw, pace = text(ready), Pace(precision)
    model = marian(recipe, raw).train()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    chosen = batches(ready, recipe.seed, by_length=order == "by length")
    for _, rows in zip(range(steps), chosen, strict=False):
        source, (_, told) = ready.corpus.gather(rows, 0), parted(ready.corpus.gather(rows, 1))
        ids, labels = source.padded(raw.pad), told.padded(-100)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=source.inside().long(), labels=labels).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        real = len(source.values), len(told.values)
        pace.tick(*real, ids.numel() + labels.numel() - sum(real))
    return pace


def batches(ready: Data, seed: int, by_length: bool) -> Iterator[NDArray[np.int64]]:
    """Rows (b,) that hold TOKENS on average, epoch after epoch; by length: sorted, and the batches drawn."""
    lengths = ready.corpus.lengths.sum(axis=1)
    rows = np.flatnonzero(~ready.corpus.held & (ready.corpus.lengths > 0).all(axis=1))
    size = round(TOKENS / lengths[rows].mean())
    for epoch in range(1_000_000):
        drawn = rows[permutation(len(rows), seed, "rows", epoch)]
        if by_length:
            drawn = drawn[np.argsort(lengths[drawn], kind="stable")]
        parts = np.split(drawn, range(size, len(drawn), size))
        yield from (parts[place] for place in permutation(len(parts), seed, "parts", epoch))


def weights_of(model: MarianMTModel) -> tuple[int, int]:
    """Of the encoder's blocks; of the decoder's, and of the table by which words are told."""
    sides = (model.model.encoder.layers, model.model.decoder.layers)
    reads, writes = (sum(weight.numel() for weight in side.parameters()) for side in sides)
    return reads, writes + model.lm_head.weight.numel()


def text(ready: Data) -> Text:
    """What made the ids."""
    assert isinstance(ready.raw, Text)
    return ready.raw


if __name__ == "__main__":
    typer.run(main)
