"""The point: pooled, mapped, brought to length one; its weights keep the names that model folders hold."""

import pytest
import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.latents import Point
from raw2vec.layers.pooling import POOLINGS
from raw2vec.ragged import Ragged

LENGTHS = [4, 0, 1, 9, 0]
FREE = [name for name in POOLINGS if name != "all"]  # of how many rows an item has


def states(lengths: list[int] = LENGTHS, dtype: torch.dtype = torch.float64) -> Ragged:
    torch.manual_seed(0)
    return Ragged(torch.randn(sum(lengths), 6).to(dtype), torch.tensor(lengths)[:, None])


def made(pooling: str, width: int = 0, normalize: str = "none") -> Point:
    torch.manual_seed(0)
    point = Point(6, width, pooling, normalize)
    if pooling == "attention":
        torch.nn.init.normal_(point.pool.query)
    return point


def by_hand(point: Point, item: Tensor) -> Tensor:
    if point.pool.pooling == "attention":
        return (item @ point.pool.query.to(item.dtype) / 6**0.5).softmax(dim=0) @ item
    if point.pool.pooling == "probe":  # beside torch's own attention: tests/layers/test_pooling.py
        return point.pool(Ragged(item, torch.tensor([[len(item)]])))[0]
    return {"mean": item.mean(0), "first": item[0], "last": item[-1], "max": item.max(0).values}[point.pool.pooling]


@pytest.mark.parametrize("pooling", FREE)
def test_each_item_is_pooled_by_itself_and_an_empty_one_gives_zeros(pooling: str) -> None:
    x, point = states(), made(pooling).double()
    for item, vector in zip(x.items(), point(x), strict=True):
        torch.testing.assert_close(vector, by_hand(point, item) if len(item) else torch.zeros(6).double())


@pytest.mark.parametrize("normalize", ["none", "unit"])
@pytest.mark.parametrize("width", [0, 3])
@pytest.mark.parametrize("pooling", FREE)
def test_gradients(pooling: str, width: int, normalize: str) -> None:
    x, point = states([4, 1, 3]), made(pooling, width, normalize).double()

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return point(x.replace(values))

    assert torch.autograd.gradcheck(apply, (x.values.requires_grad_(), *point.parameters()))


@pytest.mark.parametrize("pooling", FREE)
def test_bfloat16_states_give_float32_vectors_and_finite_gradients(pooling: str) -> None:
    x = states(dtype=torch.bfloat16)
    x.values.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        vectors = made(pooling, 3, "unit")(x)
    assert vectors.dtype == torch.float32
    vectors.square().sum().backward()
    assert x.values.grad is not None
    assert x.values.grad.isfinite().all()
    torch.testing.assert_close(vectors, made(pooling, 3, "unit")(x.replace(x.values.float())), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("pooling", FREE)
def test_no_rows_anywhere(pooling: str) -> None:
    assert made(pooling)(states([0, 0])).equal(torch.zeros(2, 6, dtype=torch.float64))


def test_attention_survives_large_scores() -> None:
    x, point = states(dtype=torch.float32), made("attention")
    with torch.no_grad():
        point.pool.query.mul_(1e4)
    vectors = point(x)
    assert vectors.isfinite().all()
    vectors.sum().backward()
    assert point.pool.query.grad is not None
    assert point.pool.query.grad.isfinite().all()


def test_attention_begins_as_the_mean() -> None:
    x = states(dtype=torch.float32)
    torch.testing.assert_close(Point(6, pooling="attention")(x), Point(6)(x))


def test_unit_vectors_have_length_one_and_zeros_stay() -> None:
    lengths = Point(6, normalize="unit")(states()).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([1.0, 0, 1, 1, 0], dtype=torch.float64))


def test_widths() -> None:
    assert Point(6).width == 6
    assert Point(6, 3).width == 3
    assert Point(6, 3).double()(states()).shape == (5, 3)
    assert not list(Point(6).parameters())


def test_unusable_settings() -> None:
    with pytest.raises(BadInput, match="Did you mean 'mean'"):
        Point(6, pooling="means")
    with pytest.raises(BadInput, match="length one"):
        Point(6, normalize="l2")
    with pytest.raises(BadInput, match="give the latent a width"):
        Point(6, pooling="all", places=3)


def test_all_rows_side_by_side_through_the_map() -> None:
    point = Point(6, 4, pooling="all", places=3)
    x = states([3, 3], torch.float32)
    torch.testing.assert_close(point(x), point.project(x.values.view(2, 18)))


def test_a_point_is_certain() -> None:
    x, point = states([3, 2], torch.float32), made("mean")
    posterior = point.posterior(x)
    assert torch.equal(posterior.draw(torch.randn(4, 2, 6)), point(x).expand(4, 2, 6))
    assert posterior.log_ratio(torch.randn(4, 2, 6)).equal(torch.zeros(4, 2))
    assert posterior.kl().equal(torch.zeros(2, 6))
    assert posterior.penalty().equal(torch.zeros(2))


def test_weights_keep_the_names_that_model_folders_hold() -> None:
    point, other = made("attention", 3), Point(6, 3, "attention")
    assert set(point.state_dict()) == {"query", "project.weight", "project.bias"}
    whole = torch.nn.ModuleDict({"latent": other})
    whole.load_state_dict({f"latent.{name}": value for name, value in point.state_dict().items()})
    assert torch.equal(other.pool.query, point.pool.query)
    assert set(whole.state_dict()) == {"latent.query", "latent.project.weight", "latent.project.bias"}
