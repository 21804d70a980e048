"""The laws of docs/design.md, each over every cell of the grid; those that take fits of their own: test_fit_laws.py."""

import math
import socket
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cells import NONSENSE, Cell, every_cell
from numpy.testing import assert_allclose, assert_array_equal
from real import KINDS
from torch import nn

import raw2vec
from raw2vec.build import build_model, build_objectives
from raw2vec.errors import BadInput, NonFinite
from raw2vec.resolve import resolve
from raw2vec.seeding import Draws
from raw2vec.system import TruncationWarning
from raw2vec.train.batches import Feed
from raw2vec.train.prepare import prepare

cells = pytest.mark.parametrize("cell", every_cell(), ids=str)
texts = pytest.mark.parametrize("cell", [cell for cell in every_cell() if cell.kind == "text"], ids=str)
pytestmark = [
    pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning"),
    pytest.mark.filterwarnings("ignore::raw2vec.errors.EmptyTextWarning"),
]


@cells
def test_batch_law(cell: Cell) -> None:
    model, items = cell.fitted(), cell.items(17)
    together = model.encode(items)
    alone = np.stack([model.encode(item) for item in items])
    shuffled = model.encode(items[::-1], batch_size=3)[::-1]
    assert_allclose(alone, together, atol=1e-5)
    assert_allclose(shuffled, together, atol=1e-5)
    half = model.encode(items, precision="bfloat16")
    half_alone = np.stack([model.encode(item, precision="bfloat16") for item in items])
    assert cosines(half, half_alone).min() >= 0.9999
    assert cosines(half, together).min() >= 0.999


@texts
def test_line_law_of_texts(cell: Cell) -> None:
    model = cell.fitted()
    items = ["", "one", " \n\t", *cell.items(40), ""]
    vectors = model.encode(items)
    assert vectors.shape == (44, model.n_features_out_)
    assert vectors.dtype == np.float32
    assert_allclose(vectors[1], model.encode("one"), atol=1e-5)
    assert_allclose(vectors[0], vectors[-1], atol=1e-5)
    there_and_back = model.parts_.recipe.decoder is not None
    assert [row for row in range(44) if not vectors[row].any()] == ([] if there_and_back else [0, 2, 43])


@cells
def test_line_law(cell: Cell) -> None:
    model, items = cell.fitted(), cell.items(3)
    assert model.encode(items).shape == (3, model.n_features_out_)
    with pytest.raises(BadInput, match="2"):
        model.encode([*items[:2], None])
    assert model.encode([]).shape == (0, model.n_features_out_)


@cells
def test_round_trip_law(cell: Cell, tmp_path: Path) -> None:
    model, items = cell.fitted(), cell.items(9)
    model.save(tmp_path / "m")
    again = raw2vec.load(tmp_path / "m")
    assert_array_equal(again.encode(items), model.encode(items))
    assert again.fingerprint_ == model.fingerprint_
    for name, weight in model.parts_.objectives.state_dict().items():
        assert torch.equal(weight, again.parts_.objectives.state_dict()[name])
    kinds = {path.suffix for path in (tmp_path / "m").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".jsonl", ".safetensors", ".md"}


@cells
def test_gradient_law(cell: Cell, tmp_path: Path) -> None:
    """The whole cell's loss, in float64, against a central difference along the gradient and a random direction."""
    modules, loss = _double(cell, tmp_path)
    weights = [p for p in modules.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss(), weights, allow_unused=True)
    gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(weights, gradients, strict=True)]
    generator = torch.Generator().manual_seed(0)
    for direction in (gradients, [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in weights]):
        size = math.sqrt(sum(float((d * d).sum()) for d in direction))
        direction = [d / size for d in direction]
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        # Where the loss bends much a step has to be small; a wrong gradient is wrong by every step.
        slopes = [_central(loss, weights, direction, step) for step in (1e-6, 1e-7, 1e-8)]
        assert any(found == pytest.approx(slope, rel=1e-5, abs=1e-7) for found in slopes), (slopes, slope)


@cells
def test_shape_law(cell: Cell) -> None:
    model, items = cell.fitted(), KINDS[cell.kind].odd()
    vectors = model.encode(items)
    assert np.isfinite(vectors).all()
    for item, vector in zip(items, vectors, strict=True):
        assert_allclose(model.encode([item])[0], vector, atol=1e-5, rtol=1e-5)
    with pytest.raises(BadInput):
        model.encode([items[0], KINDS[cell.kind].wrong])


@pytest.mark.parametrize("cell", NONSENSE, ids=str)
def test_a_cell_that_makes_no_sense_is_refused(cell: Cell) -> None:
    with pytest.raises(BadInput):
        cell.fitted()


def test_a_gap_that_training_never_saw_is_named() -> None:
    model, item = Cell("series", "recurrent", "reconstruction").fitted(), np.full((5, 2), np.nan, np.float32)
    for use in (model.encode, model.reconstruct, lambda items: model.interpolate(item[:1], items[0])):
        with pytest.raises(NonFinite, match="has gaps"):
            use([item])


@texts
def test_truncation_is_said(cell: Cell) -> None:
    model = cell.fitted()
    limit = model.parts_.raw.settings["max_tokens"]
    items = ["short", "word " * 500]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model.encoded(items)
    assert found.tokens[1] >= 500
    assert (found.truncated[0], found.truncated[1] > 500 - limit) == (0, True)
    assert any(issubclass(warning.category, TruncationWarning) for warning in caught)


@cells
def test_loud_law(cell: Cell) -> None:
    model = cell.fitted()
    weight = next(model.parts_.model.embedding.parameters())
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.fill_(float("nan"))
    try:
        with pytest.raises(NonFinite, match="item"):
            model.encode(cell.items(2))
    finally:
        with torch.no_grad():
            weight.copy_(kept)


@cells
def test_offline_law(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    cell.fitted().save(tmp_path / "m")
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    raw2vec.load(tmp_path / "m").encode(cell.items(1))


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def _central(loss: Callable[[], torch.Tensor], weights: list[nn.Parameter], direction: list, step: float) -> float:
    """The loss's slope along a direction of length one, by a central difference."""
    ends = []
    for sign in (1, -1):
        _shift(weights, direction, sign * step)
        ends.append(loss().item())
        _shift(weights, direction, -sign * step)
    return (ends[0] - ends[1]) / (2 * step)


def _shift(weights: list[nn.Parameter], direction: list[torch.Tensor], step: float) -> None:
    with torch.no_grad():
        for weight, way in zip(weights, direction, strict=True):
            weight.add_(way, alpha=step)


def _double(cell: Cell, folder: Path):
    recipe = resolve(cell.recipe())
    prepared = prepare(raw2vec.rows.open_rows(cell.data, []), recipe, folder / "work", False, lambda event: None)
    model = build_model(recipe, prepared.raw)
    labels = prepared.labels
    objectives = build_objectives(recipe, prepared.raw, model, labels and labels.task, labels.outcomes if labels else 0)
    modules = nn.ModuleDict({"model": model, "objectives": objectives}).double().eval()
    objective = objectives[f"0/{cell.objective}"]
    feed = Feed(prepared.corpus, recipe.views(recipe.stages[0]), objective.needs, False, 0, batch_items=6)
    batch = feed.batch(feed.epoch(0)[0][:6])
    return modules, lambda: next(iter(objective(model, batch, Draws(1)).values()))
