"""The laws of the way back, over every cell that has one: decode gives what encode took, and only sample draws."""

from typing import Any

import numpy as np
import pytest
import torch
from cells import Cell, every_cell
from numpy.testing import assert_allclose
from real import digits

from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec

cells = pytest.mark.parametrize("cell", [cell for cell in every_cell() if cell.decodes], ids=str)
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")


@cells
def test_what_comes_back_is_of_the_kind_that_went_in(cell: Cell) -> None:
    model, items = cell.fitted(), cell.items(7)
    back = list(model.decode(model.encode(items), sizes(model, items)))
    assert len(back) == len(items)
    for item, other in zip(items, back, strict=True):
        assert type(other) is type(item)
        if isinstance(item, np.ndarray):
            assert other.dtype == item.dtype
            assert other.ndim == item.ndim
            assert cell.kind == "audio" or other.shape == item.shape, "a spectrogram is as long as its frames"
        if isinstance(item, dict):
            assert list(other) == [name for name in item if name != "cultivar"]
    assert alike(model.reconstruct(items), back)


@cells
def test_a_code_is_decoded_the_same_alone_and_in_any_order(cell: Cell) -> None:
    model, items = cell.fitted(), cell.items(7)
    codes, grids = model.encode(items), sizes(model, items)
    together = list(model.decode(codes, grids))
    backwards = list(model.decode(codes[::-1], None if grids is None else grids[::-1]))[::-1]
    alone = [model.decode(codes[i : i + 1], None if grids is None else grids[i : i + 1])[0] for i in range(7)]
    assert alike(backwards, together)
    assert alike(alone, together)


@cells
def test_only_sample_draws(cell: Cell) -> None:
    model, items = cell.fitted(), cell.items(5)
    state = torch.get_rng_state()
    assert model.encode(items).tobytes() == model.encode(items).tobytes()
    grids = None if sizes(model, items) is None else sizes(model, items)[:1].repeat(4, axis=0)
    options: dict[str, Any] = {} if cell.objective == "variational" else {"like": cell.items(30)}
    drawn = [list(model.sample(4, seed=seed, sizes=grids, **options)) for seed in (3, 3, 4)]
    assert alike(drawn[0], drawn[1])
    assert alike(list(model.sample(2, seed=3, sizes=grids if grids is None else grids[:2], **options)), drawn[0][:2])
    assert torch.equal(torch.get_rng_state(), state)
    if cell.objective == "reconstruction":
        with pytest.raises(BadInput, match="no prior"):
            model.sample(1, sizes=None if grids is None else grids[:1])


@cells
def test_a_score_is_the_items_own(cell: Cell) -> None:
    model, items = cell.fitted(), cell.items(6)
    together = model.score_samples(items)
    assert together.shape == (6,)
    assert_allclose(model.score_samples(items[::-1])[::-1], together, rtol=1e-4, atol=1e-3)
    assert_allclose([model.score_samples([item])[0] for item in items], together, rtol=1e-4, atol=1e-3)
    assert ((model.predict(items) == -1) == (model.decision_function(items) < 0)).all()


@cells
def test_a_line_between_two_items_ends_in_both(cell: Cell) -> None:
    model, ends = cell.fitted(), cell.items(2)
    walk = list(model.interpolate(*ends, steps=3))
    assert alike([walk[0], walk[-1]], list(model.reconstruct(ends)))
    assert alike(list(model.interpolate(ends[0], ends[0], steps=3)), [walk[0]] * 3)


@pytest.mark.parametrize("encoder", ["recurrent", "convolutional", "transformer"])
def test_pictures_of_any_size_come_back_at_their_own(encoder: str) -> None:
    shapes = [(8, 8), (1, 1), (1, 8), (7, 1), (3, 6), (5, 5), (2, 8)]
    pictures = [digit[: shapes[n % 7][0], : shapes[n % 7][1]] for n, digit in enumerate(digits()["input"][:70])]
    small = {"name": encoder, "width": 24, "layers": 2}
    settings = {"decoder.width": 24, "stages.0.batch_items": 16}
    model = Raw2Vec(objective="reconstruction", kind="image", encoder=small, latent=6, size="tiny", steps=10,
                    settings=settings).fit(pictures)  # fmt: skip
    together = model.encode(pictures[:7])
    assert_allclose(np.stack([model.encode(picture) for picture in pictures[:7]]), together, atol=1e-5)
    assert [back.shape for back in model.reconstruct(pictures[:7])] == shapes
    middle = model.parts_.raw.form.usual
    assert middle
    assert [back.shape for back in model.decode(together)] == [middle] * 7, "nobody said a size"


def sizes(model: Raw2Vec, items: list[Any]) -> np.ndarray | None:
    """The items' own grids, where a code does not tell them."""
    form = model.parts_.raw.form
    known = form.shape is not None or form.longest
    return None if known else np.asarray(model.parts_.raw.windows(items).ragged.shapes)


def alike(some: Any, others: Any) -> bool:
    """The same items but for rounding: a level of a pixel, a hair of a number."""
    if len(some) != len(others):
        return False
    return all(_near(a, b) for a, b in zip(some, others, strict=True))


def _near(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return list(a) == list(b) and all(_near(a[name], b[name]) for name in a)
    if isinstance(a, np.ndarray):
        atol = 1 if a.dtype == np.uint8 else 1e-3
        return a.shape == b.shape and bool(np.allclose(a.astype(float), b.astype(float), atol=atol, rtol=1e-3))
    return bool(a == pytest.approx(b, rel=1e-3, abs=1e-3)) if isinstance(a, float) else bool(a == b)
