"""The supervised objective against numbers worked out by hand, for every kind of label."""

import math

import pytest
import torch
from torch import Tensor, nn

from raw2vec.augmentation import PictureViews
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.objectives import Supervised, SupervisedPictures
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Fixed(nn.Module):
    """A model that gives these vectors."""

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.vectors = nn.Parameter(vectors)

    def forward(self, ids: Ragged) -> Tensor:
        return self.vectors


def loss(task: str, outcomes: int, labels: Tensor) -> tuple[float, Supervised, Fixed]:
    torch.manual_seed(0)
    objective, model = Supervised(4, outcomes, task), Fixed(torch.randn(len(labels), 4))
    batch = Batch(torch.arange(len(labels)), {"input": Ragged(torch.zeros(0), torch.zeros(len(labels), 1))}, labels)
    value = objective(model, batch, Draws(0))["supervised"]
    value.backward()
    assert model.vectors.grad is not None
    return value.item(), objective, model


def logits_of(objective: Supervised, model: Fixed) -> Tensor:
    (linear,) = (part for part in objective.modules() if isinstance(part, nn.Linear))
    return linear(model.vectors)


def test_classes_cost_their_cross_entropy() -> None:
    labels = torch.tensor([0, 2, 1, 1, 0])
    value, objective, model = loss("classes", 3, labels)
    wanted = nn.functional.cross_entropy(logits_of(objective, model), labels).item()
    assert value == pytest.approx(wanted, abs=1e-6)


def test_labels_at_once_cost_a_coin_each() -> None:
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    value, objective, model = loss("labels", 3, labels)
    each = nn.functional.binary_cross_entropy_with_logits(logits_of(objective, model), labels, reduction="none")
    assert value == pytest.approx(each.sum(1).mean().item(), abs=1e-6)


def test_numbers_cost_a_gaussian_of_unit_variance() -> None:
    labels = torch.tensor([[0.5], [-1.0], [2.0]])
    value, objective, model = loss("numbers", 1, labels)
    square = ((logits_of(objective, model) - labels) ** 2 / 2).mean().item()
    assert value == pytest.approx(square + math.log(2 * math.pi) / 2, abs=1e-5)


def test_no_labels_is_said() -> None:
    batch = Batch(torch.arange(1), {"input": Ragged(torch.zeros(0), torch.zeros(1, 1))})
    with pytest.raises(ValueError, match="needs labels"):
        Supervised(4, 2)(Fixed(torch.zeros(1, 4)), batch, Draws(0))


def test_smoothing_takes_a_share_for_all_classes_in_training() -> None:
    """Szegedy et al. 2016: 1 - s of the own class' cost and s of the mean over all."""
    torch.manual_seed(0)
    labels, model = torch.tensor([0, 2, 1, 1]), Fixed(torch.randn(4, 4))
    objective = Supervised(4, 3, smoothing=0.3)
    batch = Batch(torch.arange(4), {"input": Ragged(torch.zeros(0), torch.zeros(4, 1))}, labels)
    logs = logits_of(objective, model).log_softmax(dim=1)
    plain = -logs[torch.arange(4), labels].mean()
    wanted = 0.7 * plain - 0.3 * logs.mean()
    assert objective(model, batch, Draws(0))["supervised"].item() == pytest.approx(wanted.item(), abs=1e-6)
    objective.eval()
    assert objective(model, batch, Draws(0))["supervised"].item() == pytest.approx(plain.item(), abs=1e-6)


def test_tokens_are_dropped_in_training_only() -> None:
    class Seeing(Fixed):
        def forward(self, ids: Ragged) -> Tensor:
            self.seen = ids
            return self.vectors

    ids = Ragged.of([torch.arange(1, 40) for _ in range(4)])
    model, labels = Seeing(torch.zeros(4, 4)), torch.tensor([0, 1, 0, 1])
    objective = Supervised(4, 2, ordinary=range(5, 100), drop=0.5)
    objective(model, Batch(torch.arange(4), {"input": ids}, labels), Draws(0))
    assert 4 * 4 < len(model.seen.values) < 0.8 * len(ids.values), "special tokens stay"
    objective.eval()(model, Batch(torch.arange(4), {"input": ids}, labels), Draws(0))
    assert model.seen.values.equal(ids.values)
    with pytest.raises(BadInput, match="drop is at least 0"):
        Supervised(4, 2, drop=1.0)


class Told(nn.Module):
    """A model whose vectors are the first four numbers of each item; it keeps what it was shown."""

    def forward(self, items: Ragged) -> Tensor:
        self.shown = items
        return torch.stack([item.flatten()[:4].float() for item in items.items()])


def test_pictures_are_seen_anew_in_training_only() -> None:
    pictures = torch.randint(0, 256, (3, 6, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels, items, model = torch.tensor([0, 1, 0]), Ragged.of(list(pictures), dimensions=2), Told()
    objective = SupervisedPictures(4, 2, views=PictureViews(crops=(0.5, 0.6), colour=0.0, grey=0.0))

    def shown(numbers: list[int], rows: Ragged, seed: int = 0) -> list[Tensor]:
        batch = Batch(torch.tensor(numbers), {"input": rows}, labels[: len(numbers)])
        assert objective(model, batch, Draws(seed))["supervised"].isfinite()
        return model.shown.items()

    first, again, other = shown([5, 6, 7], items), shown([5, 6, 7], items), shown([5, 6, 7], items, 1)
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    alone = shown([7], Ragged.of([pictures[2]], dimensions=2))
    assert torch.allclose(alone[0], first[2], atol=1e-6), "no picture's view depends on its batch"
    objective.eval()
    assert all(map(torch.equal, shown([5, 6, 7], items), items.items()))
    objective = SupervisedPictures(4, 2)  # nothing asked for: as they are
    assert all(map(torch.equal, shown([5, 6, 7], items), items.items()))
