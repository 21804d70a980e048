"""Decoding speed of one and the same translator: raw2vec, Hugging Face's `generate`, and CTranslate2, in turns.

    python -m benchmarks.translation_decoding --data FOLDER --minutes 10 --out MODEL
    python -m benchmarks.translation_decoding --data FOLDER --model MODEL

FOLDER is that of Multi30k (benchmarks/translation.py), whose test captions are translated, greedily and by a beam of 5.
The model is fitted so that MarianMTModel can be a copy of it, weight by weight (benchmarks/marian.py): what differs in
the texts is how the searches go. `generate` gets batches of 32 lines of like length, longest first, its user's best
habit, and the same longest text and forbidden tokens; it alone minds no circles. CTranslate2, where it is installed,
is raw2vec's export, with as many workers of one thread as torch has threads. Seconds are from texts to texts,
tokenising included, everything loaded. The extras `peers` and `ctranslate2` bring the others.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from sacrebleu import corpus_bleu
from transformers import MarianMTModel

import raw2vec
from benchmarks.machine import heading, interleaved
from benchmarks.marian import LIKE_MARIAN, carried
from benchmarks.translation import Pairs, fitted, pairs
from raw2vec.errors import MissingExtra
from raw2vec.folder import Model
from raw2vec.interchange.ctranslate2 import QUANTIZATIONS, Exported, export
from raw2vec.models import SequenceToSequence
from raw2vec.models.sequence_to_sequence import parted
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.use.translate import rounded, translate
from raw2vec.use.write import Manner

PEER, BATCH = "hugging face", 32
Way = Callable[[list[str], int], list[str]]
"""Lines and a width of beam to translations."""


def main(
    data: Annotated[Path, typer.Option(help="The folder of Multi30k's files.")],
    model: Annotated[Path | None, typer.Option(help="A folder that an earlier run wrote with --out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the model that is fitted.")] = None,
    minutes: float | None = None,
    steps: int | None = None,
    lines: Annotated[int, typer.Option(help="Lines to translate.")] = 1000,
    pairs_learned: Annotated[int | None, typer.Option(help="Only so many training pairs: for a quick look.")] = None,
    settings: Annotated[list[str], typer.Option("--set", help="A change to the recipe, KEY=VALUE.")] = [],  # noqa: B006
    beams: list[int] = [1, 5],  # noqa: B006
    rounds: int = 5,
    seed: int = 0,
) -> None:
    """Sentences a second, ratios to Hugging Face's, BLEU, and how many lines are raw2vec's to the letter."""
    held = {role: side[:lines] for role, side in pairs(data, "test_2016_flickr").items()}
    with tempfile.TemporaryDirectory() as scratch:
        if model is None:
            model = out or Path(scratch) / "model"
            train = {role: side[:pairs_learned] for role, side in pairs(data, "train").items()}
            like = [f"{key}={json.dumps(value)}" for key, value in LIKE_MARIAN.items()]
            fitted(train, seed, [*like, *settings], model, encoder="transformer", minutes=minutes, steps=steps)
        parts = raw2vec.load(model).parts_
        peer = carried(parts)
        ways: dict[str, Way] = {"raw2vec": partial(by_raw2vec, parts), PEER: partial(by_hugging_face, peer, parts)}
        ways["raw2vec int8"] = partial(by_raw2vec, rounded(parts))
        ways |= by_ctranslate2(parts, Path(scratch))
        found = {
            "machine": heading(),
            "load": round(os.getloadavg()[0], 1),
            "command": {"model": str(model), "lines": lines, "rounds": rounds, "set": settings},
            "seed": seed,
            "training": {name: parts.report[name] for name in ("steps", "seconds", "items")},
            "largest difference of logits": difference(parts, peer, held),
            **{f"beam {beam}": timed(ways, held, beam, rounds) for beam in beams},
        }
    print(json.dumps(found, indent=2))


def timed(ways: dict[str, Way], held: Pairs, beam: int, rounds: int) -> dict[str, Any]:
    """All of them by turns with this beam."""
    written: dict[str, list[str]] = {}

    def run(name: str) -> None:
        written[name] = ways[name](held["input"], beam)

    seconds = interleaved({name: partial(run, name) for name in ways}, rounds)
    ours, count = written["raw2vec"], len(held["input"])
    return {
        name: {
            "lines_per_s": round(count / seconds[name], 1),
            "ratio": round(seconds[PEER] / seconds[name], 2),
            "bleu": round(corpus_bleu(texts, [held["target"]]).score, 2),
            "same_as_raw2vec": round(sum(map(str.__eq__, texts, ours)) / count, 3),
            "words": sum(len(text.split()) for text in texts),
        }
        for name, texts in written.items()
    }


def by_raw2vec(parts: Model | Exported, lines: list[str], beam: int) -> list[str]:
    """The model itself, or an export of it."""
    return [found.text for found in translate(parts, lines, Manner(beam=beam))]


@torch.inference_mode()
def by_hugging_face(peer: MarianMTModel, parts: Model, lines: list[str], beam: int) -> list[str]:
    """`generate` by batches of like length."""
    raw = parts.raw
    assert isinstance(raw, Text)
    sources, texts = raw.windows(lines).ragged, [""] * len(lines)
    assert len(sources) == len(lines), "a caption fits a window"
    for part in sources.lengths.argsort(descending=True, stable=True).split(BATCH):
        batch = sources.take(part)
        made = peer.generate(
            input_ids=batch.padded(raw.pad),
            attention_mask=batch.inside().long(),
            num_beams=beam,
            do_sample=False,
            max_new_tokens=min(3 * int(batch.lengths.max()) + 8, raw.max_tokens - 1),
            suppress_tokens=list(raw.unwritten),
        )
        for place, text in zip(part.tolist(), raw.restore(Ragged.of(list(made))), strict=True):
            texts[place] = text
    return texts


def by_ctranslate2(parts: Model, folder: Path) -> dict[str, Way]:
    """The exports, by their weights' type; none where CTranslate2 is not installed."""
    ways: dict[str, Way] = {}
    for quantization in QUANTIZATIONS:
        try:
            export(parts, folder / quantization, quantization)
        except MissingExtra:
            return {}
        ways[f"ctranslate2 {quantization}"] = partial(by_raw2vec, Exported(folder / quantization))
    return ways


@torch.inference_mode()
def difference(parts: Model, peer: MarianMTModel, held: Pairs) -> float:
    """The largest between both models' logits over some captions and their references."""
    ours, raw = parts.model, parts.raw
    assert isinstance(ours, SequenceToSequence)
    assert isinstance(raw, Text)
    source, target = (raw.windows(side[:BATCH]).ragged for side in (held["input"], held["target"]))
    states, _ = ours.written(ours.read(source), target)
    before, _ = parted(target)
    inputs = {"input_ids": source.padded(raw.pad), "attention_mask": source.inside().long()}
    theirs = before.unpadded(peer(**inputs, decoder_input_ids=before.padded(raw.pad)).logits)
    return float((ours.readout.logits(states.values) - theirs).abs().max())


if __name__ == "__main__":
    typer.run(main)
