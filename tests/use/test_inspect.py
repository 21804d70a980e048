"""Looking inside: shapes and parameters that add up, and illnesses named where they are."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged
from raw2vec.system import Raw2Vec
from raw2vec.use.inspect import inspect
from small import rows, texts

Fit = Callable[..., Raw2Vec]
IDS = Ragged(torch.arange(40) % 7, torch.full((8, 1), 5))


class Stack(nn.Module):
    """A table and six linear layers: a model to make ill."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(7, 16)
        self.body = nn.Module()
        self.body.layers = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(6))

    def forward(self, ids: Ragged) -> Tensor:
        states = self.table(ids.values)
        for layer in self.body.layers:
            states = layer(states)
        return states

    def loss(self) -> Tensor:
        return (self(IDS) ** 2).sum()


def test_a_healthy_model_has_nothing_to_note() -> None:
    model = Stack()
    found = inspect(model, IDS, model.loss)
    assert found.notes == ["gradients reach every layer in like measure: none vanishes, none explodes"]
    assert [part.name for part in found.parts] == ["table", *(f"body.layers.{n}" for n in range(6))]
    assert (
        found.parameters
        == sum(weight.numel() for weight in model.parameters())
        == sum(p.parameters for p in found.parts)
    )
    assert (found.items, found.tokens) == (8, 40)
    assert all(weight.grad is None for weight in model.parameters()), "gradients are cleared"


def test_dead_units_are_counted_and_named() -> None:
    model = Stack()
    with torch.no_grad():
        model.body.layers[2][0].weight[:4] = 0
    found = inspect(model, IDS, model.loss)
    assert {part.name: part.dead for part in found.parts}["body.layers.2"] == pytest.approx(0.25)
    assert [note for note in found.notes if "dead" in note] == [
        "25% of the units of body.layers.2 are dead: they gave one number for the whole batch"
    ]


def test_a_vanishing_gradient_is_named_where_it_vanishes() -> None:
    model = Stack()
    with torch.no_grad():
        for place in (1, 2):
            model.body.layers[place][0].weight.mul_(1e-4)
    found = inspect(model, IDS, model.loss)
    vanished = [note for note in found.notes if "vanishes" in note]
    assert any("in table" in note or "in body.layers.0" in note for note in vanished)
    assert not any("body.layers.5" in note for note in vanished)


def test_an_exploding_gradient_is_named() -> None:
    model = Stack()
    with torch.no_grad():
        model.table.weight.mul_(1e-4)
    found = inspect(model, IDS, lambda: 1e3 * model.table.weight.sum() + model.loss())
    assert any("explodes in table" in note for note in found.notes)


def test_of_two_gradients_neither_is_called_ill() -> None:
    model = Stack()
    model.body.layers = model.body.layers[:1]
    with torch.no_grad():
        model.table.weight.mul_(1e-4)
    found = inspect(model, IDS, model.loss)
    assert found.notes[-1] == "gradients reach every layer, too few to tell whether one vanishes or explodes"


def test_a_loss_that_depends_on_nothing_is_said_to() -> None:
    model = Stack()
    found = inspect(model, IDS, lambda: torch.zeros((), requires_grad=True) * 1.0)
    assert found.notes[-1] == "no gradient reaches the model: the loss does not depend on it"


def test_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one text"):
        inspect(Stack(), Ragged(torch.zeros(0, dtype=torch.long), torch.zeros(0, 1, dtype=torch.long)), lambda: None)


@pytest.mark.parametrize("objective", ["contrastive", "masked", "supervised"])
@pytest.mark.parametrize("encoder", ["dense", "recurrent", "convolutional", "transformer"])
def test_every_model_can_be_looked_into(fitted: Fit, objective: str, encoder: str) -> None:
    model = fitted(objective, encoder, training__steps=2)
    for data in (None, rows(20), texts(5)):
        found = model.inspect(data)
        names = [part.name for part in found.parts]
        assert {"embedding", "encoder", "latent"} <= set(names)
        assert found.parameters == sum(weight.numel() for weight in model.parts_.model.parameters())
        assert found.loss == found.loss
        json.dumps(found.as_dict())
        for title, table in found.tables():
            assert title
            assert len({len(row) for row in table}) == 1
    assert all(weight.grad is None for weight in model.parts_.model.parameters())
