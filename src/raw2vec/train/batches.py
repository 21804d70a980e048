"""Which items make which batch: order and budgets, as pure functions of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.batch import Batch
from raw2vec.corpus import Corpus
from raw2vec.errors import BadInput
from raw2vec.recipe import SIDES, Role
from raw2vec.seeding import permutation

_WINDOW = 64  # batches' worth of items that are sorted by length together


@dataclass(frozen=True)
class Feed:
    """A corpus as one stage sees it: what a sample is, and how samples make batches.

    A sample is a whole row, or with `needs == "sides"` any one column of it by itself. `batch_tokens` makes batches of
    items of like length; `batch_items` alone draws them at random, which contrastive learning wants.
    """

    corpus: Corpus
    columns: Mapping[Role, str]
    needs: Literal["sides", "pair", "labels"]
    held: bool
    seed: int
    batch_tokens: int | None = None
    batch_items: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", self._samples())
        if not len(self.samples):
            share = "held-out" if self.held else "training"
            raise BadInput(f"No {share} row has anything in {' and '.join(map(repr, self.columns.values()))}.")

    samples: NDArray[np.int64] = None  # type: ignore[assignment]  # (S, 2): row, and column where a sample is one

    @property
    def sides(self) -> dict[Role, int]:
        """The corpus column of each side that this stage reads."""
        return {side: self.corpus.columns.index(self.columns[side]) for side in SIDES if side in self.columns}

    def _samples(self) -> NDArray[np.int64]:
        columns = list(self.sides.values())
        present = (self.corpus.lengths[:, columns] > 0) & (self.corpus.held == self.held)[:, None]
        if self.needs == "sides":
            rows, places = present.nonzero()
            return np.stack([rows, np.array(columns)[places]], axis=1)
        rows = present.all(axis=1).nonzero()[0]
        return np.stack([rows, np.zeros_like(rows)], axis=1)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sample, (S,)."""
        if self.needs == "sides":
            return self.corpus.lengths[self.samples[:, 0], self.samples[:, 1]]
        columns = np.array(list(self.sides.values()))
        return np.asarray(self.corpus.lengths[np.ix_(self.samples[:, 0], columns)].sum(axis=1))

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The epoch's batches, each an array of sample numbers."""
        order = permutation(len(self.samples), self.seed, "order", epoch)
        if self.batch_tokens is None:
            parts = max(1, round(len(order) / (self.batch_items or 256)))
            return np.array_split(order, parts)
        lengths = self.lengths()
        window = max(1, int(_WINDOW * self.batch_tokens / max(lengths.mean(), 1)))
        batches = [
            batch
            for start in range(0, len(order), window)
            for batch in self._cut(order[start : start + window], lengths)
        ]
        return [batches[n] for n in permutation(len(batches), self.seed, "batches", epoch)]

    def _cut(self, samples: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        samples = samples[np.argsort(lengths[samples], kind="stable")]
        start, tokens = 0, 0
        for place, length in enumerate(lengths[samples]):
            full = tokens + length > (self.batch_tokens or 0) or place - start == self.batch_items
            if full and place > start:
                yield samples[start:place]
                start, tokens = place, 0
            tokens += int(length)
        yield samples[start:]

    def batch(self, samples: NDArray[np.int64]) -> Batch:
        """These samples, gathered."""
        rows, columns = self.samples[samples].T
        width = len(self.corpus.columns)
        if self.needs == "sides":
            return Batch(torch.from_numpy(rows * width + columns), {"input": self.corpus.gather(rows, columns)})
        sides = {str(side): self.corpus.gather(rows, column) for side, column in self.sides.items()}
        labels = None
        if self.corpus.labels is not None:
            labels = torch.from_numpy(np.asarray(self.corpus.labels[rows]))
        return Batch(torch.from_numpy(rows * width), sides, labels)

    def some(self, items: int) -> list[Batch]:
        """Batches of the first `items` samples of epoch 0's order, for judging by: the same ones every time."""
        batches: list[Batch] = []
        left = items
        for samples in self.epoch(0):
            if left <= 0:
                break
            batches.append(self.batch(samples[:left]))
            left -= len(samples)
        return batches
