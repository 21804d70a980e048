"""What length costs a translator: captions one, two, three and four at a time.

    python -m benchmarks.translation_length --data FOLDER --model cross=MODEL --model fixed=MODEL

FOLDER is that of Multi30k (benchmarks/translation.py), each MODEL a folder that was fitted on it. Captions are drawn by
the seed and joined with a space, their references alike, none twice among those of one number. Each text is translated
in one piece ("whole"), however long; and as the product does it ("by sentences"), which cuts those that are longer than
nearly all that the model learned from. BLEU is sacreBLEU's (13a, cased), with its 95% interval, by the source's words
and by the number of captions.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import raw2vec
from benchmarks.machine import heading
from benchmarks.translation import Pairs, pairs
from raw2vec.evaluate import TRANSLATION
from raw2vec.evaluate.base import Bracket
from raw2vec.folder import Model
from raw2vec.seeding import permutation
from raw2vec.use.translate import translate
from raw2vec.use.write import Manner

BRACKETS = ((1, 10), (11, 15), (16, 20), (21, 25), (26, 30), (31, 40), (41, 50), (51, 60), (61, None))
"""Words of a source, from and to; those with too few texts are left out."""


def main(
    data: Annotated[Path, typer.Option(help="The folder of Multi30k's files.")],
    models: Annotated[list[str], typer.Option("--model", help="NAME=FOLDER of a translator; repeated.")],
    captions: list[int] = [1, 2, 3, 4],  # noqa: B006
    beam: int = 1,
    lines: Annotated[int | None, typer.Option(help="Only so many captions: for a quick look.")] = None,
    seed: int = 0,
    file: str = "test_2016_flickr",
) -> None:
    """BLEU by length for each model, in one piece and by sentences."""
    known = {role: side[:lines] for role, side in pairs(data, file).items()}
    texts = {count: joined(known, count, seed) for count in captions}
    folders = dict(named(model) for model in models)
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {"models": folders, "beam": beam, "file": file, "lines": lines},
        "seed": seed,
        "texts": {count: len(part["input"]) for count, part in texts.items()},
        "models": {name: told(raw2vec.load(folder), texts, beam, seed) for name, folder in folders.items()},
    }
    print(json.dumps(found, indent=2))


def named(model: str) -> tuple[str, str]:
    """NAME=FOLDER; a folder alone is called as it is."""
    name, equals, folder = model.partition("=")
    return (name, folder) if equals else (Path(model).name, model)


def joined(known: Pairs, count: int, seed: int) -> Pairs:
    """Texts of so many captions each, on both sides alike."""
    order = permutation(len(known["input"]), seed, "joined", count)
    groups = order[: len(order) // count * count].reshape(-1, count).tolist()
    return {role: [" ".join(side[place] for place in group) for group in groups] for role, side in known.items()}


def told(made: raw2vec.Raw2Vec, texts: dict[int, Pairs], beam: int, seed: int) -> dict[str, Any]:
    """Both ways of one model; one that knows no usual length cuts nothing that fits a window."""
    parts = made.parts_
    usual = parts.raw.settings["usual"]
    with whole(parts):
        found = {"usual_tokens": usual, "whole": scored(parts, texts, beam, seed)}
    return found | ({"by sentences": scored(parts, texts, beam, seed)} if usual else {})


@contextmanager
def whole(parts: Model) -> Iterator[None]:
    """Within the block no length is unusual, so that no text is cut that fits a window."""
    usual = parts.raw.settings["usual"]
    parts.raw.settings["usual"] = 0
    try:
        yield
    finally:
        parts.raw.settings["usual"] = usual


def scored(parts: Model, texts: dict[int, Pairs], beam: int, seed: int) -> dict[str, Any]:
    """BLEU by words of all texts together, and by the number of captions; how many were cut, and the seconds."""
    began = time.perf_counter()
    made = {count: translate(parts, part["input"], Manner(beam=beam)) for count, part in texts.items()}
    seconds = time.perf_counter() - began
    outputs = {count: [each.text for each in found] for count, found in made.items()}

    def bracketed(counts: Sequence[int], brackets: Sequence[tuple[int, int | None]]) -> list[Bracket]:
        sides = [[text for count in counts for text in texts[count][role]] for role in ("input", "target")]
        ours = [text for count in counts for text in outputs[count]]
        return TRANSLATION.by_length(sides[0], ours, sides[1], seed, brackets)

    captions = {count: row(each) for count in texts for each in bracketed([count], [(1, None)])}
    return {
        "by words": {each.words: row(each) for each in bracketed(list(texts), BRACKETS)},
        "by captions": captions,
        "cut": {count: sum(each.parts > 1 for each in found) for count, found in made.items()},
        "seconds": round(seconds, 1),
    }


def row(bracket: Bracket) -> dict[str, Any]:
    """A bracket as the report has it."""
    interval = [round(end, 1) for end in bracket.interval]
    return {"texts": bracket.items, "bleu": round(bracket.bleu, 1), "interval": interval}


if __name__ == "__main__":
    typer.run(main)
