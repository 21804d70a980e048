"""Series to standardised steps and back: of any length and layout, with numbers missing."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from raw2vec.errors import BadFolder, BadInput
from raw2vec.raw import Series
from raw2vec.rows import open_rows

FLOATS = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))
LENGTHS = st.integers(1, 6) | st.just(300)


def several(channels: int | None) -> st.SearchStrategy[list[NDArray[Any]]]:
    each = LENGTHS.flatmap(
        lambda length: arrays.arrays(np.float32, (length,) if channels is None else (length, channels), elements=FLOATS)
    )
    return st.lists(each, min_size=1, max_size=5)


def learned(items: Any, **options: Any) -> Series:
    made = Series(**options)
    made.learn(iter(items))
    return made


def steps(made: Series, items: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = made.windows(items).ragged.values.numpy()
    return found


@settings(max_examples=80, deadline=None)
@given(
    items=st.sampled_from([None, 1, 2, 5]).flatmap(several),
    layout=st.sampled_from(["time-channels", "channels-time"]),
    scale=st.sampled_from(["channel", "none"]),
)
def test_any_series_comes_back(
    items: list[NDArray[Any]],
    layout: Literal["time-channels", "channels-time"],
    scale: Literal["channel", "none"],
) -> None:
    theirs = [item.T if layout == "channels-time" else item for item in items]
    made = learned(theirs, layout=layout, scale=scale)
    windows = made.windows(theirs)
    assert windows.ragged.values.dtype == torch.float32
    assert windows.ragged.shapes.tolist() == [[len(item)] for item in items]
    assert windows.tokens.tolist() == [len(item) for item in items]
    spread = np.ptp(np.nan_to_num(np.concatenate([item.ravel() for item in items])))
    for item, back in zip(theirs, made.restore(windows.ragged), strict=True):
        assert back.dtype == np.float32
        np.testing.assert_allclose(back, item, rtol=1e-5, atol=1e-5 * float(spread))


@settings(max_examples=80, deadline=None)
@given(items=several(3))
def test_channels_are_standardised(items: list[NDArray[Any]]) -> None:
    found, everything = steps(learned(items), items), np.concatenate(items).astype(np.float64)
    for channel in range(3):
        own = everything[:, channel][~np.isnan(everything[:, channel])]
        values = found[:, channel][~np.isnan(found[:, channel])]
        assert len(values) == len(own), "what is missing stays missing, and nothing else becomes so"
        if len(own) and own.std() > 1e-5 * np.abs(own).max():
            assert abs(values.mean()) < 1e-3
            assert abs(values.std() - 1) < 1e-3


def test_known_numbers() -> None:
    made = learned([np.array([[1.0, 7.0], [3.0, 7.0]]), np.array([[5.0, 7.0], [np.nan, 7.0]])])
    found = steps(made, [np.array([[3.0, 8.0]] * 2)])
    np.testing.assert_allclose(found, [[0, 1]] * 2)  # channel 1 never changes: its deviation counts as 1
    assert made.restore(made.windows([np.array([[3.0, 8.0]] * 2)]).ragged)[0].tolist() == [[3, 8]] * 2
    own = learned([np.zeros((2, 1))], scale="item")
    np.testing.assert_allclose(steps(own, [np.array([[10.0], [30.0]])]), [[-1], [1]])
    np.testing.assert_allclose(steps(own, [np.array([[10.0], [np.nan]])]), [[0], [np.nan]])
    np.testing.assert_allclose(own.restore(own.windows([np.array([[10.0], [30.0]])]).ragged)[0], [[-1], [1]])
    assert steps(learned([np.zeros(2)], scale="none"), [[5, 6]]).tolist() == [[5], [6]]


def test_numbers_far_from_zero_and_none_at_all() -> None:
    far = 1e6 + np.arange(4.0)
    np.testing.assert_allclose(steps(learned([far[:2], far[2:]]), [far[:2], far[2:]]).std(), 1, rtol=1e-6)
    constant = np.full(1000, 0.1)
    assert np.abs(steps(learned([constant]), [constant])).max() < 1e-6
    missing = np.full((2, 1), np.nan)
    assert np.isnan(steps(learned([missing]), [missing])).all()
    assert steps(learned([missing]), [np.ones((2, 1))]).tolist() == [[1], [1]]


def test_lists_integers_and_none() -> None:
    made = learned([[[1, None], [2, 3]]], scale="none")
    np.testing.assert_array_equal(steps(made, [[[1, None], [2, 3]]]), [[1, np.nan], [2, 3]])
    assert steps(made, [np.array([[1, 2], [3, 4]], np.int16)]).tolist() == [[1, 2], [3, 4]]


def test_form() -> None:
    assert learned([np.zeros((4, 2)), np.ones((4, 2))]).form.shape == (4,)
    assert learned([np.zeros((4, 2)), np.ones((5, 2))]).form.shape is None
    assert learned([np.zeros((n, 2)) for n in (9, 4, 5)]).form.usual == (5,)
    assert learned([np.zeros((4, 2))]).form.channels == 2
    assert len(learned([np.zeros(4)]).windows([]).ragged) == 0


def test_one_or_several() -> None:
    two, one = learned([np.zeros((4, 2))]), learned([np.zeros(4)])
    assert [two.items(x)[1] for x in (np.zeros((4, 2)), [[1, 2]], np.zeros((3, 4, 2)), [np.zeros((4, 2))])] == [
        True,
        True,
        False,
        False,
    ]
    assert [one.items(x)[1] for x in (np.zeros(4), [1, 2], np.zeros((3, 4)), [np.zeros(4)], [[1, 2]])] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert one.items([]) == ([], False)


def test_saved_and_loaded(tmp_path: Path) -> None:
    for items in ([np.random.default_rng(0).normal(size=(5, 3))], [np.arange(3.0), np.arange(4.0)]):
        made = learned(items)
        made.save(tmp_path)
        again = Series.load(tmp_path, made.settings)
        assert (again.form, again.identity()) == (made.form, made.identity())
        assert torch.equal(again.windows(items).ragged.values, made.windows(items).ragged.values)
    (tmp_path / "series.json").write_text("{}")
    with pytest.raises(BadFolder, match=r"series\.json is damaged"):
        Series.load(tmp_path, {})
    (tmp_path / "series.json").unlink()
    with pytest.raises(BadFolder, match=r"has no series\.json"):
        Series.load(tmp_path, {})


def test_frozen_and_thawed() -> None:
    for item in (np.array([1.5, np.nan]), np.zeros((3, 2)), [[1, None]]):
        np.testing.assert_array_equal(Series().thaw(Series().freeze(item)), np.array(item, np.float32))


def test_columns() -> None:
    stack = np.random.default_rng(0).normal(size=(4, 3, 2))
    for data in (stack, list(stack), {"series": list(stack)}, pa.table({"series": stack.tolist()})):
        rows = open_rows(data)
        found = [item for batch in rows.batches(3) for item in Series().column(batch, "series")]
        np.testing.assert_array_equal(np.stack(found), stack)


GOOD = np.zeros((3, 2))
BAD: list[tuple[Any, str]] = [
    (None, r"Series 1 is missing \(None\)"),
    ("hello.npy", r"Series 1 \(hello\.npy\) cannot be read \(No such file or directory\)"),
    ([["a", "b"]], "Series 1 holds <U1, not numbers"),
    ([[1, 2], [3]], "Series 1 is no array of numbers, or its rows are of different lengths"),
    (np.zeros((2, 2), complex), "Series 1 holds complex128, not numbers"),
    (3.0, r"Series 1 has the shape \(\)"),
    (np.zeros((2, 2, 2)), r"Series 1 has the shape \(2, 2, 2\)"),
    (np.zeros((0, 2)), r"Series 1 is empty: its shape is \(0, 2\)"),
    (np.array([[1, 2], [3, np.inf]]), r"Series 1 holds an infinite number, .* at \[1, 1\]: make it NaN"),
    (np.array([[1e39, 2]]), r"Series 1 holds an infinite number, or one too large for float32, at \[0, 0\]"),
    (np.zeros((2, 3)), "Series 1 has 3 channels, and those before it have 2.*raw.layout=channels-time"),
    (np.zeros(3), "Series 1 has 1 channels, and those before it have 2"),
]


@pytest.mark.parametrize(("item", "sentence"), BAD, ids=[sentence[:30] + str(n) for n, (_, sentence) in enumerate(BAD)])
def test_bad_items(item: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        learned([GOOD, item])
    with pytest.raises(BadInput, match=sentence):
        learned([GOOD, GOOD[:2]]).windows([GOOD, item])


def test_bad_lengths_and_settings() -> None:
    with pytest.raises(BadInput, match="Series 1 has 2 steps, and all that were learned from have 3"):
        learned([GOOD]).windows([GOOD, GOOD[:2]])
    with pytest.raises(BadInput, match="There is no series to learn from"):
        learned([])
    with pytest.raises(BadInput, match="knows no numbers yet"):
        Series().windows([GOOD])
    with pytest.raises(BadInput, match=r"no scale 'chanel'\. Did you mean 'channel'\?"):
        Series(scale="chanel")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no layout 'time'"):
        Series(layout="time")  # type: ignore[arg-type]
