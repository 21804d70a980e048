"""The rate-distortion curve: what each width of code costs in squared error, a model's beside PCA's."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import Baseline, numbers


class Point(NamedTuple):
    """The mean squared error of an element at one `width` of code: `pca`'s, and the `model`'s where one has it."""

    width: int
    pca: float
    model: float | None


def curve(
    learn: Baseline, items: Sequence[Any], achieved: Mapping[int, float], known: Sequence[Any] | None = None
) -> list[Point]:
    """PCA's error on `items` (n, D) at widths 1, 2, 4, …, and at those of the models: a table's rows, by width.

    achieved: width → the mse of a model of that width, on the same items ("reconstruction"'s). The powers of two go up
    to the first at or beyond the widest of them, and stop where PCA has no components more. `learn` is what PCA is
    learnt by, from `known`, or else from the items themselves, which no linear map of that width can better.
    """
    if not achieved or min(achieved) < 1:
        raise BadInput(f"A rate-distortion curve needs a model's error at a width of 1 or more, not {dict(achieved)}.")
    rows = numbers(items)
    sizes = {len(row) for row in rows}
    if len(sizes) != 1:
        raise BadInput("A rate-distortion curve needs items of one shape, one at least: PCA has no other.")
    known = items if known is None else known
    truth, points = np.stack(rows), []
    for width in _widths(max(achieved), min(len(known), *sizes)) | set(achieved):
        error = float(np.nanmean((truth - learn(known, width)(items)) ** 2))
        points.append(Point(width, error, achieved.get(width)))
    return sorted(points)


def _widths(widest: int, components: int) -> set[int]:
    """Powers of two up to the first that is `widest` or more, none above the number of components."""
    doublings = (widest - 1).bit_length()
    return {2**power for power in range(doublings + 1) if 2**power <= components}
