"""Agreement with a teacher: neighbours and cosines beside plain NumPy, and what stands beside the student."""

import numpy as np
import pytest

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import AGREEMENT, ARRAY_AGREEMENT

generator = np.random.default_rng(0)
TEACHER = generator.normal(size=(40, 6))
ITEMS = [f"word{n % 5} and word{n % 7}" for n in range(40)]


def columns(count: int = 40) -> dict:
    return {"input": ITEMS[:count], "label": TEACHER[:count].tolist()}


def test_a_teacher_agrees_with_itself() -> None:
    found = AGREEMENT.run(lambda items, role: 2 * TEACHER, columns())
    assert found.metrics == {"neighbours@10": 1.0, "cosine": pytest.approx(1.0)}
    assert list(found.baselines) == ["TF-IDF+SVD"]
    assert "cosine" not in found.baselines["TF-IDF+SVD"]


def test_neighbours_beside_plain_numpy() -> None:
    own = generator.normal(size=(40, 3))
    found = ARRAY_AGREEMENT.run(lambda items, role: own, columns())
    share = np.mean([len(ten(own, n) & ten(TEACHER, n)) / 10 for n in range(40)])
    assert found.metrics == {"neighbours@10": pytest.approx(share)}
    assert found.headline == "neighbours@10"


def test_fewer_numbers_are_lifted_and_the_teacher_in_as_many_is_the_most() -> None:
    lift = np.eye(2, 6, dtype=np.float32)
    found = ARRAY_AGREEMENT.run(
        lambda items, role: TEACHER[:, :2],
        columns(),
        lift=lift,
        others={"nothing": lambda items, role: TEACHER[::-1, :2]},
    )
    assert found.metrics == found.baselines["the teacher in 2 numbers"]
    assert list(found.baselines) == ["the teacher in 2 numbers", "nothing"]
    assert not any("the teacher" in note for note in found.notes), "it is no baseline to beat"


def test_few_items_and_what_is_no_teacher() -> None:
    assert AGREEMENT.run(lambda items, role: TEACHER[:4], columns(4)).metrics["neighbours@10"] == 1.0
    with pytest.raises(BadInput, match="3 items are the fewest"):
        AGREEMENT.run(lambda items, role: TEACHER[:2], columns(2))
    for label in (["a", "b", "c"], [[1.0], [1.0, 2.0], [3.0]], [1.0, 2.0, 3.0]):
        with pytest.raises(BadInput, match="the label of each row is a list"):
            AGREEMENT.run(lambda items, role: TEACHER[:3], {"input": ITEMS[:3], "label": label})
    with pytest.raises(NonFinite):
        AGREEMENT.run(lambda items, role: TEACHER[:3], {"input": ITEMS[:3], "label": [[np.nan, 1.0]] * 3})


def ten(vectors: np.ndarray, item: int) -> set[int]:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    order = np.argsort(-(units @ units[item]))
    return set(order[order != item][:10].tolist())
