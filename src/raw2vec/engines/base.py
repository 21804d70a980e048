"""What runs an encoder: windows of ids to their vectors, by PyTorch or by a graph that another engine was given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.models import AnyModel
from raw2vec.ragged import Ragged
from raw2vec.workers import cores

# Rows a batch: enough to fill the cores, small enough for the caches (measured: docs/log.md).
BATCH_TOKENS = 4096
FEW_TOKENS = 512
"""The same of a graph's engine, whose workers have a core each: no more than its own cache holds."""
_SMALLEST = 8  # parts of the usual tokens that a batch has at least, where it is cut for another core to have one

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "vectors"
"""What the graph's inputs and its output are called: the inputs as Hugging Face's models have them."""


class Engine(ABC):
    """Gives vectors (B, L) float32 of windows, Ragged ids of B texts.

    name: the engine and the precision of its arithmetic, "openvino bfloat16". workers: batches that are worked on side
    by side, one thread each. tokens: how many rows a batch of its has. alone: the model itself is not there.
    """

    name: str
    workers: int = 1
    tokens: int = BATCH_TOKENS
    alone: bool = False

    @abstractmethod
    def run(self, windows: Ragged) -> Tensor:
        """The vectors (B, L) of one batch; called from several threads."""

    def batches(self, lengths: Tensor, tokens: int | None, items: int | None) -> Iterator[Tensor]:
        """The places of windows, (b,) at a time, that it takes together."""
        return batches(lengths, tokens or self.tokens, items)


class OnCores(Engine):
    """A CPU's cores with a batch each: no thread waits for another at the end of a layer.

    Batches are of about as many tokens each, and as many for each core, so that none works on alone at the end.
    """

    tokens = 2048  # measured: docs/log.md

    def __init__(self, model: AnyModel):
        self.model, self.workers = model, cores()

    def run(self, windows: Ragged) -> Tensor:
        vectors: Tensor = self.model(windows)
        return vectors.float()

    def batches(self, lengths: Tensor, tokens: int | None, items: int | None) -> Iterator[Tensor]:
        plain = self.workers < 2 or tokens is not None or items is not None
        return super().batches(lengths, tokens, items) if plain else iter(shares(lengths, self.tokens, self.workers))


class GraphEngine(Engine):
    """One that takes rectangles of ids and a mask, as an exported graph does.

    Lengths are rounded up, so that few shapes are met again and again: engines prepare themselves for each.
    """

    tokens = FEW_TOKENS

    @abstractmethod
    def answer(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """ids and mask (B, T) to vectors (B, L); called from several threads."""

    def run(self, windows: Ragged) -> Tensor:
        return torch.from_numpy(self.answer(*rectangle(windows)).astype(np.float32))

    def batches(self, lengths: Tensor, tokens: int | None, items: int | None) -> Iterator[Tensor]:
        refuse_empty(items)
        order = lengths.argsort(descending=True, stable=True)
        start, room = 0, tokens or self.tokens
        while start < len(order):
            count = max(room // rounded(int(lengths[order[start]])), 1)
            end = start + min(count, items or count)
            yield order[start:end]
            start = end


def example() -> tuple[Tensor, Tensor]:
    """A rectangle to follow the arithmetic on."""
    return torch.ones(2, 7, dtype=torch.long), torch.ones(2, 7, dtype=torch.long)


def batches(lengths: Tensor, tokens: int, items: int | None = None) -> Iterator[Tensor]:
    """The items' places, (b,) at a time: longest first, at most so many tokens and items together."""
    refuse_empty(items)
    order = lengths.argsort(descending=True, stable=True)
    start = total = 0
    for place, length in enumerate(lengths[order].tolist()):
        if place > start and (total + length > tokens or place - start == items):
            yield order[start:place]
            start, total = place, 0
        total += length
    if len(order):
        yield order[start:]


def shares(lengths: Tensor, tokens: int, workers: int) -> list[Tensor]:
    """The items' places, (b,) at a time, longest first: of about as many tokens each, no more than `tokens` but for an
    item, and as many batches for each worker, unless there are too few tokens to be worth so many."""
    order = lengths.argsort(descending=True, stable=True)
    upto = lengths[order].cumsum(0)
    total = int(upto[-1]) if len(order) else 0
    count = min(-(-total // (tokens * workers)) * workers, total // (tokens // _SMALLEST))
    ends = torch.searchsorted(upto, total * torch.arange(1, max(count, 1)) / max(count, 1)).unique() + 1
    return [part for part in order.tensor_split(ends) if len(part)]


def refuse_empty(items: int | None) -> None:
    """BadInput for a batch of no items."""
    if items is not None and items < 1:
        raise BadInput(f"A batch holds at least one item: give a batch_size of 1 or more, not {items}.")


def rounded(length: int) -> int:
    """A length that a rectangle has for this one: at most an eighth more, and eight for each doubling."""
    length = max(length, 1)
    step = 1 << max(length.bit_length() - 4, 0)
    return -(-length // step) * step


def rectangle(windows: Ragged) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """ids and mask (B, T), filled up to a rounded length by zeros."""
    lengths = windows.lengths.numpy()
    width = rounded(int(lengths.max()))
    mask = np.arange(width) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = windows.values.cpu().numpy()
    return ids, mask.astype(np.int64)


def quick_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 fast; where it does not, it takes 44 times as long (torch 2.13)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()
