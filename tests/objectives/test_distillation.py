"""Distillation: the loss beside a reference, the lift into the teacher's space, and what is refused."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.objectives import Distillation, Supervised
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Mean(nn.Module):
    def forward(self, items: Ragged) -> Tensor:
        return items.mean()


def vectors(count: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def loss(objective: Distillation, own: Tensor, teacher: Tensor) -> float:
    items = Ragged(own, torch.ones(len(own), 1, dtype=torch.long))
    batch = Batch(torch.arange(len(own)), {"input": items}, teacher)
    return objective(Mean(), batch, Draws(0))["distillation"].item()


def test_one_less_the_cosine_in_the_teacher_s_space() -> None:
    own, teacher, objective = vectors(9, 4), vectors(9, 6, 1), Distillation(4, 6)
    objective.follow(vectors(50, 6, 2))
    lifted = own.numpy() @ objective.lift.numpy()
    cosines = (lifted * teacher.numpy()).sum(1) / np.linalg.norm(lifted, axis=1) / np.linalg.norm(teacher, axis=1)
    assert loss(objective, own, teacher) == pytest.approx(1 - cosines.mean(), abs=1e-6)


def test_equal_widths_lose_nothing() -> None:
    own = vectors(5, 6)
    assert loss(Distillation(6, 6), own, 3 * own) == pytest.approx(0, abs=1e-6)


def test_the_lift_keeps_cosines_and_what_is_longest() -> None:
    teacher = vectors(200, 2) @ vectors(2, 6, 3) + 0.01 * vectors(200, 6, 4)  # as good as a plane
    objective = Distillation(2, 6)
    objective.follow(teacher)
    assert torch.allclose(objective.lift @ objective.lift.T, torch.eye(2), atol=1e-6)
    assert loss(objective, teacher @ objective.lift.T, teacher) < 1e-3
    again = Distillation(2, 6)
    again.follow(teacher.flip(0))
    assert torch.allclose(again.lift, objective.lift, atol=1e-4), "no sign is left to chance"


def test_the_first_numbers_tell_items_apart_as_the_teacher_does() -> None:
    """A fifth of the mean divergence of softmaxes of cosines beside the loss of whole vectors, by NumPy."""
    own, teacher = vectors(9, 4), vectors(9, 6, 1)
    objective, plain = Distillation(4, 6, dimensions=(1, 3)), Distillation(4, 6)

    def shares(found: np.ndarray) -> np.ndarray:
        units = found / np.linalg.norm(found, axis=1, keepdims=True)
        raised = np.exp(units @ units.T / 0.05) * (1 - np.eye(len(units)))
        return raised / raised.sum(axis=1, keepdims=True)

    apart = ~np.eye(9, dtype=bool)
    asked = shares(teacher.double().numpy())[apart]
    found = [shares(own.double().numpy()[:, :width])[apart] for width in (1, 3)]
    divergences = [(asked * np.log(asked / each)).sum() / 9 for each in found]
    expected = loss(plain, own, teacher) + 0.2 * np.mean(divergences)
    assert loss(objective, own, teacher) == pytest.approx(expected, rel=1e-4)
    assert loss(Distillation(6, 6, dimensions=(6,)), teacher, teacher) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(loss(objective, own[:1], teacher[:1])), "an item alone has no others"
    assert np.isfinite(loss(objective, 0 * own, teacher))


def test_short_vectors_learn_to_tell_items_apart() -> None:
    """By gradient: free vectors whose first two numbers are to do what a teacher's six do."""
    teacher = vectors(12, 6, 1)
    items, found = torch.ones(12, 1, dtype=torch.long), []
    for dimensions in ((), (2,)):
        torch.manual_seed(0)
        own = torch.randn(12, 4, requires_grad=True)
        objective, optimizer = Distillation(4, 6, dimensions=dimensions), torch.optim.Adam([own], 0.05)
        objective.follow(teacher)
        for _ in range(200):
            optimizer.zero_grad()
            batch = Batch(torch.arange(12), {"input": Ragged(own, items)}, teacher)
            objective(Mean(), batch, Draws(0))["distillation"].backward()
            optimizer.step()
        measured = Distillation(2, 6, dimensions=(2,))
        found.append(
            loss(measured, own.detach()[:, :2], teacher) - loss(Distillation(2, 6), own.detach()[:, :2], teacher)
        )
    assert found[1] < found[0]


def test_an_empty_item_costs_one_and_is_finite() -> None:
    assert loss(Distillation(3, 3), torch.zeros(2, 3), vectors(2, 3)) == pytest.approx(1)


def test_what_is_no_teacher_is_refused() -> None:
    with pytest.raises(BadInput, match=r"have 4 numbers.* latent of 1 to 4, not 5"):
        Distillation(5, 4)
    with pytest.raises(BadInput, match=r"these labels are classes.*supervised"):
        Distillation(5, 4, "classes")
    with pytest.raises(BadInput, match=r"labels are vectors.*--objective distillation"):
        Supervised(5, 4, "vectors")
