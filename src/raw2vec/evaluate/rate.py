"""Rate-distortion: what a code keeps with fewer and fewer numbers, beside PCA at the same widths."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, lossless, numbers

Brief = Callable[[Sequence[Any], int], Sequence[Any]]
"""Items and a width to the items as so many numbers of each code bring them back, in the items' order and shapes."""


class RateDistortion(Protocol):
    """Items of numbers, of one shape, by the squared error of an element at each width of code: `mse@1`, `mse@2`…

    The widths double up to the model's own. Narrower than that, a code is what the leading directions of all codes keep
    of it, so that one model draws the whole curve; a model fitted at that width does better. A missing number (NaN) is
    not counted. The baseline is fitted at every width, to `train`, or else to the measured items themselves.
    """

    name = "rate-distortion"
    roles = ("input",)

    def run(
        self, model: Brief, columns: Columns, seed: int = 0, train: Columns | None = None, width: int = 1
    ) -> Report:
        started = perf_counter()
        (items,) = self.read(columns)
        (known,) = (items,) if train is None else self.read(train)
        if len({np.shape(item) for each in (known, items) for item in each}) > 1:
            raise BadInput("A rate-distortion curve needs items of one shape, since PCA, beside it, has no other.")
        truth = np.stack(numbers(items)).astype(np.float64)
        widths = [*(2**power for power in range(width.bit_length()) if 2**power < width), width]
        contestants = {MODEL: _measured(truth, {each: model(items, each) for each in widths})}
        for name, learn in self.baselines.items():
            contestants[name] = _measured(truth, {each: learn(known, each)(items) for each in widths})
        notes = lossless(self.baselines, items, width)
        if train is None:
            notes.append("the baselines learnt from the measured items themselves, the best that they could do")
        return self.report(contestants, f"mse@{width}", started, seed, notes)


def _measured(truth: np.ndarray, rebuilt: dict[int, Sequence[Any]]) -> Measured:
    errors = {width: np.stack(numbers(items)) - truth for width, items in rebuilt.items()}
    return Measured.means({f"mse@{width}": np.nanmean(error**2, axis=1) for width, error in errors.items()})
