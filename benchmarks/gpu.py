"""Large training and encoding on one card: raw2vec beside transformers and sentence-transformers, as shares of GEMM.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --texts FILE --cifar FOLDER
    python -m benchmarks.gpu --device cpu --size tiny

Of ModernBERT-base's size, in bfloat16, with AdamW. training: masked prediction, items end to end, all of 1,024
tokens (`full`) and of real lengths (`mixed`); the peer is transformers' ModernBertForMaskedLM in the usual loop, its
batches of as many tokens, padded to the longest. encoding: texts of at most 512 tokens to vectors, tokenisation
included, by one and the same folder; the peer is sentence-transformers in bfloat16, which sorts by length. Counted are
tokens without padding. A share is of the rate of a square product, by 6 operations a token for each weight of the
blocks and of the head where it tells a token, and by 12 for each of a layer's features and each row looked at. Texts
are made of a drawn lexicon, their lengths drawn too (log-normal), or are a file's lines. --cifar: a folder of
cifar10-train.tar.xz and cifar10-test.tar.xz. Nothing is downloaded. Prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import sentence_transformers
import torch
import transformers
import typer
from torch import Tensor, nn

import raw2vec
from benchmarks.machine import Clock, gemm_rate, heading, interleaved
from benchmarks.vision import Labelled, fitted, opened, told
from raw2vec.corpus import Corpus
from raw2vec.evaluate import ARRAY_KNN
from raw2vec.ragged import Ragged
from raw2vec.recipe import Training, View
from raw2vec.seeding import permutation
from raw2vec.train.base import Progress, Work
from raw2vec.train.batches import Feed
from raw2vec.train.budget import Budget
from raw2vec.train.loop import Trainer
from raw2vec.train.optimizers import adamw

WARM = 3  # steps before the clock runs
RATE = 0.3  # of tokens that are hidden
NARROW = torch.bfloat16


class Size(NamedTuple):
    """A model, and what it is measured on: rows of a training batch, the longest item there and where it encodes."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    window: int
    tokens: int
    trained: int
    encoded: int
    texts: int


SIZES = {
    "base": Size(768, 22, 12, 1152, 50_368, 128, 1 << 16, 1024, 512, 8192),
    "tiny": Size(64, 3, 2, 96, 600, 16, 1 << 9, 64, 32, 128),
}


def main(
    device: str = "cuda",
    size: Literal["base", "tiny"] = "base",
    texts: Annotated[Path | None, typer.Option(help="Lines to take instead of drawn texts.")] = None,
    cifar: Annotated[Path | None, typer.Option(help="The folder of CIFAR-10's archives.")] = None,
    steps: int = 10,
    rounds: int = 5,
    minutes: Annotated[float, typer.Option(help="Of each of CIFAR-10's two fits.")] = 1.5,
    seed: int = 0,
) -> None:
    """Everything, in under eight minutes of a large card; what does not fit in its memory is told of."""
    began, place, asked = time.perf_counter(), torch.device(device), SIZES[size]
    if place.type == "cuda" and not torch.cuda.is_available():
        raise typer.BadParameter("there is no card here; --device cpu --size tiny tries the benchmark itself.")
    lines = texts.read_text(encoding="utf-8").splitlines() if texts else drawn(asked, seed)
    gemm = gemm_rate(NARROW, 8192 if place.type == "cuda" else 512, place)
    found: dict[str, Any] = {
        "machine": heading(),
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu",
        "versions": {part.__name__: part.__version__ for part in (torch, transformers, sentence_transformers)},
        "command": {"size": size, "steps": steps, "rounds": rounds, "seed": seed, "texts": str(texts or "drawn")},
        "gemm_tflops_bfloat16": round(gemm / 1e12, 3),
    }
    with tempfile.TemporaryDirectory() as scratch:
        made = begun(lines, asked, device, seed, Path(scratch) / "model")
        found["training"] = training(made, lines, asked, place, steps, seed, gemm)
        found["encoding"] = encoding(Path(scratch) / "model", lines, asked, device, rounds)
    if cifar is not None:
        found["cifar10"] = pictures(cifar, minutes, seed)
    print(json.dumps({**found, "seconds": round(time.perf_counter() - began)}, indent=2))


def drawn(size: Size, seed: int) -> list[str]:
    """Texts of drawn words, a few to about the longest, as a log-normal distribution has them: half of a quarter."""
    draw = np.random.default_rng(seed)
    syllables = np.array([a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er")])
    lexicon = ["".join(draw.choice(syllables, draw.integers(1, 5))) for _ in range(size.vocabulary)]
    lengths = draw.lognormal(np.log(size.trained / 4), 0.8, size.texts).clip(4, size.trained - 2).astype(int)
    chosen = (draw.zipf(1.2, length) % len(lexicon) for length in lengths)  # a few words are frequent
    return [" ".join(lexicon[word] for word in words) for words in chosen]


def begun(lines: list[str], size: Size, device: str, seed: int, folder: Path) -> raw2vec.Raw2Vec:
    """A model of this size that has learned the lines' tokens, and nothing else yet: it took one step."""
    parts = {
        "raw.vocabulary": size.vocabulary,
        "raw.max_tokens": size.trained,
        "encoder.width": size.width,
        "encoder.layers": size.layers,
        "encoder.heads": size.heads,
        "encoder.feed_forward": size.feed_forward,
        "encoder.window": size.window,
        "stages.0.batch_tokens": size.trained,
        "stages.0.objectives": [{"name": "masked", "rate": RATE}],
        "training.hold_out": 0.0,
        "training.precision": "bfloat16",
    }
    made = raw2vec.Raw2Vec("masked", "transformer", steps=1, seed=seed, settings=parts, device=device)
    return made.fit(lines, out=str(folder))


def training(
    made: raw2vec.Raw2Vec, lines: list[str], size: Size, place: torch.device, steps: int, seed: int, gemm: float
) -> dict[str, Any]:
    """Tokens a second of ours and theirs, each on items of one length and of real lengths."""
    mixed = made.parts_.raw.windows(lines).ragged
    whole = len(mixed.values) // size.trained * size.trained
    full = Ragged(mixed.values[:whole], torch.full((whole // size.trained, 1), size.trained))
    found: dict[str, Any] = {}
    for name, items in (("full", full), ("mixed", mixed)):
        ways = {"raw2vec": partial(ours, made), "transformers": partial(theirs, len(made.parts_.model.table))}
        rates = {}
        for who, way in ways.items():
            forget(place)
            try:
                clock = way(items, size, place, steps, seed)
            except torch.OutOfMemoryError as error:
                found[f"{name}, {who}"] = str(error).split(". ")[0]
                continue
            work = operations(items, size, len(made.parts_.model.table))
            share = clock.rate * work / gemm
            rates[who] = clock.rate
            found[f"{name}, {who}"] = {
                "tokens_per_s": round(clock.rate),
                "gemm_share": round(share, 3),
                "peak_gb": round(peak(place) / 1e9, 2),
            }
        if len(rates) == len(ways):
            found[f"{name}, ratio"] = round(rates["raw2vec"] / rates["transformers"], 2)
    return found


def ours(made: raw2vec.Raw2Vec, items: Ragged, size: Size, place: torch.device, steps: int, seed: int) -> Clock:
    """raw2vec's own loop over items that lie ready."""
    clock, parts = Clock(WARM), made.parts_
    modules = nn.ModuleDict({"model": parts.model, "objectives": parts.objectives}).to(place)
    feed = Feed(laid(items), [View(columns={"input": "text"})], "sides", False, seed, batch_tokens=size.tokens)
    objective = parts.objectives["0/masked"]
    losses = [(lambda batch, draws: objective(parts.model, batch, draws), 1.0)]
    training = Training(steps=WARM + steps, hold_out=0.0)
    work = Work("masked", feed, losses, lambda: adamw([parts.model, objective]), 1e-4, 1.0)

    def heard(event: Progress) -> None:
        settle(place)
        clock.tick(event.tokens)

    Trainer(modules, [work], training, Budget(training), seed, listener=heard, precision=NARROW).run()
    modules.cpu()  # what the peer's peak of memory has no part in
    return clock


def theirs(vocabulary: int, items: Ragged, size: Size, place: torch.device, steps: int, seed: int) -> Clock:
    """transformers' model in the usual loop; masks for as many tokens, batches at random."""
    torch.manual_seed(seed)
    config = transformers.ModernBertConfig(
        vocab_size=vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.feed_forward,
        local_attention=size.window,
        max_position_embeddings=size.trained,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
    )
    model, clock = transformers.ModernBertForMaskedLM(config).to(place).train(), Clock(WARM)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    for rows in dealt(items, size, WARM + steps, seed):
        tokens, inside = (part.to(place) for part in padded(items.take(rows)))
        hidden = (torch.rand(tokens.shape, device=place) < RATE) & inside.bool()
        with torch.autocast(place.type, NARROW):
            labels = torch.where(hidden, tokens, -100)
            loss = model(torch.where(hidden, 1, tokens), attention_mask=inside, labels=labels).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        settle(place)
        clock.tick(int(inside.sum()))
    return clock


def encoding(folder: Path, lines: list[str], size: Size, device: str, rounds: int) -> dict[str, Any]:
    """Texts to vectors, end to end, in turns: tokens a second, and how alike the vectors are."""
    mine = raw2vec.load(folder, device=device)
    peer = sentence_transformers.SentenceTransformer(
        str(folder), device=device, local_files_only=True, model_kwargs={"torch_dtype": NARROW}
    )
    peer.max_seq_length = size.encoded
    lengths = mine.parts_.raw.windows(lines).ragged.lengths
    short = [line for line, length in zip(lines, lengths.tolist(), strict=True) if length <= size.encoded]
    tokens = int(lengths[lengths <= size.encoded].sum())
    ways: dict[str, Callable[[], Any]] = {
        "raw2vec": partial(mine.encode, short, precision="bfloat16"),
        "sentence-transformers": partial(peer.encode, short, batch_size=max(size.tokens // size.encoded, 1)),
    }
    cosines = nn.functional.cosine_similarity(*(torch.from_numpy(np.asarray(way())) for way in ways.values()))
    seconds = interleaved(ways, rounds)
    return {
        **{f"{name}, tokens_per_s": round(tokens / each) for name, each in seconds.items()},
        "ratio": round(seconds["sentence-transformers"] / seconds["raw2vec"], 2),
        "worst_cosine": round(float(cosines.min()), 5),
    }


def pictures(folder: Path, minutes: float, seed: int) -> dict[str, Any]:
    """CIFAR-10 by its labels (the aim is 94%), and without (SimCLR): what nearest neighbours tell of the vectors."""
    train, test = opened(folder)
    options = {"size": "small", "seed": seed, "minutes": minutes}
    learned, spent = fitted(train, "supervised", "convolutional", options, [])
    alone, took = fitted(train, "contrastive", "convolutional", options, [])
    return {
        "supervised": {**told(learned, test), "aim": 0.94, "seconds": round(spent["seconds"])},
        "contrastive": {"knn": neighbours(alone, train, test, seed), "seconds": round(took["seconds"])},
    }


def neighbours(made: raw2vec.Raw2Vec, train: Labelled, test: Labelled, seed: int) -> float:
    """The accuracy of the nearest training pictures' classes."""
    vectors = np.concatenate([made.transform(part.pictures) for part in (train, test)])
    rows = [{"input": list(part.pictures), "label": part.classes.tolist()} for part in (train, test)]
    return round(ARRAY_KNN.run(lambda items, role: vectors, rows[1], seed, rows[0]).metrics["accuracy"], 4)


def operations(items: Ragged, size: Size, vocabulary: int) -> float:
    """Of a token's forward and backward pass, the mean over the items' tokens."""
    block = 4 * size.width**2 + 3 * size.width * size.feed_forward
    weights = size.layers * block + RATE * vocabulary * size.width
    lengths = items.lengths.double()
    near = lengths.clamp(max=size.window + 1)
    wide = -(-size.layers // 3)  # every third layer looks at the whole item
    looked = (lengths * (wide * lengths + (size.layers - wide) * near)).sum() / lengths.sum()
    return 6 * weights + 12 * size.width * float(looked)


def laid(items: Ragged) -> Corpus:
    """The items as training data."""
    starts = items.offsets[:-1].numpy()[:, None]
    shapes = items.shapes.numpy()[:, None]
    return Corpus(("text",), items.values.numpy(), starts, shapes, np.zeros(len(items), np.bool_))


def dealt(items: Ragged, size: Size, steps: int, seed: int) -> Iterator[Tensor]:
    """Rows of so many batches, drawn, of as many tokens on average as ours."""
    count = max(round(size.tokens / float(items.lengths.double().mean())), 1)
    order = np.concatenate([permutation(len(items), seed, "rows", n) for n in range(steps * count // len(items) + 1)])
    yield from (torch.from_numpy(order[step * count : (step + 1) * count]) for step in range(steps))


def padded(items: Ragged) -> tuple[Tensor, Tensor]:
    """Ids and which are real, both (B, longest)."""
    return items.padded().long(), items.inside().long()


def settle(place: torch.device) -> None:
    """Waits for the card, whose work is what is measured."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)


def forget(place: torch.device) -> None:
    """Counts the peak of memory anew."""
    if place.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(place)


def peak(place: torch.device) -> float:
    """Bytes at most, since `forget`; on a CPU of the whole process, since it began."""
    if place.type == "cuda":
        return torch.cuda.max_memory_allocated(place)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    typer.run(main)
