"""SimCLR and VICReg on pictures: views of each, or of either of a pair; a head that encode does not use; gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import raw2vec
from raw2vec.augmentation import AS_THEY_ARE, PictureViews
from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.objectives import ContrastivePictures, VICReg
from raw2vec.objectives.vicreg import terms
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

PLAIN = AS_THEY_ARE


class Means(nn.Module):
    """A model whose vector is the mean pixel, through a linear map, and who notes what it has seen."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.linear = nn.Linear(3, width, dtype=torch.float64)
        self.seen: list[Ragged] = []

    def forward(self, pictures: Ragged) -> Tensor:
        self.seen.append(pictures)
        return self.linear(pictures.replace(pictures.values.double()).mean())

    def side(self, role: str) -> "Means":
        return self


def batch(**sides: int) -> Batch:
    """Six pictures of two sizes a side, of noise drawn by the number."""
    held = {}
    for name, seed in sides.items():
        draw = torch.Generator().manual_seed(seed)
        items = [torch.rand(4 + n % 2, 6, 3, generator=draw, dtype=torch.float64) for n in range(6)]
        held[name] = Ragged.of(items, dimensions=2)
    return Batch(torch.arange(6), held)


def test_two_views_of_a_picture_or_one_of_either_of_a_pair() -> None:
    model, objective = Means(), ContrastivePictures(4, views=PLAIN).double()
    objective(model, batch(input=0), Draws(0))
    torch.testing.assert_close(model.seen[0].values, model.seen[1].values)
    objective(model, pair := batch(input=0, target=1), Draws(0))
    for seen, side in zip(model.seen[2:], ("input", "target"), strict=True):
        torch.testing.assert_close(seen.values, pair.sides[side].values, atol=1e-5, rtol=0)
    anew = ContrastivePictures(4).double()
    anew(model, batch(input=0), Draws(0))
    assert not torch.allclose(model.seen[4].values, model.seen[5].values)


def test_the_same_picture_twice_is_no_negative() -> None:
    """Its views differ, and yet they are of one picture: the loss is that of the batch in which it stands once."""
    whole, objective = batch(input=0), ContrastivePictures(4, direction="forward").double().eval()
    twice = Ragged.of([*whole.sides["input"].items()[:3], whole.sides["input"].items()[0]], dimensions=2)
    model = Means()
    seen = {
        n: objective(model, Batch(torch.arange(n), {"input": twice.take(torch.arange(n))}), Draws(0)) for n in (3, 4)
    }
    first, second = (model.seen[place] for place in (2, 3))
    assert not torch.equal(first.items()[0], first.items()[3])
    vectors = [torch.nn.functional.normalize(model(view), dim=1) for view in (first, second)]
    scores = vectors[0] @ vectors[1].T / 0.2
    scores[0, 3] = scores[3, 0] = float("-inf")
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(4))
    torch.testing.assert_close(seen[4]["contrastive"], expected)


def test_a_head_stands_between_the_vector_and_what_is_compared() -> None:
    model = Means()
    bare, headed = ContrastivePictures(4, views=PLAIN).double(), ContrastivePictures(4, views=PLAIN, head=8).double()
    assert not list(bare.head.parameters())
    loss = headed(model, batch(input=0), Draws(0))["contrastive"]
    assert loss.item() != pytest.approx(bare(model, batch(input=0), Draws(0))["contrastive"].item())
    loss.backward()
    assert all(p.grad is not None for p in headed.head.parameters())


def test_vicreg_by_hand() -> None:
    """Two numbers that say the same: covariance var² twice over two; deviations of 0.5 fall short by a half."""
    apart = torch.tensor([0.5, -0.5, 0.5, -0.5], dtype=torch.float64) * (3 / 4) ** 0.5
    first = torch.stack([apart, apart], dim=1)
    found = terms(first, first + 1)
    assert found["invariance"].item() == pytest.approx(1)
    assert found["variance"].item() == pytest.approx(0.5, abs=1e-3)
    assert found["covariance"].item() == pytest.approx(2 * 2 * 0.25**2 / 2)
    wide = terms(10 * first * torch.tensor([1.0, 0.0]), first)
    assert wide["variance"].item() == pytest.approx((0 + 0.99 + 0.5 + 0.5) / 4, abs=1e-3)


@pytest.mark.parametrize("made", [ContrastivePictures, VICReg])
def test_gradients_agree_with_finite_differences(made: type[ContrastivePictures] | type[VICReg]) -> None:
    torch.manual_seed(0)
    model, objective = Means(), made(4, views=PictureViews(bend=0.5, turn=10, blur=0.5), head=5).double()

    def loss(weight: Tensor) -> Tensor:
        given = {"linear.weight": weight, "linear.bias": model.linear.bias}
        called = torch.func.functional_call

        class Same(nn.Module):
            def forward(self, pictures: Ragged) -> Tensor:
                return called(model, given, (pictures,))

            def side(self, role: str) -> "Same":
                return self

        return next(iter(objective(Same(), batch(input=0), Draws(0)).values()))

    torch.autograd.gradcheck(loss, (model.linear.weight.detach().clone().requires_grad_(),))


def test_training_names_the_parts_and_a_check_judges_by_the_whole() -> None:
    model, objective = Means(), VICReg(4).double()
    assert list(objective(model, batch(input=0), Draws(0))) == ["vicreg", "invariance", "variance", "covariance"]
    assert list(objective.eval()(model, batch(input=0), Draws(0))) == ["vicreg"]
    one = Batch(torch.arange(1), {"input": batch(input=0).sides["input"].take(torch.tensor([0]))})
    assert objective(model, one, Draws(0))["vicreg"].isfinite()


@pytest.mark.parametrize("name", ["contrastive", "vicreg"])
def test_alone_and_beside_labels_from_the_facade_to_a_folder_and_back(name: str, tmp_path) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (10 + n % 3, 12, 3)).astype(np.uint8) for n in range(24)]
    small = {"encoder.width": 8, "encoder.layers": 2, "encoder.halvings": 1, "raw.size": [12, 12]}
    alone = raw2vec.Raw2Vec(name, kind="image", steps=2, settings=small).fit(pictures)
    assert alone.transform(pictures).shape == (24, 128)
    both = small | {"stages.0.objectives": [{"name": name, "views": {"flip": 0.0}}, "supervised"]}
    made = raw2vec.Raw2Vec(name, kind="image", steps=2, settings=both)
    made.fit(pictures, ["odd" if n % 2 else "even" for n in range(24)])
    assert set(made.predict(pictures)) <= {"odd", "even"}
    made.save(tmp_path / "m")
    assert np.array_equal(raw2vec.load(tmp_path / "m").transform(pictures), made.transform(pictures))
    assert made.parts_.recipe.json_text() == raw2vec.load(tmp_path / "m").parts_.recipe.json_text()


def test_a_view_s_unknown_change_is_refused() -> None:
    wrong = {"stages.0.objectives.0.views.flop": 1}
    with pytest.raises(BadInput, match=r"setting 'views' is .*'flop': 1.*unexpected keyword argument"):
        raw2vec.Raw2Vec("contrastive", steps=1, settings=wrong).fit(np.zeros((30, 8, 8), np.uint8))


def test_texts_have_no_vicreg() -> None:
    with pytest.raises(BadInput, match="no objective 'vicreg' for the kind 'text'"):
        raw2vec.Raw2Vec("vicreg", steps=1).fit(["some words"] * 30)
