"""Reconstruction: how much of an item survives the way through its code, beside PCA at the same width?"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, Values, learnt, lossless, numbers


class Rebuilt(NamedTuple):
    """Every item as its code brings it back, in the items' order and shapes, and the `width` of the codes."""

    items: Sequence[Any]
    width: int


Rebuild = Callable[[Sequence[Any]], Rebuilt]


class Reconstruction(Protocol):
    """Items of numbers and their reconstructions, by squared error.

    `mse` is the mean over elements; `sse` the sum over an item's elements, mean over items, the "squared error per
    image" of the literature; `r2` the share of the variance about each element's mean that is explained (about the mean
    of all elements where items differ in size). A missing number (NaN) is not counted. With a `peak`, the largest value
    there is (1 for pixels), `psnr` gives the mse in decibels below it. Baselines learn from `train`, or else from the
    measured items themselves.
    """

    name = "reconstruction"
    roles = ("input",)

    def run(
        self,
        model: Rebuild,
        columns: Columns,
        seed: int = 0,
        train: Columns | None = None,
        peak: float | None = None,
    ) -> Report:
        started = perf_counter()
        (items,) = self.read(columns)
        truth = _Truth(numbers(items), peak)
        rebuilt, width = model(items)
        contestants = {MODEL: truth.measure(rebuilt)}
        (known,) = (items,) if train is None else self.read(train)
        baselines, notes = learnt(self.baselines, known, items, width)
        narrower = lossless(baselines, items, width)
        for name, rebuild in baselines.items():
            contestants[name] = truth.measure(rebuild(items))
        if train is None and baselines:
            notes.append("the baselines learnt from the measured items themselves, the best that they could do")
        return self.report(contestants, "mse", started, seed, [*narrower, *notes, *truth.notes()])


class _Truth:
    """The items, end to end, and how far any reconstruction of them is off."""

    def __init__(self, items: list[np.ndarray], peak: float | None):
        self.sizes = [len(item) for item in items]
        self.values = np.concatenate(items).astype(np.float64)
        self.there = ~np.isnan(self.values)
        self.peak = peak
        if not self.there.any():
            raise BadInput(f"Every number of the {len(items)} items is missing, so there is nothing to measure.")
        self.owners = np.repeat(np.arange(len(items)), self.sizes)
        self.spread = self._per_item((self.values - self._means()) ** 2)

    def measure(self, rebuilt: Sequence[Any]) -> Measured:
        missed = self._per_item((self.values - self._checked(rebuilt)) ** 2)
        counted = self._per_item(np.ones(len(self.values)))

        def of(counts: np.ndarray) -> Values:
            total, spread = counts @ missed, counts @ self.spread
            mse = total / (counts @ counted)
            found = {"mse": mse, "sse": total / counts.sum(axis=1)}
            found["r2"] = 1 - np.divide(total, spread, out=np.full_like(total, np.nan), where=spread > 0)
            if self.peak is not None:
                with np.errstate(divide="ignore"):  # no error at all is infinitely many decibels
                    found["psnr"] = 10 * np.log10(self.peak**2 / mse)
            return found

        return Measured(len(self.sizes), of)

    def notes(self) -> list[str]:
        missing = (~self.there).sum()
        return [f"{missing} of {len(self.there)} numbers are missing and not counted"] if missing else []

    def _means(self) -> np.ndarray:
        """What R² is measured about: for items of one size each element's own mean, tiled, else the mean of all."""
        rows = len(self.sizes) if len(set(self.sizes)) == 1 else 1
        values, there = self.values.reshape(rows, -1), self.there.reshape(rows, -1)
        if rows == 1:
            return np.full(len(self.values), self.values[self.there].mean())
        means = np.where(there, values, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        return np.tile(means, rows)

    def _per_item(self, values: np.ndarray) -> np.ndarray:
        """The sum (n,) of each item's elements that are there."""
        return np.bincount(self.owners, np.where(self.there, values, 0), minlength=len(self.sizes))

    def _checked(self, rebuilt: Sequence[Any]) -> np.ndarray:
        """The reconstructions end to end, as many numbers as the items have, finite where those are there."""
        if len(rebuilt) != len(self.sizes):
            raise BadInput(f"The model gave {len(rebuilt)} reconstructions of {len(self.sizes)} items.")
        found = numbers(rebuilt)
        for place, (size, item) in enumerate(zip(self.sizes, found, strict=True)):
            if len(item) != size:
                raise BadInput(f"Item {place} holds {size} numbers, and its reconstruction {len(item)}.")
        values = np.concatenate(found).astype(np.float64)
        bad = np.flatnonzero(np.isnan(values) & self.there)
        if len(bad):
            raise NonFinite(f"The reconstruction of item {self.owners[bad[0]]} is not a number in {len(bad)} places.")
        return values
