"""A model's own speed on this machine, as a share of what the machine can do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from raw2vec.engines import Engine
from raw2vec.errors import BadInput, NumberedList
from raw2vec.fitting.device import working_precision
from raw2vec.fitting.report import hardware
from raw2vec.folder import Model
from raw2vec.measure import columns_of
from raw2vec.models import AnyModel
from raw2vec.ragged import Ragged
from raw2vec.raw import Raw, Text
from raw2vec.seeding import Draws
from raw2vec.sides import Side, column_side
from raw2vec.system import Raw2Vec
from raw2vec.use.base import present
from raw2vec.use.encode import encode, evaluation
from raw2vec.yardstick import gemm_rate, in_turn, timed

ROUNDS = 5
LENGTHS = {"mixed": (4, 256), "short": (8, 16)}
"""Tokens of texts that are made up to be encoded: drawn between these on a scale of doublings, mixed as texts are."""
FIRST, MOST = 64, 8192  # items of a first try, and at most of a timed one
A_ROUND = 0.5  # seconds that a round is to take
COUNTED = 64  # items whose operations are counted
_FLOAT32, _BFLOAT16, _INT8 = "float32", "bfloat16", "int8"
_MULTIPLIED = {_FLOAT32: torch.float32, _BFLOAT16: torch.bfloat16}


@dataclass(frozen=True)
class Speed:
    """One way of encoding: the median of all rounds, and what the slowest and the fastest gave.

    tokens: rows that the encoder read, a text's tokens with its boundaries, patches, frames or columns. share: of the
    machine's rate of matrix products in this precision; None where the operations cannot be counted, and of int8.
    """

    lengths: str
    precision: str
    items: int
    tokens: int
    seconds: float
    items_per_s: float
    tokens_per_s: float
    slowest: float
    fastest: float
    share_of_gemm: float | None


@dataclass(frozen=True)
class Bench:
    """All speeds of a model, the machine's rate of matrix products by precision, in GFLOP/s, and what it is."""

    speeds: list[Speed]
    gemm_gflops: dict[str, float]
    machine: str
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values, `metrics` those of the first way: mixed lengths, or the data, in float32."""
        first = self.speeds[0]
        metrics = {name: getattr(first, name) for name in ("items_per_s", "tokens_per_s", "share_of_gemm")}
        return {"metrics": metrics, **asdict(self)}


def bench(
    model: Raw2Vec,
    data: Any = None,
    *,
    input: str | None = None,
    side: Side | None = None,
    rounds: int = ROUNDS,
    progress: Callable[[int], None] = lambda items: None,
) -> Bench:
    """How fast the model encodes the data; none: texts made up of drawn tokens, or its golden inputs over and over.

    Everything counts from items to vectors in memory, tokenizing as well. Precisions take turns.
    """
    if rounds < ROUNDS:
        raise BadInput(f"Speeds are medians of at least {ROUNDS} rounds, not {rounds}: a machine has its moments.")
    parts = model.parts_
    place = next(parts.model.parameters()).device
    work, role = _work(parts, data, input, side)
    inner, raw = parts.model.side(role), parts.raw.side(role)
    ways = _ways(model, role)
    multiplied = {name: dtype for name, dtype in _MULTIPLIED.items() if name in ways}
    rates = {name: gemm_rate(dtype, device=place) for name, dtype in multiplied.items()}
    speeds = []
    for lengths, items in work.items():
        speeds += _speeds(inner, raw, lengths, items, ways, rates, rounds)
        progress(len(items))
    notes = [] if data is not None else [_stand_in(raw, work)]
    if speeds[0].share_of_gemm is None:
        notes.append("a recurrence's operations cannot be counted, so that its share of the machine's rate is not told")
    return Bench(speeds, {name: round(rate / 1e9, 1) for name, rate in rates.items()}, hardware(), notes)


def _ways(model: Raw2Vec, role: Side) -> dict[str, Engine | None]:
    """PyTorch's engine of each precision that is worth having here; None: the model as it is."""
    ways: dict[str, Engine | None] = {_FLOAT32: None}
    if working_precision("auto", next(model.parts_.model.parameters()).device) is torch.bfloat16:
        ways[_BFLOAT16] = model._engine(role, "torch", _BFLOAT16)
    if isinstance(model.parts_.raw.side(role), Text):
        with suppress(BadInput):  # no such processor, or nothing to gain
            ways[_INT8] = model._engine(role, "torch", _INT8)
    return ways


def _work(parts: Model, data: Any, input: str | None, side: Side | None) -> tuple[dict[str, list[Any]], Side]:
    """Items to encode by what they are called, and the side that reads them."""
    if data is None:
        role: Side = side or "input"
        raw = parts.raw.side(role)
        if isinstance(raw, Text):
            return {name: drawn_texts(raw, MOST, *edges) for name, edges in LENGTHS.items()}, role
        golden = parts.golden_targets if role == "target" and parts.golden_targets else parts.golden
        if not golden or not golden[0]:
            raise BadInput("This model's folder keeps no inputs to encode: give DATA.")
        return {"golden": list(islice(cycle(golden[0]), MOST))}, role
    rows, columns = columns_of(parts, data, input=input)
    role = side or column_side(parts, rows, columns["input"])
    items: list[Any] = []
    for batch in rows.batches():
        items += parts.raw.side(role).column(batch, columns["input"])
        if len(items) >= MOST:
            break
    items = [items[place] for place in present(items[:MOST])]
    if not items:
        raise BadInput(f"{rows.name} has nothing to encode in '{columns['input']}'.")
    return {"data": items}, role


def drawn_texts(raw: Text, count: int, least: int, most: int, seed: int = 0) -> list[str]:
    """Texts of drawn tokens, of `least` to `most` of them on a scale of doublings and no more than the model takes."""
    most = max(min(most, raw.max_tokens - 2), 1)
    luck = Draws(seed).uniform("lengths", torch.arange(count)).double()
    lengths = (min(least, most) * (most / min(least, most)) ** luck).round().long()
    numbers = torch.arange(int(lengths.sum()))
    ids = raw.ordinary.start + (Draws(seed).uniform("tokens", numbers).double() * len(raw.ordinary)).long()
    return raw.restore(Ragged(ids, lengths[:, None]))


def _speeds(
    model: AnyModel,
    raw: Raw,
    lengths: str,
    items: Sequence[Any],
    ways: Mapping[str, Engine | None],
    rates: Mapping[str, float],
    rounds: int,
) -> list[Speed]:
    """The same items in every way, as many as fill a round."""

    def work(some: Sequence[Any], engine: Engine | None) -> object:
        return encode(model, raw, NumberedList(range(len(some)), list(some), unreadable={}), engine=engine)

    first = items[:FIRST]
    work(first, None)
    each = timed(lambda: work(first, None)) / len(first)
    chosen = list(islice(items, max(1, min(math.ceil(A_ROUND / max(each, 1e-9)), len(items)))))
    windows = raw.windows(chosen).ragged
    tokens = int(model.embedding.grids(windows.shapes).prod(dim=1).sum())
    operations = _operations(model, raw, chosen)
    found = in_turn({name: partial(work, chosen, engine) for name, engine in ways.items()}, rounds)
    speeds = []
    for name, seconds in found.items():
        usual = statistics.median(seconds)
        rate = rates.get(name)
        share = None if operations is None or rate is None else round(operations * len(chosen) / usual / rate, 4)
        pace = [round(len(chosen) / each, 1) for each in (usual, max(seconds), min(seconds))]
        paces = {"items_per_s": pace[0], "slowest": pace[1], "fastest": pace[2]}
        paces["tokens_per_s"] = round(tokens / usual, 1)
        speeds.append(Speed(lengths, name, len(chosen), tokens, round(usual, 4), share_of_gemm=share, **paces))
    return speeds


def _operations(model: AnyModel, raw: Raw, items: Sequence[Any]) -> float | None:
    """Floating-point operations of matrix products an item, by some of them that stand evenly apart."""
    if any(isinstance(part, nn.RNNBase) for part in model.modules()):
        return None
    some = [items[place] for place in np.linspace(0, len(items) - 1, min(len(items), COUNTED)).astype(int)]
    ragged = raw.windows(some).ragged.to(next(model.parameters()).device)
    cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with evaluation(model), FlopCounterMode(display=False, custom_mapping={cpu: _attention}) as counter:
        model(ragged)
    return counter.get_total_flops() / len(some)


def _attention(query: Sequence[int], key: Sequence[int], *others: Any, **more: Any) -> int:
    """Of queries (B, H, T, D) with keys (B, H, S, D): each product twice, once for weights and once for values."""
    return int(4 * math.prod(query) * key[-2])


def _stand_in(raw: Raw, work: Mapping[str, Sequence[Any]]) -> str:
    if not isinstance(raw, Text):
        return "the items are the model's own golden inputs, over and over: give DATA for the speed on yours"
    told = ", ".join(f"{name} {least} to {most}" for name, (least, most) in LENGTHS.items())
    return f"the texts are drawn tokens ({told}, at most as many as the model takes): give DATA for the speed on yours"
