"""Class tokens go before every item's rows: in sequence, in any batch, and where only some rows are seen."""

import numpy as np
import pytest
import torch

from raw2vec.encoders import Transformer
from raw2vec.ragged import Ragged
from raw2vec.system import Raw2Vec

LENGTHS = [3, 1, 17, 0, 16]


def encoder(**changes: object) -> Transformer:
    torch.manual_seed(0)
    settings = {"norm_order": "pre-only", "biases": "all", "positions": "learned", "class_tokens": 2, "limit": 64}
    return Transformer(6, 8, heads=2, **{"layers": 2} | settings | changes).eval()


def batch(lengths: list[int] = LENGTHS) -> Ragged:
    generator = torch.Generator().manual_seed(1)
    return Ragged(torch.randn(sum(lengths), 6, generator=generator), torch.tensor(lengths)[:, None])


@torch.inference_mode()
def test_each_item_is_the_tokens_and_its_rows() -> None:
    made, x = encoder(), batch()
    found = made(x)
    assert found.lengths.tolist() == [length + 2 for length in LENGTHS]
    assert [grid.tolist() for grid in made.grids(x.shapes)] == [found.shapes.tolist()] * 3
    plain = encoder(class_tokens=0)
    plain.load_state_dict({name: value for name, value in made.state_dict().items() if name != "first"})
    for item, states in zip(x.items(), found.items(), strict=True):
        led = torch.cat([made.first, made.project(item)])
        plain.project = torch.nn.Identity()
        torch.testing.assert_close(states, plain(Ragged.of([led])).values, atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_tokens() -> None:
    made, x = encoder().double(), batch([3, 1, 5])
    values = x.values.double().requires_grad_()

    def apply(values: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return made(x.replace(values)).values

    assert torch.autograd.gradcheck(apply, (values, *made.parameters()), fast_mode=True)


@torch.inference_mode()
def test_rows_that_are_seen_keep_their_places() -> None:
    made, x = encoder(layers=0), batch([4, 5])
    seen = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 1]).bool()
    states, whole = made(x.only(seen)), made(x)
    kept = torch.tensor([1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1]).bool()
    torch.testing.assert_close(states.values, whole.values[kept])
    assert states.places.tolist() == whole.places[kept].tolist()


@pytest.mark.parametrize("objective", ["masked", "supervised"])
def test_pictures_learn_with_them(objective: str) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    encoder = {"name": "transformer", "width": 24, "layers": 1, "heads": 2, "class_tokens": 1, "positions": "learned"}
    settings = {"embedding.patch": 2, "latent.pooling": "first", "stages.0.batch_items": 20, "training.checks": 1}
    y = [f"{number % 3}" for number in range(60)] if objective == "supervised" else None
    model = Raw2Vec(objective, encoder, steps=3, settings=settings).fit(rows, y)
    assert model.features(rows[0]).shape == (17, 24)
    assert np.isfinite(model.encode(rows)).all()
