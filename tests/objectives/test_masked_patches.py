"""Masked patches: what is hidden stays hidden, stands where it stood, and is told better than by its neighbours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

import raw2vec
from raw2vec.augmentation import hidden_rows
from raw2vec.batch import Batch
from raw2vec.embedding import PatchEmbedding
from raw2vec.encoders import Convolutional, Dense, Encoder, Recurrent, Transformer
from raw2vec.errors import BadInput
from raw2vec.latents import Point
from raw2vec.models import Embedder
from raw2vec.objectives import MaskedPatches
from raw2vec.presets import recipe
from raw2vec.ragged import Ragged
from raw2vec.resolve import resolve
from raw2vec.seeding import Draws

ENCODERS = {
    "dense": lambda: Dense(8, 8, layers=1),
    "recurrent": lambda: Recurrent(8, 8),
    "transformer": lambda: Transformer(8, 8, layers=1, heads=2),
    "learned": lambda: Transformer(8, 8, layers=1, heads=2, positions="learned", limit=40),
    "convolutional": lambda: Convolutional(8, 8, layers=1, dimensions=2),
    "halving": lambda: Convolutional(8, 8, layers=2, halvings=2, dimensions=2),
}
SIZES = [(5, 7), (4, 4), (9, 2), (1, 6)]  # odd, square, narrow, flat; patches of 2 go over their edges


def parts(encoder: str = "transformer", **settings: Any) -> tuple[Embedder, MaskedPatches]:
    torch.manual_seed(0)
    made: Encoder = ENCODERS[encoder]()
    model = Embedder(PatchEmbedding(1, 8, 2, patch=2), made, Point(8, 4))
    objective = MaskedPatches(8, 4, 1, (2, 2), **{"width": 16, "heads": 2, **settings})
    return model.eval(), objective.eval()


def pictures(sizes: list[tuple[int, int]] = SIZES, seed: int = 0) -> Ragged:
    draw = torch.Generator().manual_seed(seed)
    return Ragged.of([torch.rand(*size, 1, generator=draw) for size in sizes], 2)


def elements_hidden(items: Ragged, hidden: Tensor) -> Tensor:
    """Which elements (N,) of the pictures stand in a hidden patch of 2 by 2."""
    grids = Ragged.bare((items.shapes + 1) // 2, items.values.device)
    return hidden[grids.rows_at(items.owners, items.coordinates // 2)]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75, 0.99])
def test_a_share_of_each_item_s_rows_is_hidden_and_never_all(rate: float) -> None:
    rows = Ragged.bare(torch.tensor([[1], [2], [3], [10], [100], [0]]), torch.device("cpu"))
    hidden = hidden_rows(rows, torch.arange(6), Draws(0), rate=rate)
    counts = rows.replace(hidden[:, None].float()).sum()[:, 0].tolist()
    for count, length in zip(counts, [1, 2, 3, 10, 100, 0], strict=True):
        assert count == (0 if length < 2 else min(max(round(rate * length), 1), length - 1))


def test_the_hidden_rows_are_those_with_the_lowest_draws_and_every_epoch_hides_others() -> None:
    rows = Ragged.bare(torch.tensor([[7], [12]]), torch.device("cpu"))
    hidden = hidden_rows(rows, torch.tensor([5, 3]), Draws(1), rate=0.5, purpose="p")
    draws = Draws(1).uniform("p", torch.tensor([5, 3]), rows.lengths)
    for own, drawn in zip(hidden.split([7, 12]), draws.split([7, 12]), strict=True):
        assert drawn[own].max() < drawn[~own].min()
    assert not torch.equal(hidden, hidden_rows(rows, torch.tensor([5, 3]), Draws(1, epoch=1), rate=0.5, purpose="p"))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_hidden_numbers_reach_neither_encoder_nor_head(encoder: str) -> None:
    model, objective = parts(encoder)
    items = pictures()
    before = objective.fill(model, items, torch.arange(4), Draws(0))
    hidden = elements_hidden(items, before.hidden)
    changed = items.replace(items.values.masked_fill(hidden[:, None], 9.0))
    after = objective.fill(model, changed, torch.arange(4), Draws(0))
    assert torch.equal(before.told, after.told)
    assert not torch.equal(before.errors(), after.errors())
    values = items.values.clone().requires_grad_()
    objective.fill(model, items.replace(values), torch.arange(4), Draws(0)).told.square().sum().backward()
    assert bool((values.grad[hidden] == 0).all())
    assert bool((values.grad[~hidden] != 0).any())


@pytest.mark.parametrize("encoder", ["transformer", "learned"])
def test_visible_rows_keep_their_true_places(encoder: str) -> None:
    """Were places counted anew, a state would not notice where the gaps between the visible rows are."""
    model, _ = parts(encoder)
    rows = model.embedding(pictures([(8, 8)]))
    rows = rows.replace(rows.values[:1].repeat(16, 1) + torch.randn(2, 8)[torch.tensor([0, 1]).repeat(8)])
    near, far = torch.zeros(2, 16, dtype=torch.bool)
    near[[0, 1]], far[[0, 7]] = True, True
    assert torch.equal(rows.only(near).values, rows.only(far).values)
    assert rows.only(far).coordinates.tolist() == [[0, 0], [1, 3]]
    assert not torch.allclose(model.encoder(rows.only(near)).values, model.encoder(rows.only(far)).values, atol=1e-5)
    every = torch.ones(16, dtype=torch.bool)
    torch.testing.assert_close(model.encoder(rows.only(every)).values, model.encoder(rows).values)


def test_a_merged_row_is_the_state_of_all_rows_that_went_into_it() -> None:
    fine = Ragged.bare(torch.tensor([[3, 5], [2, 2]]), torch.device("cpu"))
    coarse = Ragged.bare(torch.tensor([[2, 3], [1, 1]]), torch.device("cpu"))
    rows = coarse.rows_at(fine.owners, fine.coordinates // 2)
    assert rows.tolist() == [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 6, 6]


def test_the_error_is_the_mean_over_hidden_numbers_that_are_there() -> None:
    model, objective = parts()
    torch.nn.init.zeros_(objective.head.leave.weight)
    torch.nn.init.constant_(objective.head.leave.bias, 0.5)
    items = pictures()
    hidden = objective.fill(model, items, torch.arange(4), Draws(0)).hidden
    told = items.values[elements_hidden(items, hidden), 0]
    losses = objective(model, Batch(torch.arange(4), {"input": items}), Draws(0))
    assert list(losses) == ["masked", "error"]
    assert losses["error"].item() == pytest.approx((told - 0.5).square().mean().item(), rel=1e-5)
    torch.testing.assert_close(losses["masked"], losses["error"])


def test_pixels_count_as_255ths() -> None:
    model, objective = parts()
    pixels = pictures()
    pixels = pixels.replace((pixels.values * 255).round().to(torch.uint8))
    as_pixels = objective.fill(model, pixels, torch.arange(4), Draws(0))
    numbers = objective.fill(model, pixels.replace(pixels.values / 255), torch.arange(4), Draws(0))
    torch.testing.assert_close(as_pixels.errors(), numbers.errors())


def test_what_is_missing_does_not_count() -> None:
    model, objective = parts()
    model.embedding = PatchEmbedding(1, 8, 2, patch=2, missing="flag")
    items = pictures()
    gone = torch.rand(len(items.values), generator=torch.Generator().manual_seed(1)) < 0.3
    items = items.replace(items.values.masked_fill(gone[:, None], torch.nan))
    filled = objective.fill(model, items, torch.arange(4), Draws(0))
    there = elements_hidden(items, filled.hidden) & ~gone
    assert len(filled.errors()) == int(there.sum())
    value = objective(model, Batch(torch.arange(4), {"input": items}), Draws(0))["masked"]
    value.backward()
    grads = [weight.grad for weight in (*model.parameters(), *objective.parameters()) if weight.grad is not None]
    assert value.isfinite()
    assert all(bool(grad.isfinite().all()) for grad in grads)


def test_normalized_targets_have_no_mean_and_unit_deviation_in_each_patch() -> None:
    model, objective = parts(targets="normalized")
    patches = objective.fill(model, pictures(), torch.arange(4), Draws(0)).patches.values
    torch.testing.assert_close(patches.nanmean(dim=1), torch.zeros(len(patches)), atol=1e-5, rtol=0)
    whole = patches[(~patches.isnan()).all(dim=1)]
    torch.testing.assert_close(whole.std(dim=1, correction=0), torch.ones(len(whole)), atol=1e-2, rtol=0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_item_is_filled_the_same_alone_and_in_any_order(encoder: str) -> None:
    model, objective = parts(encoder)
    items, order = pictures(), torch.tensor([2, 0, 3, 1])
    together = objective.fill(model, items, torch.arange(4), Draws(0))
    shuffled = objective.fill(model, items.take(order), order, Draws(0))
    owners, others = together.patches.owners[together.hidden], shuffled.patches.owners[shuffled.hidden]
    for place, number in enumerate(order.tolist()):
        alone = objective.fill(model, items.take(order[[place]]), order[[place]], Draws(0)).told
        torch.testing.assert_close(alone, together.told[owners == number], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(alone, shuffled.told[others == place], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_item_of_one_patch_teaches_nothing_and_harms_nothing(encoder: str) -> None:
    model, objective = parts(encoder)
    value = objective(model, Batch(torch.arange(1), {"input": pictures([(2, 1)])}), Draws(0))["masked"]
    assert value.item() == 0
    value.backward()


@pytest.mark.parametrize("targets", ["plain", "normalized"])
@pytest.mark.parametrize("encoder", ["transformer", "halving", "dense", "recurrent"])
def test_gradients_agree_with_finite_differences(encoder: str, targets: str) -> None:
    """By the pixels, which are what is told as well as what it is told from."""
    model, objective = parts(encoder, targets=targets)
    model, objective, items = model.double(), objective.double(), pictures([(4, 5), (2, 3)])

    def loss(values: Tensor) -> Tensor:
        return objective(model, Batch(torch.arange(2), {"input": items.replace(values)}), Draws(0))["masked"]

    assert torch.autograd.gradcheck(loss, items.values.double().requires_grad_())


def test_bad_input_is_told_in_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"embedding\.patch"):
        MaskedPatches(8, 4, 1, ())
    with pytest.raises(BadInput, match="between 0 and 1"):
        MaskedPatches(8, 4, 1, (2,), rate=1.0)
    with pytest.raises(BadInput, match="table"):
        resolve(recipe("table", {"input": "*"}, objective="masked"))
    with pytest.raises(BadInput, match=r"embedding\.patch"):
        digits_model(settings={"embedding.patch": 0, "encoder": "dense"}, steps=1)
    with pytest.raises(BadInput, match="one patch only"):
        digits_model(settings={"embedding.patch": 8}, steps=1)


def digits() -> np.ndarray:
    return np.round(load_digits().images * 255 / 16).astype(np.uint8)


def digits_model(**options: Any) -> raw2vec.Raw2Vec:
    asked = {"objective": "masked", "kind": "image", "encoder": "transformer", "size": "tiny", **options}
    return raw2vec.Raw2Vec(**asked).fit(digits()[:900])


def test_pictures_are_fitted_saved_loaded_and_encoded(tmp_path: Path) -> None:
    small = {"encoder.width": 48, "stages.0.objectives.0.width": 48, "training.learning_rate": 4e-3}
    model = digits_model(steps=80, settings={**small, "training.hold_out": 0.1})
    report = model.parts_.report
    assert report["protocol"] == "masked/1"
    baselines = [metrics["mse"] for metrics in report["baselines"].values()]
    assert report["metrics"]["mse"] < 0.95 * min(baselines), report["metrics"]
    vectors = model.encode(digits()[:20])
    assert vectors.shape == (20, 32)
    model.save(tmp_path / "model")
    assert np.array_equal(raw2vec.load(tmp_path / "model").encode(digits()[:20]), vectors)


@pytest.mark.parametrize(("kind", "encoder"), [("image", "convolutional"), ("series", "transformer")])
def test_without_an_encoder_named_there_is_one_that_sees_patches(kind: str, encoder: str) -> None:
    made = resolve(recipe(kind, {"input": "x"}, objective="masked"))
    assert made.encoder.name == encoder
    assert made.embedding["patch"] > 0
    assert made.decoder is None


def test_masked_and_supervised_together() -> None:
    made = recipe("image", {"input": "image", "label": "label"}, objective="masked", size="tiny", steps=3)
    objectives = [{"name": "masked", "rate": 0.5}, {"name": "supervised", "weight": 0.1}]
    made = made.changed({"stages.0.objectives": objectives, "encoder.width": 16, "encoder.layers": 1})
    data = {"image": list(digits()[:60]), "label": load_digits().target[:60].tolist()}
    model = raw2vec.Raw2Vec(recipe=made).fit(data)
    assert set(model.parts_.objectives) == {"0/masked", "0/supervised"}
    assert model.parts_.objectives["0/masked"].rate == 0.5


@pytest.mark.parametrize("shape", [(40, 3), (33, 1)])
def test_series_are_hidden_too(shape: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    series = draw.normal(size=(50, *shape)).cumsum(axis=1).astype(np.float32)
    model = raw2vec.Raw2Vec(objective="masked", kind="series", size="tiny", steps=2).fit(series)
    assert model.encode(series).shape == (50, 32)
