"""The laws that take fits of their own, each over one cell of each sort."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from cells import Cell, one_of_each
from real import KINDS, functions

from raw2vec.build import build_raw
from raw2vec.errors import NonFinite
from raw2vec.resolve import resolve
from raw2vec.system import Raw2Vec
from raw2vec.train.base import Progress

cells = pytest.mark.parametrize("cell", one_of_each(), ids=str)


@cells
def test_resume_law(cell: Cell, tmp_path: Path) -> None:
    """Stopped at a step and resumed: the same weights to the bit. tests/train kills real processes."""
    whole = cell.fitted()
    out = tmp_path / "m"
    recipe = cell.recipe(save_every=1e-9)

    def stop(event: object) -> None:
        if isinstance(event, Progress) and event.step == (17 if cell.kind == "text" else 7) and event.losses:
            raise Killed

    with pytest.raises(Killed):
        Raw2Vec(recipe=recipe).fit(cell.data, out=out, listener=stop)
    assert not out.exists()
    resumed = Raw2Vec(recipe=recipe).fit(cell.data, out=out, resume=True)
    assert_same_weights(whole, resumed)


@cells
def test_seed_law(cell: Cell) -> None:
    once = cell.fitted()
    state = torch.get_rng_state()
    twice = Raw2Vec(recipe=cell.recipe()).fit(cell.data)
    assert_same_weights(once, twice)
    twice.encode(cell.items(3))
    assert torch.equal(torch.get_rng_state(), state), "fit and encode leave the global generator alone"
    other = Raw2Vec(recipe=cell.recipe().changed({"seed": 8})).fit(cell.data)
    weights = [next(model.parts_.model.encoder.parameters()) for model in (once, other)]
    assert not torch.equal(*weights)


@cells
def test_a_loss_that_is_not_finite_stops_with_layer_and_step(cell: Cell) -> None:
    recipe = cell.recipe(learning_rate=1e30, average=0.0, hold_out=0.0, clip=1e30, precision="float32")
    with pytest.raises(NonFinite, match=r"(layer|gradient of) (model|objectives)\..*step \d"):
        Raw2Vec(recipe=recipe).fit(cell.data)


@cells
def test_grid_law(cell: Cell) -> None:
    """Trained on real data, held-out items are judged better than knowing nothing but frequencies would do."""
    steps = 300 if cell.latent else 150 if cell.kind == "text" else 90  # codes in a book take their time
    report = Raw2Vec(recipe=cell.recipe(steps=steps, average=0.0, checks=5)).fit(cell.data).report
    best = min(check["held_out"] for check in report["history"])
    if cell.kind != "text" and cell.decodes:
        assert report["metrics"]["r2"] > 0.1, "what comes back explains more than the mean item would"
    elif cell.kind != "text" and cell.objective == "masked":
        assert report["metrics"]["mse"] < report["baselines"]["mean of what is seen"]["mse"]
    else:
        assert best < _baseline(cell), f"{best:.3f} against {_baseline(cell):.3f}"


class Killed(Exception):
    """Raised in the middle of a run."""


def assert_same_weights(one: Raw2Vec, other: Raw2Vec) -> None:
    for kind in ("model", "objectives"):
        theirs = getattr(other.parts_, kind).state_dict()
        for name, weight in getattr(one.parts_, kind).state_dict().items():
            assert torch.equal(weight, theirs[name]), name


def _baseline(cell: Cell) -> float:
    rows = cell.data
    judged_by_itself = cell.objective == "vicreg" or (cell.kind, cell.objective) == ("series", "contrastive")
    if judged_by_itself:  # what its loss is before training
        untrained = Raw2Vec(recipe=cell.recipe(steps=1, learning_rate=1e-9, average=0.0)).fit(cell.data)
        return min(check["held_out"] for check in untrained.report["history"])
    if cell.objective == "contrastive":
        return 1 - sum(1 / rank for rank in range(1, 11)) / 10  # missed by chance among ten; batches hold more
    if cell.objective == "distillation":  # the one direction that is nearest to all of the teacher's vectors
        told = np.array([row["teacher"] for row in rows] if isinstance(rows, list) else rows["teacher"])
        told /= np.linalg.norm(told, axis=1, keepdims=True)
        return float(1 - np.linalg.norm(told.mean(axis=0)))
    if cell.objective == "supervised":
        label = KINDS[cell.kind].columns["label"]
        return _entropy([row[label] for row in rows] if isinstance(rows, list) else rows[label])
    raw = build_raw(resolve(cell.recipe().changed({"raw.vocabularies": "joint"})))  # the target's own is one as well
    translates = cell.objective == "translation"
    roles = ("code",) if cell.decodes or translates else ("query", "code")
    items = [row[name] for row in functions() for name in roles]
    raw.learn(items)
    windows = raw.windows(items).ragged
    if cell.decodes:  # nats a text, each token by its frequency
        return _entropy(windows.values.tolist()) * float(windows.lengths.double().mean())
    if translates:  # nats a token, but for the first, which is given
        return _entropy(windows.values[windows.places > 0].tolist())
    return _entropy([i for i in windows.values.tolist() if i in raw.ordinary])


def _entropy(values: list[object]) -> float:
    counts = np.array(list(Counter(values).values())) / len(values)
    return float(-(counts * np.log(counts)).sum())
