"""Training speed from one checkpoint: raw2vec and the loops that everyone writes, in turns.

    python -m benchmarks.training_peers
    python -m benchmarks.training_peers --objective contrastive

all-MiniLM-L6-v2 (the extra `minilm`) goes on learning from the functions of Python's standard library, of a few tokens
to 256. masked: tokens are hidden and told; the peer is transformers' BertForMaskedLM, its batches of as many tokens on
average, padded to the longest, at random or of like length. contrastive: docstrings find their functions, 64 pairs at a
time; the peer is sentence-transformers with MultipleNegativesRankingLoss. All read ids that are ready, and take AdamW
steps. Counted are real tokens a second without padding. The share is of the machine's GEMM rate in the same precision,
by 6 operations a token for each weight of the blocks, and for each of the head's by the tokens that it tells.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.losses import MultipleNegativesRankingLoss
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM

import raw2vec
from benchmarks.machine import Clock, gemm_rate, heading
from benchmarks.texts import mixed
from raw2vec.demos.code import library
from raw2vec.interchange.checkpoints import checkpoint_at
from raw2vec.seeding import permutation
from raw2vec.train.base import Progress

WARM = 2  # steps before the clock runs
PAIRS, TOKENS, RATE = 64, 4096, 0.15
Ids = list[NDArray[np.int64]]


def main(
    objective: Literal["masked", "contrastive"] = "masked",
    steps: int = 10,
    rounds: int = 5,
    items: int = 2000,
    seed: int = 0,
) -> None:
    """Tokens a second of all, medians over the rounds, and ours over each of theirs."""
    ways = masked(items, steps, seed) if objective == "masked" else contrastive(items, steps, seed)
    runs: dict[str, list[Clock]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            runs[name].append(way())
    rates = {name: statistics.median(run.rate for run in each) for name, each in runs.items()}
    found = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {"objective": objective, "steps": steps, "rounds": rounds, "items": items, "seed": seed},
        "gemm_gflops": {str(dtype)[6:]: round(gemm_rate(dtype) / 1e9) for dtype in (torch.float32, torch.bfloat16)},
        "tokens_per_s": {name: round(rate) for name, rate in rates.items()},
        "gemm_share": {name: round(_work(objective) * rate / gemm_rate(_of(name)), 3) for name, rate in rates.items()},
        "ratios": {
            name: {other: round(rate / rates[other], 2) for other in rates if not other.startswith("raw2vec")}
            for name, rate in rates.items()
            if name.startswith("raw2vec")
        },
    }
    print(json.dumps(found, indent=2))


def masked(items: int, steps: int, seed: int) -> dict[str, Callable[[], Clock]]:
    """Ours and theirs of masked prediction."""
    texts = mixed(items)
    ids = _ids(texts)
    settings = {"stages.0.batch_tokens": TOKENS, "stages.0.objectives": [{"name": "masked", "rate": RATE}]}
    ours = {
        f"raw2vec {precision}": partial(_fitted, texts, {}, steps, seed, {**settings, "training.precision": precision})
        for precision in ("float32", "bfloat16")
    }
    theirs = {
        f"transformers {precision}, {order}": partial(_by_bert, ids, steps, seed, precision, order == "by length")
        for order in ("at random", "by length")
        for precision in ("float32", "bfloat16")
    }
    return {**ours, **theirs}


def contrastive(items: int, steps: int, seed: int) -> dict[str, Callable[[], Clock]]:
    """Ours and theirs of pairs that find each other."""
    known = [row for row in library().select(["query", "code"]).to_pylist() if row["query"] and row["code"]]
    rows = known[:: max(1, len(known) // items)][:items]
    roles = {"input": "query", "target": "code"}
    settings = {"stages.0.objectives": ["contrastive"], "stages.0.batch_items": PAIRS}
    sides = tuple(_ids([row[name] for row in rows]) for name in roles.values())
    ours = {
        f"raw2vec {precision}": partial(
            _fitted, rows, roles, steps, seed, {**settings, "training.precision": precision}
        )
        for precision in ("float32", "bfloat16")
    }
    theirs = {
        f"sentence-transformers {precision}": partial(_by_sentences, sides, steps, seed, precision)
        for precision in ("float32", "bfloat16")
    }
    return {**ours, **theirs}


def _fitted(rows: Any, roles: dict[str, str], steps: int, seed: int, settings: dict[str, Any]) -> Clock:
    """Our own loop, checks and checkpoints left out."""
    clock = Clock(WARM)

    def heard(event: object) -> None:
        if isinstance(event, Progress) and event.tokens:
            clock.tick(event.tokens)

    held_out = {"training.hold_out": 0.0, "training.optimizer": {"name": "adamw"}}
    objective = None if roles else "masked"
    made = raw2vec.Raw2Vec(objective, steps=steps, seed=seed, checkpoint="minilm", settings={**settings, **held_out})
    made.fit(rows, **roles, listener=heard)
    return clock


def _by_bert(ids: Ids, steps: int, seed: int, precision: str, by_length: bool) -> Clock:
    """transformers' model in the usual loop; a mask for a sixth or so of the tokens, the head at every one."""
    torch.manual_seed(seed)
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=30522
    )
    model, clock = BertForMaskedLM(config).train(), Clock(WARM)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    size = round(TOKENS / np.mean([len(row) for row in ids]))
    for _, rows in zip(range(steps), _batches(ids, size, seed, by_length), strict=False):
        tokens, inside = _padded([ids[row] for row in rows])
        hidden = (torch.rand(tokens.shape) < RATE) & inside.bool()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            labels = torch.where(hidden, tokens, -100)
            loss = model(torch.where(hidden, 103, tokens), attention_mask=inside, labels=labels).loss
        _stepped(loss, model, adam)
        clock.tick(int(inside.sum()))
    return clock


def _by_sentences(sides: tuple[Ids, ...], steps: int, seed: int, precision: str) -> Clock:
    """sentence-transformers' model and loss in the usual loop."""
    torch.manual_seed(seed)
    model, clock = SentenceTransformer(str(checkpoint_at("minilm")), device="cpu", local_files_only=True), Clock(WARM)
    told = MultipleNegativesRankingLoss(model).train()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    for _, rows in zip(range(steps), _batches(sides[0], PAIRS, seed, False), strict=False):
        padded = [_padded([side[row] for row in rows]) for side in sides]
        features = [{"input_ids": tokens, "attention_mask": inside} for tokens, inside in padded]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = told(features, torch.arange(len(rows)))
        _stepped(loss, model, adam)
        clock.tick(sum(int(inside.sum()) for _, inside in padded))
    return clock


def _stepped(loss: Tensor, model: nn.Module, adam: torch.optim.Optimizer) -> None:
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adam.step()
    adam.zero_grad()


def _ids(texts: list[str]) -> Ids:
    """Each text's ids, as the checkpoint's tokenizer gives them."""
    windows = raw2vec.load("minilm").parts_.raw.windows(texts).ragged
    return [row.numpy() for row in windows.items()]


def _batches(ids: Ids, size: int, seed: int, by_length: bool) -> Iterator[NDArray[np.int64]]:
    """Rows (size,), epoch after epoch; by length: sorted, and the batches drawn."""
    lengths = np.array([len(row) for row in ids])
    for epoch in range(1_000_000):
        rows = permutation(len(ids), seed, "rows", epoch)
        if by_length:
            rows = rows[np.argsort(lengths[rows], kind="stable")]
        parts = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
        yield from (parts[place] for place in permutation(len(parts), seed, "parts", epoch))


def _padded(rows: Ids) -> tuple[Tensor, Tensor]:
    """Ids and which are real, both (B, longest)."""
    tokens = nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)
    inside = nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
    return tokens, inside


def _work(objective: str) -> float:
    """Operations a token: of MiniLM's six blocks, and of the head where tokens are told."""
    block = 384 * 4 * 384 + 2 * 384 * 1536
    return 6 * (6 * block + (RATE * 30522 * 384 if objective == "masked" else 0))


def _of(name: str) -> torch.dtype:
    return torch.bfloat16 if "bfloat16" in name else torch.float32


if __name__ == "__main__":
    typer.run(main)
