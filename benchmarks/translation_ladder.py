"""From one vector to attention: each architecture of a translator fitted for the same time, on the same captions.

    python -m benchmarks.translation_ladder --data FOLDER --minutes 10

FOLDER is that of Multi30k (benchmarks/translation.py). Every rung has the preset's own sizes and optimiser; BLEU is
sacreBLEU's (13a, cased) of `val`, written greedily, with its 95% interval. Target tokens are those that were told, a
second of the steps' own time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from benchmarks.machine import heading
from benchmarks.translation import Pairs, fitted, pairs
from raw2vec.measure.translation import translation
from raw2vec.raw import Text
from raw2vec.train.base import Phase, Progress
from raw2vec.use.write import Manner


class Rung(NamedTuple):
    """An encoder, whose decoder is of its kind, and changes to the preset."""

    encoder: str
    settings: tuple[str, ...] = ()


LSTM, GRU = (tuple(f"{side}.cell={cell}" for side in ("encoder", "decoder")) for cell in ("lstm", "gru"))
LADDER = {
    "one vector, LSTM": Rung("recurrent", ("bridge=fixed", *LSTM)),
    "one vector, GRU": Rung("recurrent", ("bridge=fixed", *GRU)),
    "one vector, LSTM, read from its end": Rung(
        "recurrent", ("bridge=fixed", *LSTM, "encoder.directions=-1", "latent.pooling=first")
    ),
    "attention, GRU": Rung("recurrent", GRU),
    "attention, convolutional": Rung("convolutional"),
    "cross-attention, transformer": Rung("transformer"),
}


def main(
    data: Annotated[Path, typer.Option(help="The folder of Multi30k's files.")],
    minutes: float | None = None,
    steps: int | None = None,
    lines: Annotated[int | None, typer.Option(help="Only so many pairs of each file: for a quick look.")] = None,
    size: str = "small",
    rungs: Annotated[list[str], typer.Option(help="Only these.")] = list(LADDER),  # noqa: B006
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="A folder to keep the models in, each by its rung's name.")] = None,
) -> None:
    """Fits them one after the other and translates the validation lines."""
    train, held = ({role: side[:lines] for role, side in pairs(data, name).items()} for name in ("train", "val"))
    budget = {"minutes": minutes, "steps": steps, "size": size}
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {**budget, "lines": lines},
        "seed": seed,
        "rungs": {name: climbed(LADDER[name], train, held, seed, out and out / name, budget) for name in rungs},
    }
    print(json.dumps(found, indent=2))


class Pace:
    """Tokens of both sides, and the seconds of the steps that they took."""

    def __init__(self) -> None:
        self.tokens, self.seconds = 0, 0.0

    def heard(self, event: Phase | Progress) -> None:
        """Adds up what steps tell."""
        if isinstance(event, Progress):
            self.tokens += event.tokens
            self.seconds += event.seconds


def climbed(
    rung: Rung, train: Pairs, held: Pairs, seed: int, out: Path | None, budget: dict[str, Any]
) -> dict[str, Any]:
    """A line of the table."""
    pace = Pace()
    made = fitted(train, seed, rung.settings, out, pace.heard, encoder=rung.encoder, **budget)
    raw = made.parts_.raw
    assert isinstance(raw, Text)
    report = translation(made.parts_, held, seed, None, Manner())
    return {
        "bleu": round(report.metrics["bleu"], 2),
        "interval": [round(end, 2) for end in report.intervals["bleu"]],
        "steps": made.report["steps"],
        "target_tokens_per_s": round(told(raw, train) * pace.tokens / pace.seconds),
        "weights": sum(weight.numel() for weight in made.parts_.model.parameters()),
        "held_out_nats": round(min(check["held_out"] for check in made.report["history"]), 3),
        "set": list(rung.settings),
    }


def told(raw: Text, train: Pairs) -> float:
    """The share of all tokens that the decoder tells: the targets', without the one that begins each."""
    source, target = (int(raw.windows(side).ragged.lengths.sum()) for side in train.values())
    return (target - len(train["target"])) / (source + target)


if __name__ == "__main__":
    typer.run(main)
