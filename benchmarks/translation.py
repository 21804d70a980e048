"""English into French: what a translator has learned after so many minutes, and what a bottleneck costs.

    python -m benchmarks.translation --data FOLDER --minutes 10
    python -m benchmarks.translation --data FOLDER --minutes 10 --set bridge=fixed
    python -m benchmarks.translation --corpus tatoeba --data FOLDER --minutes 30
    python -m benchmarks.translation --data FOLDER --model MODEL --model ANOTHER --test

Captions of Multi30k (Elliott et al. 2016): FOLDER holds train, val and test_2016_flickr, .en.gz and .fr.gz each, line
by line. Sentences of Tatoeba: train and dev, .tsv.gz of two columns; a sentence may stand there with several
translations, each in a line of its own and held against that alone, so that nothing could reach 100.

A twentieth of the training pairs chooses the best weights on the way; `val` (`dev`) is what settings are compared on,
and the test lines are translated only with --test. With --model nothing is fitted: models that --out kept are judged,
several as an ensemble, which takes fits of one --set training.hold_out_seed=N.

BLEU is sacreBLEU's (13a, cased), beside it the lower-cased tokenised one of the literature. Baselines (a dictionary
learnt from the pairs, the nearest training sentence) are the protocol's.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

import raw2vec
from benchmarks.machine import heading
from raw2vec.measure.translation import translation
from raw2vec.settings import worded
from raw2vec.train.base import Listener
from raw2vec.use.write import Manner

Pairs = dict[str, list[str]]
CorpusName = Literal["multi30k", "tatoeba"]
CORPORA: dict[CorpusName, tuple[str, str]] = {"multi30k": ("val", "test_2016_flickr"), "tatoeba": ("dev", "test")}
"""What settings are compared on, and what is translated once."""


def main(
    data: Annotated[Path, typer.Option(help="The folder of the corpus' files.")],
    corpus: CorpusName = "multi30k",
    minutes: float | None = None,
    steps: int | None = None,
    encoder: str = "transformer",
    decoder: str | None = None,
    size: str = "small",
    seed: int = 0,
    beams: list[int] = [1, 5],  # noqa: B006
    length_penalty: Annotated[
        float, typer.Option(help="1: drafts are compared by their mean; more: long ones win.")
    ] = 1.0,
    test: Annotated[bool, typer.Option(help="Translate the test lines too: once, when all is settled.")] = False,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="Where to keep the model.")] = None,
    models: Annotated[list[Path], typer.Option("--model", help="Judge this instead; several: an ensemble.")] = [],  # noqa: B006
) -> None:
    """Fits on the training pairs and translates the validation lines, greedily and by beam."""
    names = CORPORA[corpus][: 2 if test else 1]
    held, train = {name: pairs(data, name) for name in names}, pairs(data, "train")
    asked: dict[str, Any] = {"encoder": encoder, "decoder": decoder, "size": size, "minutes": minutes, "steps": steps}
    made, *beside = [raw2vec.load(str(model)) for model in models] or [fitted(train, seed, settings, out, **asked)]
    manners = [Manner(beam=beam, length_penalty=length_penalty) for beam in beams]
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {
            "corpus": corpus,
            **asked,
            "set": settings,
            "models": list(map(str, models)),
            "penalty": length_penalty,
        },
        "seed": seed,
        "training": {name: made.report[name] for name in ("steps", "seconds")},
        "held_out": [round(check["held_out"], 3) for check in made.report["history"]],
        **{name: judged(made, lines, train, manners, beside) for name, lines in held.items()},
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))


def fitted(
    train: Pairs,
    seed: int,
    settings: Sequence[str] = (),
    out: Path | None = None,
    listener: Listener = lambda event: None,
    **asked: Any,
) -> raw2vec.Raw2Vec:
    """A translator of these pairs; `asked` are Raw2Vec's own arguments, `settings` changes to its recipe."""
    made = raw2vec.Raw2Vec("translation", kind="pairs", seed=seed, settings=worded(list(settings)) or None, **asked)
    rows = [{"en": a, "fr": b} for a, b in zip(train["input"], train["target"], strict=True)]
    return made.fit(rows, input="en", target="fr", out=out, listener=listener)


def judged(
    made: raw2vec.Raw2Vec, held: Pairs, train: Pairs, manners: list[Manner], beside: Sequence[raw2vec.Raw2Vec] = ()
) -> dict[str, Any]:
    """The protocol's scores by each width of beam, its baselines, and the lines' own pace."""
    found: dict[str, Any] = {}
    for place, manner in enumerate(manners):
        began = time.perf_counter()
        last = place == len(manners) - 1
        others = [each.parts_ for each in beside]
        report = translation(made.parts_, held, made.seed, train if last else None, manner, beside=others)
        found[f"beam {manner.beam}"] = {name: round(value, 3) for name, value in report.metrics.items()}
        found[f"beam {manner.beam}"] |= {
            "intervals": report.intervals,
            "seconds": round(time.perf_counter() - began, 1),
        }
        if last:
            brackets = [(each.words, each.items, round(each.bleu, 1)) for each in report.by_length]
            found |= {"baselines": report.baselines, "by length": brackets, "signature": report.signature}
    return found


def pairs(data: Path, name: str) -> Pairs:
    """The lines of both languages, by the role they play: of one file of two columns, or of a file for each."""
    if (table := data / f"{name}.tsv.gz").exists():
        columns = zip(*(line.split("\t") for line in _lines(table)), strict=True)
        return dict(zip(("input", "target"), map(list, columns), strict=True))
    sides = {"input": "en", "target": "fr"}
    return {role: _lines(data / f"{name}.{language}.gz") for role, language in sides.items()}


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    typer.run(main)
