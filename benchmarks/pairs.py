"""Pairs of small real data that find each other: spoken digits and their words, words and their meanings.

    python -m benchmarks.pairs --corpus digits --data FOLDER/fsdd_8khz.npz --minutes 2
    python -m benchmarks.pairs --corpus glosses --data FOLDER/wordnet30.tsv.gz --minutes 10

digits: the Free Spoken Digit Dataset by its official split, a clip beside the word that is said in it; an encoder of
sounds and one of words. The test clips' digits are then told by the names alone (zero-shot/1), beside a logistic
regression over each band's mean and deviation that is shown the labels.
glosses: WordNet 3.0 (Fellbaum 1998), the lemmas of a synset beside its definition, one encoder for both; of 1,000
synsets that are held out, definitions are looked for by the lemmas (retrieval/1), beside BM25 and TF-IDF.
"""

import gzip
import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

import raw2vec
from benchmarks.fsdd import SOUND, TEST, baselines, opened
from benchmarks.machine import heading
from raw2vec.seeding import permutation
from raw2vec.settings import worded

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
HELD_OUT = 1000
Pairs = dict[str, list[Any]]


def main(
    data: Annotated[Path, typer.Option(help="The .npz of clips, or the .tsv.gz of synsets.")],
    corpus: Literal["digits", "glosses"] = "digits",
    minutes: float = 2.0,
    steps: Annotated[int | None, typer.Option(help="Instead of minutes.")] = None,
    seed: int = 0,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
) -> None:
    """Fits on the pairs and prints how those held out find each other."""
    budget: dict[str, Any] = {"steps": steps} if steps else {"minutes": minutes}
    run = digits if corpus == "digits" else glosses
    began = time.process_time()
    found = run(data, worded(settings), seed, budget)
    asked = {"corpus": corpus, "seed": seed, "set": settings, **budget}
    print(json.dumps({"machine": heading(), "command": asked, **found, "cpu_s": round(time.process_time() - began)}))


def digits(path: Path, settings: dict[str, Any], seed: int, budget: dict[str, Any]) -> dict[str, Any]:
    """Sounds told by words: accuracy of the test clips' digits."""
    clips, labels, numbers = opened(path)
    test = np.isin(numbers, TEST)
    sides = [[clips[place] for place in np.flatnonzero(part)] for part in (~test, test)]
    said = [[WORDS[digit] for digit in labels[part]] for part in (~test, test)]
    made = raw2vec.Raw2Vec("contrastive", kind="audio", seed=seed, settings={"raw": SOUND, **settings}, **budget)
    made.fit({"clip": sides[0], "word": said[0]}, input="clip", target="word")
    report = made.evaluate({"clip": sides[1], "word": said[1]}, "zero-shot", input="clip", label="word")
    rivals = baselines(sides[0], sides[1], (labels[~test], labels[test]))
    return {
        "steps": made.report["steps"],
        report.protocol: {name: round(value, 4) for name, value in report.metrics.items()},
        "interval": report.intervals.get("accuracy"),
        "with labels": {name: round(value, 4) for name, value in rivals.items()},
    }


def glosses(path: Path, settings: dict[str, Any], seed: int, budget: dict[str, Any]) -> dict[str, Any]:
    """Definitions found by lemmas: MRR and recall among those held out."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        cells = [line.rstrip("\n").split("\t") for line in file]
    rows = [(lemmas.replace("|", ", "), gloss) for _, lemmas, gloss, *_ in cells]
    order = permutation(len(rows), seed, "held out")
    train, held = ([rows[place] for place in part] for part in (order[HELD_OUT:], order[:HELD_OUT]))
    made = raw2vec.Raw2Vec("contrastive", kind="pairs", seed=seed, settings=settings or None, **budget)
    made.fit(sides_of(train), input="lemmas", target="gloss")
    report = made.evaluate(sides_of(held), "retrieval", input="lemmas", target="gloss")
    told = {name: {one: round(value, 4) for one, value in values.items()} for name, values in report.baselines.items()}
    ours = {name: round(value, 4) for name, value in report.metrics.items()}
    return {"steps": made.report["steps"], report.protocol: {"raw2vec": ours, **told}, "intervals": report.intervals}


def sides_of(rows: list[tuple[str, str]]) -> Pairs:
    lemmas, meanings = zip(*rows, strict=True)
    return {"lemmas": list(lemmas), "gloss": list(meanings)}


if __name__ == "__main__":
    typer.run(main)
