"""Which items make which batch: order and budgets, as pure functions of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.batch import Batch
from raw2vec.corpus import Corpus
from raw2vec.errors import BadInput
from raw2vec.recipe import SIDES, View
from raw2vec.seeding import Draws, permutation

_WINDOW = 64  # batches' worth of items that are sorted by length together


class Feed:
    """A corpus as one stage sees it: what a sample is, and how samples make batches.

    A sample is a row by one of the views, or with `needs == "sides"` any one column of a row by itself. `batch_tokens`
    makes batches of items of like length; `batch_items` alone draws them at random, which contrastive learning wants.
    """

    def __init__(
        self,
        corpus: Corpus,
        views: Sequence[View],
        needs: Literal["sides", "pair", "labels"],
        held: bool,
        seed: int,
        batch_tokens: int | None = None,
        batch_items: int | None = None,
    ):
        self.corpus, self.needs, self.seed = corpus, needs, seed
        self.batch_tokens, self.batch_items = batch_tokens, batch_items
        found = [{side: view.columns[side] for side in SIDES if side in view.columns} for view in views]
        if any(view.keys() != found[0].keys() for view in found):
            raise BadInput("The views of a stage must all have the same roles (all input and target, say).")
        if needs == "sides":
            found = [{"input": name} for name in dict.fromkeys(name for view in found for name in view.values())]
        self.views = [{role: corpus.side(role).columns.index(name) for role, name in view.items()} for view in found]
        self.weights = np.array([view.weight for view in views] if needs != "sides" else [1.0] * len(found))
        self.samples = self._samples(held)
        if not len(self.samples):
            names = " or ".join(" with ".join(map(repr, view.values())) for view in found)
            raise BadInput(f"No {'held-out' if held else 'training'} row has anything in {names}.")

    def _samples(self, held: bool) -> NDArray[np.int64]:
        """(S, 2): the row, and the view it is seen by."""
        there = self.corpus.held == held
        parts = []
        for number, view in enumerate(self.views):
            present = np.stack([self._lengths(role, column) > 0 for role, column in view.items()]).all(axis=0)
            rows = (present & there).nonzero()[0]
            parts.append(np.stack([rows, np.full_like(rows, number)], axis=1))
        return np.concatenate(parts)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sample, (S,)."""
        found = np.zeros(len(self.samples), np.int64)
        for number, view in enumerate(self.views):
            own = self.samples[:, 1] == number
            rows = self.samples[own, 0]
            found[own] = np.stack([self._lengths(role, column)[rows] for role, column in view.items()]).sum(axis=0)
        return found

    def _lengths(self, role: str, column: int) -> NDArray[np.int64]:
        return np.asarray(self.corpus.side(role).lengths[:, column])

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The epoch's batches, each an array of sample numbers."""
        order = permutation(len(self.samples), self.seed, "order", epoch)
        if (self.weights < 1).any():
            luck = Draws(self.seed, epoch).uniform("view", torch.from_numpy(order)).numpy()
            chosen = luck < self.weights[self.samples[order, 1]]
            order = order[chosen] if chosen.any() else order[:1]
        if self.batch_tokens is None:
            return _parted(order, self.batch_items or 256)
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
        rows, views = self.samples[samples].T
        sides = {
            str(role): self.corpus.side(role).gather(rows, np.array([view.get(role, -1) for view in self.views])[views])
            for role in self.views[0]
        }
        labels = None
        if self.needs == "labels" and self.corpus.labels is not None:
            labels = torch.from_numpy(np.asarray(self.corpus.labels[rows]))
        return Batch(torch.from_numpy(rows * len(self.views) + views), sides, labels)

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


def _parted(samples: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Batches of one size, for which kernels are made once; a rest of less than half a batch joins the last of them."""
    parts = max(1, round(len(samples) / size))
    return np.split(samples, size * np.arange(1, parts))
