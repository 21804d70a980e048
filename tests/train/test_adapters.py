"""Low-rank adapters and layer-wise rates: they begin at the checkpoint, learn alone, are merged, and resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from raw2vec.layers import LowRank, adapt, merge
from raw2vec.recipe import Recipe
from raw2vec.train.optimizers import adamw, muon
from small import rows
from tiny_checkpoints import TEXTS, written

SHORT: dict[str, Any] = {"training.hold_out": 0.2, "training.checks": 2, "stages.0.batch_tokens": 200}
LORA = SHORT | {"stages.0.adapters.rank": 4}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    written("bert", folder)
    return folder


def fitted(start: Path, steps: int = 4, **changes: Any) -> Raw2Vec:
    made = Raw2Vec("supervised", steps=steps, checkpoint=start, settings=LORA | changes)
    return made.fit(rows(), input="text", label="label")


def drawn(module: nn.Module) -> None:
    for inner in module.modules():
        if isinstance(inner, LowRank):
            nn.init.normal_(inner.up, std=0.3)


@torch.no_grad()
def test_it_begins_as_the_map_and_merged_it_is_the_same(start: Path) -> None:
    parts = raw2vec.load(start).parts_
    ids, before = parts.raw.windows(TEXTS[:9]).ragged, {}
    plain = parts.model(ids)
    names = set(parts.model.state_dict())
    found = adapt(parts.model.encoder, rank=3, alpha=6, dropout=0.0, rate=1.0)
    assert len(found) == 3 * 4
    assert torch.equal(parts.model(ids), plain)
    drawn(parts.model)
    apart = parts.model(ids)
    assert (apart - plain).abs().max() > 0.1
    before = {name: value.clone() for name, value in parts.model.state_dict().items() if name in names}
    merge(parts.model.encoder)
    torch.testing.assert_close(parts.model(ids), apart, atol=1e-5, rtol=1e-5)
    assert set(parts.model.state_dict()) == names == set(before)
    assert all(weight.requires_grad for weight in parts.model.parameters())


def test_gradients() -> None:
    torch.manual_seed(0)
    made = LowRank(nn.Linear(5, 4).double(), rank=2, alpha=3.0)
    nn.init.normal_(made.up)
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: made(x), (x, *made.parameters()))


def test_adapters_alone_learn(start: Path) -> None:
    parts = raw2vec.load(start).parts_
    for _ in range(2):  # a run that is resumed does it again
        adapt(parts.model.encoder, rank=3, alpha=6, dropout=0.1, rate=1.0)
    drawn(parts.model)
    parts.model.train()(parts.raw.windows(TEXTS).ragged).square().sum().backward()
    for name, weight in parts.model.encoder.named_parameters():
        assert (weight.grad is not None) == name.endswith((".down", ".up")), name


def test_a_fit_moves_what_has_adapters_and_nothing_else(start: Path, tmp_path: Path) -> None:
    """And what it saves is an ordinary folder."""
    before, model = raw2vec.load(start).parts_.model.state_dict(), fitted(start)
    after = model.parts_.model.state_dict()
    assert set(after) == set(before)
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert moved == {name for name in before if ".layers." in name and "norm" not in name and name.endswith("weight")}
    for name in moved:  # a change of rank 4
        assert torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-3) <= 4
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "m").encode(TEXTS), model.encode(TEXTS))
    assert model.parts_.recipe.stages[0].adapters.alpha == 16
    still = fitted(start, 1, **{"training.learning_rate": 1e-12})
    np.testing.assert_allclose(still.encode(TEXTS), raw2vec.load(start).encode(TEXTS), atol=1e-5)


def test_resumed_it_ends_in_the_same_weights(start: Path, tmp_path: Path) -> None:
    """Also after a stage that has ended, and with dropout and an average."""
    changes = {"stages.0.adapters.dropout": 0.2, "training.average": 0.9}
    whole = fitted(start, 6, **changes)

    def stop(event: Any) -> None:
        if getattr(event, "step", 0) == 4 and event.losses:
            raise KeyboardInterrupt

    made = Raw2Vec("supervised", steps=6, checkpoint=start, settings=LORA | changes | {"training.save_every": 1e-9})
    with pytest.raises(KeyboardInterrupt):
        made.fit(rows(), input="text", label="label", out=tmp_path / "m", listener=stop)
    resumed = made.fit(rows(), input="text", label="label", out=tmp_path / "m", resume=True)
    np.testing.assert_array_equal(resumed.encode(TEXTS), whole.encode(TEXTS))


def test_a_stage_with_adapters_and_one_without(start: Path) -> None:
    """The first learns a change of low rank, the second all weights."""
    recipe = fitted(start, 1).parts_.recipe.model_dump(mode="json")
    plain = {**recipe["stages"][0], "adapters": None}
    recipe |= {"stages": [recipe["stages"][0], plain]}
    model = Raw2Vec(recipe=Recipe.read(recipe), steps=4).fit(rows())
    before, after = raw2vec.load(start).parts_.model.state_dict(), model.parts_.model.state_dict()
    assert set(after) == set(before)
    assert not torch.equal(after["embedding.table.weight"], before["embedding.table.weight"])


def test_what_is_refused(start: Path) -> None:
    made = Raw2Vec("supervised", "recurrent", size="tiny", steps=1, settings={"stages.0.adapters": {}})
    with pytest.raises(BadInput, match="encoder 'recurrent' has none"):
        made.fit(rows(), input="text", label="label")
    with pytest.raises(BadInput, match=r"has no setting 'stages\.0\.adapters\.rnk'.*Did you mean 'rank'"):
        fitted(start, **{"stages.0.adapters.rnk": 4})
    with pytest.raises(BadInput, match=r"layer_decay\), not 1\.5"):
        fitted(start, **{"training.optimizer.layer_decay": 1.5})


def test_layers_take_smaller_steps_the_deeper_they_lie(start: Path) -> None:
    model, head = raw2vec.load(start).parts_.model, nn.Linear(32, 3)
    adapter = adapt(model.encoder.layers[0], rank=2, alpha=4, dropout=0.0, rate=10.0)[0]
    model.requires_grad_(True)
    made = adamw([model, head], head_rate=20.0, layer_decay=0.5)
    (inner,) = made.optimizers
    found = {id(weight): group.get("rate", 1.0) for group in inner.param_groups for weight in group["params"]}
    rates = {name: found[id(weight)] for name, weight in model.named_parameters()}
    assert {rates[f"encoder.layers.{place}.feed_forward_norm.bias"] for place in range(3)} == {0.5, 0.25, 0.125}
    assert rates["encoder.layers.2.attention.leave.weight"] == 0.5
    assert rates["embedding.table.weight"] == rates["encoder.positions.table.weight"] == 0.0625
    assert found[id(adapter.up)] == pytest.approx(10 * 0.125)
    assert found[id(head.weight)] == 20.0
    assert sum(len(group["params"]) for group in inner.param_groups) == len([*model.parameters(), *head.parameters()])


def test_by_muon_too_adapters_have_their_own_rate(start: Path) -> None:
    model = raw2vec.load(start).parts_.model
    adapter = adapt(model.encoder.layers[0], rank=2, alpha=4, dropout=0.0, rate=10.0)[0]
    head = nn.Linear(32, 3)
    rates = {
        id(weight): group.get("rate", 1.0)
        for inner in muon([model, head]).optimizers
        for group in inner.param_groups
        for weight in group["params"]
    }
    assert rates[id(adapter.up)] == rates[id(adapter.down)] == 10.0
    assert rates[id(head.weight)] == 1.0


def test_without_it_the_groups_are_as_they_were(start: Path) -> None:
    """So that a run which an older version began is gone on with."""
    model = raw2vec.load(start).parts_.model
    (inner,) = adamw([model, nn.Linear(32, 3)]).optimizers
    assert [(group["weight_decay"], group.get("rate")) for group in inner.param_groups] == [
        (0.01, None),
        (0.01, 1.0),
        (0.0, None),
    ]
