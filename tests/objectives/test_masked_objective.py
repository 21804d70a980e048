"""Masked prediction: the loss of the hidden tokens only, by the states that stand in their places."""

import pytest
import torch
from torch import Tensor

from raw2vec.batch import Batch
from raw2vec.build import build_model, build_raw
from raw2vec.models import Embedder
from raw2vec.objectives import Masked
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.resolve import resolve
from raw2vec.seeding import Draws
from small import recipe, texts


def parts(encoder: str) -> tuple[Text, Embedder, Masked]:
    made = resolve(recipe("masked", encoder))
    raw = build_raw(made)
    raw.learn(texts(60))
    model = build_model(made, raw).eval()
    return raw, model, Masked(model.encoder.width, raw.size, raw.mask, raw.ordinary)


@pytest.mark.parametrize("encoder", ["dense", "transformer", "recurrent"])
def test_the_loss_is_the_mean_cost_of_the_hidden_tokens(encoder: str) -> None:
    raw, model, objective = parts(encoder)
    ids = raw.windows(texts(9)).ragged
    items = torch.arange(9)
    hidden = objective.hide(model, ids, items, Draws(0))
    assert len(hidden.ids) == len(hidden.owners) == len(hidden.states)
    assert all(int(i) in raw.ordinary for i in hidden.ids), "boundaries are never hidden"
    assert set(hidden.owners.tolist()) == set(range(9)), "every item teaches"
    costs = -objective.readout.log_prob(hidden.states, hidden.ids, model.embedding.weight)
    named = objective(model, Batch(items, {"input": ids}), Draws(0))
    assert named["masked"].item() == pytest.approx(costs.mean().item(), rel=1e-6)


@pytest.mark.parametrize("encoder", ["dense", "transformer"])
def test_an_item_s_hidden_tokens_do_not_depend_on_its_batch_mates(encoder: str) -> None:
    raw, model, objective = parts(encoder)
    ids = raw.windows(texts(9)).ragged
    together = objective.hide(model, ids, torch.arange(9), Draws(0))
    for place in (0, 4, 8):
        alone = objective.hide(model, ids.take(torch.tensor([place])), torch.tensor([place]), Draws(0))
        own = together.owners == place
        assert torch.equal(alone.ids, together.ids[own])
        torch.testing.assert_close(alone.states, together.states[own], atol=1e-5, rtol=1e-5)


def test_the_model_sees_the_masks_and_the_states_are_those_of_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, model, objective = parts("transformer")
    ids, seen = raw.windows(texts(40)).ragged, []
    contextual = model.contextual
    monkeypatch.setattr(model, "contextual", lambda masked: seen.append(masked) or contextual(masked))
    hidden = objective.hide(model, ids, torch.arange(40), Draws(0))
    (masked,) = seen
    rows = (masked.values != ids.values).nonzero().squeeze(1)
    assert 0.8 < len(rows) / len(hidden.ids) < 0.97, "one in ten stays in sight"
    assert float((masked.values[rows] == raw.mask).double().mean()) > 0.8
    states = contextual(masked).values[rows]
    for row, state in zip(rows, states, strict=True):
        assert bool(((hidden.states == state).all(dim=1) & (hidden.ids == ids.values[row])).any())


def test_no_token_to_hide_is_no_loss_and_no_nan() -> None:
    raw, model, objective = parts("transformer")
    ids = Ragged.of([torch.tensor([raw.start, raw.unknown, raw.end]), torch.tensor([raw.start, raw.end])])
    value: Tensor = objective(model, Batch(torch.arange(2), {"input": ids}), Draws(0))["masked"]
    assert value.item() == 0
    value.backward()


def test_both_sides_of_a_pair_teach_together() -> None:
    raw, model, objective = parts("transformer")
    sides = {"input": raw.windows(texts(5)).ragged, "target": raw.windows(texts(5, 1)).ragged}
    both = objective(model, Batch(torch.arange(5), sides), Draws(0))["masked"].item()
    found = [objective.hide(model, ids, torch.arange(5), Draws(0), side) for side, ids in sides.items()]
    costs = [-objective.readout.log_prob(h.states, h.ids, model.embedding.weight) for h in found]
    assert both == pytest.approx(torch.cat(costs).mean().item(), rel=1e-5)
