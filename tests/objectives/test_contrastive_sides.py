"""Two sides by two encoders: the losses beside a reference in float64, exact large batches, and what is dropped."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.objectives import ContrastiveSides
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Sides(nn.Module):
    """A linear map of the mean row for each side."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maps = nn.ModuleDict({"input": nn.Linear(5, 7).double(), "target": nn.Linear(3, 7).double()})

    def side(self, role: str) -> nn.Module:
        return nn.Sequential(Mean(), self.maps["target" if role in ("target", "negative") else "input"])


class Mean(nn.Module):
    def forward(self, items: Ragged) -> Tensor:
        return items.mean()


def batch(count: int = 9, negatives: bool = False) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def side(width: int) -> Ragged:
        return Ragged.of([torch.randn(2 + n % 3, width, generator=generator).double() for n in range(count)])

    sides = {"input": side(5), "target": side(3)} | ({"negative": side(3)} if negatives else {})
    return Batch(torch.arange(count), sides)


def objective(**settings: object) -> ContrastiveSides:
    return ContrastiveSides(range(0), range(0), **settings).double()  # type: ignore[arg-type]


def cosines(model: Sides, held: Batch) -> np.ndarray:
    """(B, B'): each input's with each target and, after them, with each negative."""
    found = {role: model.side(role)(side).detach().numpy() for role, side in held.sides.items()}
    found = {role: rows / np.linalg.norm(rows, axis=1, keepdims=True) for role, rows in found.items()}
    others = [found[role] for role in ("target", "negative") if role in found]
    return np.asarray(found["input"] @ np.concatenate(others).T)


@pytest.mark.parametrize("negatives", [False, True])
def test_softmax_beside_a_reference(negatives: bool) -> None:
    model, held = Sides(), batch(negatives=negatives)
    scores = cosines(model, held) / 0.1
    there = np.mean([np.log(np.exp(row).sum()) - row[n] for n, row in enumerate(scores)])
    back = np.mean([np.log(np.exp(row).sum()) - row[n] for n, row in enumerate(scores[:, :9].T)])
    found = objective(temperature=0.1)(model, held, Draws(0))["contrastive"]
    assert found.item() == pytest.approx((there + back) / 2, abs=1e-6)


@pytest.mark.parametrize("negatives", [False, True])
def test_sigmoid_beside_a_reference(negatives: bool) -> None:
    """Zhai et al. 2023, algorithm 1: minus the log of a logistic of each pair, over the number of items."""
    model, held = Sides(), batch(negatives=negatives)
    logits = cosines(model, held) / 0.1 - 10
    signs = 2 * np.eye(*logits.shape) - 1
    wanted = np.log1p(np.exp(-signs * logits)).sum() / 9
    found = objective(temperature=0.1, loss="sigmoid")(model, held, Draws(0))["contrastive"]
    assert found.item() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_a_batch_in_chunks_has_the_gradient_of_the_whole(loss: str) -> None:
    found = []
    for chunk in (0, 2):
        model, one = Sides(), objective(loss=loss, chunk=chunk)
        one(model, batch(), Draws(0))["contrastive"].backward()
        found.append([weight.grad for weight in (*model.parameters(), *one.parameters())])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(whole, parts)


def test_words_are_dropped_and_pictures_bent_in_training_only() -> None:
    words = Ragged.of([torch.arange(5, 15) for _ in range(4)])
    pictures = Ragged.of([torch.rand(6, 6, 1) for _ in range(4)], dimensions=2)
    held = Batch(torch.arange(4), {"input": pictures, "target": words})
    one = ContrastiveSides(range(0), range(5, 100), drop=0.5, bend=1.0)
    left, right = one.sides(held, Draws(0))
    assert not left.values.equal(pictures.values)
    assert len(right.values) < len(words.values)
    again = one.sides(Batch(torch.tensor([2]), {"input": pictures.take(torch.tensor([2])),
                                                "target": words.take(torch.tensor([2]))}), Draws(0))  # fmt: skip
    assert again[1].values.equal(right.items()[2]), "a view is the item's own, whoever is in the batch"
    torch.testing.assert_close(again[0].items()[0], left.items()[2])
    rows = Ragged.of([torch.rand(6, 1) for _ in range(4)])
    table, _ = one.sides(Batch(torch.arange(4), {"input": rows, "target": words}), Draws(0))
    assert table.values.equal(rows.values), "columns of a table are not mixed"
    left, right = one.eval().sides(held, Draws(0))
    assert left.values.equal(pictures.values)
    assert right.values.equal(words.values)
