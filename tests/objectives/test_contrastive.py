"""The contrastive objective against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.build import build_model, build_raw
from raw2vec.errors import BadInput
from raw2vec.objectives import Contrastive, ContrastiveViews
from raw2vec.objectives.contrastive import _twins
from raw2vec.ragged import Ragged
from raw2vec.resolve import resolve
from raw2vec.seeding import Draws
from small import recipe, texts

ORDINARY = range(5, 1000)


class Table(nn.Module):
    """A model whose vectors are looked up by the first id of an item."""

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.vectors = nn.Parameter(vectors)
        self.seen: list[Ragged] = []

    def forward(self, ids: Ragged) -> Tensor:
        self.seen.append(ids)
        return self.vectors[ids.values[ids.offsets[:-1]]]

    def side(self, role: str) -> "Table":
        return self


def batch(**sides: list[list[int]]) -> Batch:
    held = {name: Ragged.of([torch.tensor(item) for item in items]) for name, items in sides.items()}
    return Batch(torch.arange(len(held["input"])), held)


def loss(model: nn.Module, held: Batch, **options: object) -> Tensor:
    return Contrastive(ORDINARY, **{"scale": "fixed", **options})(model, held, Draws(0))["contrastive"]


def test_orthogonal_pairs_by_hand() -> None:
    """Own cosine 1, all others 0: -log(e^s / (e^s + B - 1)) with s = 1 / temperature."""
    model = Table(3 * torch.eye(8))
    held = batch(input=[[n] for n in range(4)], target=[[n] for n in range(4)])
    for temperature in (1.0, 0.5, 0.1):
        scale = 1 / temperature
        assert loss(model, held, temperature=temperature).item() == pytest.approx(
            math.log(math.exp(scale) + 3) - scale, abs=1e-6
        )
    apart = batch(input=[[n] for n in range(4)], target=[[n + 4] for n in range(4)])
    assert loss(model, apart).item() == pytest.approx(math.log(4)), "told from nothing: the uniform guess"


def test_one_direction_by_hand() -> None:
    """Both inputs are near the first target: the second finds its own with difficulty; targets find theirs evenly."""
    model = Table(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    held = batch(input=[[0], [1]], target=[[2], [3]])
    forward = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2
    assert loss(model, held, temperature=1.0, direction="forward").item() == pytest.approx(forward)
    assert loss(model, held, temperature=1.0).item() == pytest.approx((forward + math.log(2)) / 2)


def test_negatives_stand_among_the_targets() -> None:
    model = Table(torch.eye(8))
    held = batch(input=[[0], [1]], target=[[0], [1]], negative=[[0, 9], [5]])
    e = math.e
    first = -math.log(e / (e + 1 + e + 1))  # its own negative is as near as its target
    second = -math.log(e / (e + 1 + 1 + 1))
    assert loss(model, held, temperature=1.0, direction="forward").item() == pytest.approx((first + second) / 2)


def test_a_negative_that_is_the_answer_is_none() -> None:
    """A row's own target is no wrong answer to it, whoever's negative it is; to the other row it is one."""
    model, e = Table(torch.eye(8)), math.e
    fewer, all_four = -math.log(e / (e + 1 + 1)), -math.log(e / (e + 1 + 1 + 1))
    own = batch(input=[[0], [1]], target=[[0], [1]], negative=[[0], [5]])
    found = loss(model, own, temperature=1.0, direction="forward")
    assert found.item() == pytest.approx((fewer + all_four) / 2)
    other_s = batch(input=[[0], [1]], target=[[0], [1]], negative=[[1], [5]])
    found = loss(model, other_s, temperature=1.0, direction="forward")
    assert found.item() == pytest.approx((all_four + fewer) / 2)


def test_the_answer_is_known_with_tokens_dropped_from_it() -> None:
    model = Table(torch.ones(200, 4))
    held = batch(input=[list(range(10, 60))], target=[list(range(60, 99))], negative=[list(range(60, 99))])
    assert loss(model, held, drop=0.5, direction="forward").item() == pytest.approx(0), "nothing is left to be wrong"


def test_twins_are_no_negatives() -> None:
    model = Table(torch.eye(8))
    twice = batch(input=[[0], [1], [0]], target=[[3], [4], [3]])
    scores = torch.zeros(3, 3)
    scores[0, 2] = scores[2, 0] = -math.inf
    own = torch.arange(3)
    wanted = nn.functional.cross_entropy(scores, own).item()
    assert loss(model, twice).item() == pytest.approx(wanted)
    assert wanted == pytest.approx((math.log(2) * 2 + math.log(3)) / 3)
    alone = batch(input=[[0], [0]], target=[[3], [4]])
    assert loss(model, alone).item() == pytest.approx(0), "the same question twice: neither answer is wrong"


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=12))
def test_twins_are_equal_sequences_and_no_others(items) -> None:
    found = _twins(Ragged.of([torch.tensor(item) for item in items]))
    wanted = [[a == b and i != j for j, b in enumerate(items)] for i, a in enumerate(items)]
    assert found.tolist() == wanted


def test_matryoshka_is_the_mean_over_its_widths() -> None:
    torch.manual_seed(0)
    model = Table(torch.randn(8, 6))
    held = batch(input=[[n] for n in range(4)], target=[[n + 4] for n in range(4)])
    whole = loss(model, held, dimensions=(2, 4))
    parts = [loss(Table(model.vectors.detach()[:, :width]), held) for width in (2, 4, 6)]
    assert whole.item() == pytest.approx(torch.stack(parts).mean().item())


@pytest.mark.parametrize("encoder", ["dense", "transformer"])
def test_chunks_change_nothing_but_memory(encoder: str) -> None:
    made = resolve(recipe(encoder=encoder))
    raw = build_raw(made)
    raw.learn(texts(60))
    model = build_model(made, raw).double().train()
    sides = [raw.windows(texts(10, seed)).ragged for seed in (0, 1)]
    held = Batch(torch.arange(10), {"input": sides[0], "target": sides[1]})
    found = []
    for chunk in (0, 3):
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        objective = Contrastive(raw.ordinary, chunk=chunk).double()
        value = objective(model, held, Draws(0))["contrastive"]
        gradients = torch.autograd.grad(value, [*model.parameters(), objective.log_scale], allow_unused=True)
        found.append((value, gradients))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-6, rtol=1e-6)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_chunks_with_dropout_recompute_the_same_draws() -> None:
    """The backward pass sees the dropout that the forward pass saw: a finite difference agrees."""
    made = resolve(recipe(encoder="transformer", encoder__dropout=0.5))
    raw = build_raw(made)
    raw.learn(texts(60))
    model = build_model(made, raw).double().train()
    held = Batch(torch.arange(8), {"input": raw.windows(texts(8)).ragged, "target": raw.windows(texts(8, 1)).ragged})
    objective = Contrastive(raw.ordinary, chunk=3).double()

    def value() -> Tensor:
        torch.manual_seed(3)
        return objective(model, held, Draws(0))["contrastive"]

    weight = model.embedding.table.weight
    (gradient,) = torch.autograd.grad(value(), [weight])
    direction = gradient / gradient.norm()
    ends = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            weight.add_(direction, alpha=step)
            ends.append(value().item())
            weight.sub_(direction, alpha=step)
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float(gradient.norm()), rel=1e-5)


def test_an_item_without_a_target_is_seen_twice() -> None:
    held = batch(input=[list(range(10, 60)), list(range(100, 160))])
    model = Table(torch.randn(200, 4))
    loss(model, held)
    first, second = model.seen
    for whole, one, other in zip(held.sides["input"].items(), first.items(), second.items(), strict=True):
        assert not torch.equal(one, other), "two crops"
        assert set(one.tolist()) | set(other.tolist()) <= set(whole.tolist())
        assert 0.3 * len(whole) <= len(one) <= 0.7 * len(whole) + 1
    model.seen.clear()
    loss(model, held, views="dropout")
    first, second = model.seen
    assert torch.equal(first.values, held.sides["input"].values)
    assert torch.equal(second.values, first.values)


def test_drop_leaves_tokens_out_of_either_side_by_itself() -> None:
    held = batch(input=[list(range(10, 60))], target=[list(range(10, 60))])
    model = Table(torch.randn(200, 4))
    loss(model, held, drop=0.5)
    first, second = model.seen
    assert 10 < len(first.values) < 40
    assert first.values.tolist() != second.values.tolist()


def test_the_temperature_is_learned_or_fixed_and_has_a_floor() -> None:
    model = Table(torch.tensor([[1.0, 0.2], [1.0, 0.25], [1.0, 0.3]]))
    held = batch(input=[[0], [1]], target=[[0], [2]])
    assert Contrastive(ORDINARY, scale="learned").log_scale.requires_grad
    assert not Contrastive(ORDINARY, scale="fixed").log_scale.requires_grad
    assert loss(model, held, temperature=1e-5).item() == loss(model, held, temperature=0.01).item()
    assert loss(model, held, temperature=0.02).item() > loss(model, held, temperature=0.01).item() > 0
    objective = Contrastive(ORDINARY, temperature=0.5)
    objective(model, held, Draws(0))["contrastive"].backward()
    assert objective.log_scale.grad is not None
    assert objective.log_scale.grad < 0, "right answers ask for more certainty"


class Means(nn.Module):
    """A model whose vectors are the mean of an item's rows, which remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Ragged] = []

    def forward(self, items: Ragged) -> Tensor:
        self.seen.append(items)
        return items.mean()

    def side(self, role: str) -> "Means":
        return self


def sounds(count: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(0)
    items = [torch.randn(20 + number, 4, 1, generator=generator) for number in range(count)]
    return Batch(torch.arange(count), {"input": Ragged.of(items, dimensions=2)})


def test_numbers_are_seen_twice_by_spans_of_their_own() -> None:
    model, held = Means(), sounds()
    ContrastiveViews(crops=(0.4, 0.6))(model, held, Draws(0))
    wholes = held.sides["input"].items()
    for view in model.seen:
        for whole, span in zip(wholes, view.items(), strict=True):
            start = int((whole[:, 0, 0] == span[0, 0, 0]).nonzero())
            assert span.equal(whole[start : start + len(span)])
            assert 0.4 * len(whole) - 0.5 <= len(span) <= 0.6 * len(whole) + 0.5
    first, second = model.seen
    assert not first.shapes.equal(second.shapes)


@pytest.mark.parametrize(
    "change", [{"speed": 1.5}, {"scaling": 0.2}, {"shift": 0.2}, {"noise": 0.1}, {"blank": 0.9}], ids=str
)
def test_each_change_makes_two_different_views_and_is_off_by_default(change: dict[str, float]) -> None:
    model, held = Means(), sounds()
    plain = ContrastiveViews(crops=(1.0, 1.0))
    plain(model, held, Draws(0))
    assert all(view.values.equal(held.sides["input"].values) for view in model.seen)
    model.seen.clear()
    ContrastiveViews(crops=(1.0, 1.0), **change)(model, held, Draws(0))
    first, second = (view.values for view in model.seen)
    assert first.shape != second.shape or not first.equal(second)
    model.seen.clear()
    ContrastiveViews(crops=(1.0, 1.0), **change)(model, held, Draws(0))
    assert model.seen[0].values.equal(first), "the same draws, the same views"


def test_views_of_numbers_by_hand() -> None:
    """Items along the axes, whole: own cosine 1, others 0."""
    held = Batch(torch.arange(4), {"input": Ragged.of([row.expand(3, 4) for row in torch.eye(4)])})
    found = ContrastiveViews(temperature=1.0, crops=(0.5, 1.0))(Means(), held, Draws(0))["contrastive"]
    assert found.item() == pytest.approx(math.log(math.e + 3) - 1, abs=1e-6)
    twice = Batch(torch.arange(4), {"input": held.sides["input"].take(torch.tensor([0, 0, 1, 2]))})
    whole = ContrastiveViews(temperature=1.0, crops=(1.0, 1.0))(Means(), twice, Draws(0))["contrastive"]
    wanted = (2 * (math.log(math.e + 2) - 1) + 2 * (math.log(math.e + 3) - 1)) / 4
    assert whole.item() == pytest.approx(wanted, abs=1e-6), "the same item twice is no wrong answer"


@pytest.mark.parametrize(
    "wrong", [{"crops": (0.0, 1.0)}, {"crops": (0.7, 0.3)}, {"speed": 0.5}, {"noise": -1.0}, {"blank": 1.5}], ids=str
)
def test_views_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"crops are two shares|A view.s speed"):
        ContrastiveViews(**wrong)
