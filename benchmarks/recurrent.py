"""The recurrent encoder beside the bare nn.LSTM: training tokens a second on real texts of mixed lengths, in turns.

    python -m benchmarks.recurrent
    python -m benchmarks.recurrent --threads 2 --precision bfloat16

Forward and backward pass of a batch of the standard library's functions, as vectors that lie ready (Ragged for ours,
padded for theirs): ours is the encoder `recurrent`; theirs is torch's module, over the padded batch (`padded`) and over
`pack_padded_sequence` of it, unpacked again (`packed`). All have the same weights, and the loss is the mean of the
squares of the states at real places. Batches are of items of like length, as ours are trained (`by length`), or drawn
(`at random`). Counted are tokens without padding. clock: `cpu` counts a thread's own seconds, where other programs run.
Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.machine import gemm_rate, heading
from benchmarks.texts import mixed
from raw2vec.encoders import Recurrent
from raw2vec.ragged import Ragged
from raw2vec.seeding import generator, permutation
from raw2vec.yardstick import in_turn

LONGEST = 256


def main(
    width: int = 256,
    layers: int = 1,
    cell: Literal["lstm", "gru"] = "lstm",
    directions: int = 2,
    tokens: int = 4096,
    batches: int = 4,
    rounds: int = 7,
    threads: int = 1,
    precision: Literal["float32", "bfloat16"] = "float32",
    clock: Literal["wall", "cpu"] = "wall",
    seed: int = 0,
) -> None:
    """Tokens a second of each, and ours over theirs: medians over the rounds."""
    torch.set_num_threads(threads)
    clocks = {"wall": time.perf_counter, "cpu": time.process_time}
    ours = Recurrent(width, width, layers, cell, directions)
    theirs = bare(ours)
    found: dict[str, object] = {
        "machine": heading(),
        "load": round(os.getloadavg()[0], 1),
        "command": {"width": width, "layers": layers, "cell": cell, "directions": directions, "tokens": tokens}
        | {
            "batches": batches,
            "rounds": rounds,
            "threads": threads,
            "precision": precision,
            "clock": clock,
            "seed": seed,
        },
        "gemm_gflops": round(gemm_rate(getattr(torch, precision)) / 1e9),
    }
    for order in ("by length", "at random"):
        chosen = drawn(order == "by length", tokens, batches, width, seed)
        ways: dict[str, Callable[[Ragged, Tensor], Tensor]] = {
            "raw2vec": lambda items, rectangle: of_ours(ours, items),
            "padded": lambda items, rectangle: of_padded(theirs, items, rectangle),
            "packed": lambda items, rectangle: of_packed(theirs, items, rectangle),
        }
        contestants = {name: partial(learned, way, chosen, precision) for name, way in ways.items()}
        seconds = {name: statistics.median(each) for name, each in in_turn(contestants, rounds, clocks[clock]).items()}
        real = sum(len(items.values) for items, _ in chosen)
        found[order] = {
            "padding": round(1 - real / sum(rectangle[..., 0].numel() for _, rectangle in chosen), 3),
            "tokens_per_s": {name: round(real / each) for name, each in seconds.items()},
            "ratios": {name: round(seconds[name] / seconds["raw2vec"], 2) for name in ("padded", "packed")},
        }
    print(json.dumps(found, indent=2))


def bare(ours: Recurrent) -> nn.LSTM | nn.GRU:
    """torch's module with the same weights."""
    cells = [layer.cell for layer in ours.layers]
    first = cells[0]
    made = type(first)(
        first.input_size, first.hidden_size, len(cells), bidirectional=first.bidirectional, batch_first=True
    )
    made.load_state_dict(
        {
            name.replace("_l0", f"_l{n}"): value
            for n, cell in enumerate(cells)
            for name, value in cell.state_dict().items()
        }
    )
    return made


def drawn(by_length: bool, tokens: int, batches: int, width: int, seed: int) -> list[tuple[Ragged, Tensor]]:
    """Batches of about so many tokens, as vectors: end to end, and padded."""
    lengths = np.array([min(len(text.split()) + 2, LONGEST) for text in mixed(4000)])
    order = permutation(len(lengths), seed, "rows")
    if by_length:
        order = order[np.argsort(lengths[order], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(lengths[order].cumsum() // tokens)) + 1)[:-1]
    chosen = [parts[n] for n in permutation(len(parts), seed, "parts")[:batches]]
    found = []
    for number, rows in enumerate(chosen):
        shapes = torch.from_numpy(lengths[rows])[:, None]
        values = torch.randn(int(shapes.sum()), width, generator=generator(seed, "values", number))
        items = Ragged(values, shapes)
        found.append((items, items.padded()))
    return found


def learned(way: Callable[[Ragged, Tensor], Tensor], batches: list[tuple[Ragged, Tensor]], precision: str) -> None:
    """Forward and backward pass of each batch."""
    for items, rectangle in batches:
        # What was worked out of the shapes is worked out anew, as for a batch that comes from a file.
        fresh = Ragged(items.values.detach().requires_grad_(), items.shapes)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            states = way(fresh, rectangle.detach().requires_grad_())
        states.float().square().mean().backward()


def of_ours(encoder: Recurrent, items: Ragged) -> Tensor:
    """The states at the items' rows (N, width)."""
    return encoder(items).values


def of_padded(module: nn.LSTM | nn.GRU, items: Ragged, rectangle: Tensor) -> Tensor:
    """The same, of the real places of a padded batch."""
    return module(rectangle)[0][items.inside()]


def of_packed(module: nn.LSTM | nn.GRU, items: Ragged, rectangle: Tensor) -> Tensor:
    """The same by a packed sequence, as PyTorch's tutorials have it."""
    packed = pack_padded_sequence(rectangle, items.lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(module(packed)[0], batch_first=True)[0][items.inside()]


if __name__ == "__main__":
    typer.run(main)
