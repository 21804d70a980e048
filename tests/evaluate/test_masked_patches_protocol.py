"""Hidden patches as told, beside the mean of the visible ones and a copy of the nearest: answers known by hand."""

import numpy as np
import pytest

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import MASKED_PATCHES, Patches

ITEMS = {"input": ["a strip of four patches", "one of three"]}


def strips(**changes: np.ndarray) -> Patches:
    """Two strips of patches of one number; hidden are the third and fourth of the first, the second of the second."""
    found = Patches(
        owners=np.array([0, 0, 0, 0, 1, 1, 1]),
        coordinates=np.array([[0], [1], [2], [3], [0], [1], [2]]),
        truth=np.array([[0.0], [2.0], [4.0], [8.0], [1.0], [1.0], [3.0]]),
        hidden=np.array([False, False, True, True, False, True, False]),
        told=np.array([[4.0], [6.0], [1.0]]),
    )
    return found._replace(**changes)


def test_errors_of_model_and_baselines_are_those_worked_out_by_hand() -> None:
    report = MASKED_PATCHES.run(lambda items: strips(), ITEMS)
    assert report.protocol == "masked/1"
    assert report.metrics["mse"] == pytest.approx((0 + 4 + 0) / 3)
    assert report.metrics["r2"] == pytest.approx(1 - 4 / np.square(np.array([4, 8, 1]) - 13 / 3).sum())
    assert report.baselines["mean of what is seen"]["mse"] == pytest.approx((9 + 49 + 1) / 3)  # means are 1 and 2
    assert report.baselines["nearest seen"]["mse"] == pytest.approx((4 + 36 + 0) / 3)  # 2, 2 and the earlier of two
    assert report.items == 2


def test_what_is_missing_counts_for_nobody_and_items_that_hide_nothing_are_left_out() -> None:
    truth = strips().truth.copy()
    truth[5] = np.nan
    report = MASKED_PATCHES.run(lambda items: strips(truth=truth, told=np.array([[4.0], [6.0], [np.nan]])), ITEMS)
    assert report.metrics["mse"] == pytest.approx(4 / 2)
    assert report.items == 1


def test_nothing_to_measure_and_numbers_that_are_none_are_told_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="Not one number"):
        MASKED_PATCHES.run(lambda items: strips(hidden=np.zeros(7, bool), told=np.empty((0, 1))), ITEMS)
    with pytest.raises(NonFinite, match="item 1"):
        MASKED_PATCHES.run(lambda items: strips(told=np.array([[4.0], [6.0], [np.nan]])), ITEMS)
