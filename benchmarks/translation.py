"""Captions from English into French: what a translator has learned after so many minutes, and what a bottleneck costs.

    python -m benchmarks.translation --data FOLDER --minutes 10
    python -m benchmarks.translation --data FOLDER --minutes 10 --set bridge=fixed

Multi30k (Elliott et al. 2016): FOLDER holds train, val and test_2016_flickr, .en.gz and .fr.gz each, line by line. A
twentieth of the 29,000 training pairs chooses the best weights on the way; `val` is what settings are compared on, and
the test lines are translated only with --test. BLEU is sacreBLEU's (13a, cased), beside it the lower-cased tokenised
one of the literature. Baselines (a dictionary learnt from the pairs, the nearest training sentence) are the protocol's.
"""

import gzip
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import raw2vec
from benchmarks.machine import heading
from raw2vec.cli.fit import changed
from raw2vec.measure.translation import translation

Pairs = dict[str, list[str]]


def main(
    data: Annotated[Path, typer.Option(help="The folder of Multi30k's files.")],
    minutes: float | None = None,
    steps: int | None = None,
    encoder: str = "transformer",
    decoder: str | None = None,
    size: str = "small",
    seed: int = 0,
    beams: list[int] = [1, 5],  # noqa: B006
    test: Annotated[bool, typer.Option(help="Translate the test lines too: once, when all is settled.")] = False,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="Where to keep the model.")] = None,
) -> None:
    """Fits on the training pairs and translates the validation lines, greedily and by beam."""
    train = pairs(data, "train")
    made = raw2vec.Raw2Vec(
        "translation",
        encoder,
        decoder=decoder,
        kind="pairs",
        size=size,
        minutes=minutes,
        steps=steps,
        seed=seed,
        settings=changed(settings) or None,
    )
    rows = [{"en": a, "fr": b} for a, b in zip(train["input"], train["target"], strict=True)]
    made.fit(rows, input="en", target="fr", out=out)
    names = {"val": "val", **({"test": "test_2016_flickr"} if test else {})}
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {"encoder": encoder, "decoder": decoder, "size": size, "minutes": minutes, "set": settings},
        "seed": seed,
        "training": {name: made.report[name] for name in ("steps", "seconds")},
        "held_out": [round(check["held_out"], 3) for check in made.report["history"]],
        **{name: judged(made, pairs(data, file), train, beams) for name, file in names.items()},
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))


def judged(made: raw2vec.Raw2Vec, held: Pairs, train: Pairs, beams: list[int]) -> dict[str, Any]:
    """The protocol's scores by each width of beam, its baselines, and the lines' own pace."""
    found: dict[str, Any] = {}
    for place, beam in enumerate(beams):
        began = time.perf_counter()
        last = place == len(beams) - 1
        report = translation(made.parts_, held, made.seed, train if last else None, beam)
        found[f"beam {beam}"] = {name: round(value, 3) for name, value in report.metrics.items()}
        found[f"beam {beam}"] |= {"intervals": report.intervals, "seconds": round(time.perf_counter() - began, 1)}
        if last:
            brackets = [(each.words, each.items, round(each.bleu, 1)) for each in report.by_length]
            found |= {"baselines": report.baselines, "by length": brackets, "signature": report.signature}
    return found


def pairs(data: Path, name: str) -> Pairs:
    """The lines of both languages, by the role they play."""
    sides = {"input": "en", "target": "fr"}
    return {role: _lines(data / f"{name}.{language}.gz") for role, language in sides.items()}


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    typer.run(main)
