import pytest
import torch

from raw2vec.errors import BadInput
from raw2vec.layers import Learned, Relative, Rotary, Sinusoidal
from raw2vec.ragged import Ragged


def ragged(*lengths: int, width: int = 6) -> Ragged:
    torch.manual_seed(0)
    return Ragged.of([torch.randn(length, width, dtype=torch.float64) for length in lengths])


def test_rotated_products_depend_on_the_distance_alone() -> None:
    """The point of rotary positions: q at place i and k at place j meet as at i + 5 and j + 5."""
    torch.manual_seed(0)
    rotate = Rotary(8)(ragged(40))
    query, key = torch.randn(8).expand(40, 1, 8), torch.randn(8).expand(40, 1, 8)
    scores = (rotate(query)[:, 0] @ rotate(key)[:, 0].T).float()
    torch.testing.assert_close(scores[:-5, :-5], scores[5:, 5:], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(scores[0], scores[5])


def test_rotation_keeps_lengths_and_leaves_the_first_place() -> None:
    x = ragged(3, 1, 5)
    heads = torch.randn(9, 2, 4, 6, dtype=torch.float64)
    turned = Rotary(6)(x)(heads)
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1), atol=1e-6, rtol=1e-6)
    first = x.places == 0
    torch.testing.assert_close(turned[first], heads[first])
    assert not torch.allclose(turned[~first], heads[~first])


def test_rotation_pairs_a_feature_with_the_one_half_a_head_away() -> None:
    """Hugging Face's rotate_half, written out."""
    x = ragged(7)
    heads = torch.randn(7, 3, 6, dtype=torch.float64)
    angles = torch.arange(7)[:, None].float() / 100.0 ** (torch.arange(0, 6, 2).float() / 6)
    angles = torch.cat((angles, angles), dim=1)[:, None].double()
    half = torch.cat((-heads[..., 3:], heads[..., :3]), dim=-1)
    expected = heads * angles.cos() + half * angles.sin()
    torch.testing.assert_close(Rotary(6, base=100.0)(x)(heads), expected, atol=1e-6, rtol=1e-6)


def test_rotation_is_as_exact_in_a_model_cast_to_bfloat16() -> None:
    x = ragged(300)
    assert torch.equal(Rotary(6).bfloat16()(x).cos, Rotary(6)(x).cos)


def test_gradients() -> None:
    x = ragged(3, 1, 2)
    rotate = Rotary(6)(x)
    assert torch.autograd.gradcheck(rotate, torch.randn(6, 2, 6, dtype=torch.float64, requires_grad=True))
    for layer in (Learned(3, 6).double(), Sinusoidal(6).double()):
        parameters = list(layer.parameters())

        def apply(values: torch.Tensor, *_: torch.Tensor, layer: torch.nn.Module = layer) -> torch.Tensor:
            return layer(x.replace(values)).values

        assert torch.autograd.gradcheck(apply, (x.values.clone().requires_grad_(), *parameters))


@pytest.mark.parametrize("layer", [Learned(5, 6).double(), Sinusoidal(6).double()])
def test_added_positions_count_from_each_items_own_start(layer: torch.nn.Module) -> None:
    together = layer(ragged(3, 1, 5)).items()
    for item, alone in zip(together, ragged(3, 1, 5).items(), strict=True):
        torch.testing.assert_close(item, layer(Ragged.of([alone])).values)
        assert not torch.equal(item, alone)


def planes(*shapes: tuple[int, int], width: int = 8) -> Ragged:
    torch.manual_seed(0)
    return Ragged.of([torch.randn(*shape, width, dtype=torch.float64) for shape in shapes], dimensions=2)


def test_rotated_products_on_a_plane_depend_on_the_distance_along_either_axis() -> None:
    torch.manual_seed(0)
    rotate = Rotary(8)(planes((5, 7)))
    query, key = torch.randn(8).expand(35, 1, 8), torch.randn(8).expand(35, 1, 8)
    scores = (rotate(query)[:, 0] @ rotate(key)[:, 0].T).view(5, 7, 5, 7)
    torch.testing.assert_close(scores[:-2, :-3, :-2, :-3], scores[2:, 3:, 2:, 3:], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(scores[0, 0, 0, 0], scores[0, 0, 0, 1])
    assert not torch.allclose(scores[0, 0, 0, 0], scores[0, 0, 1, 0])


@pytest.mark.parametrize("layer", [Sinusoidal(8).double(), Sinusoidal(6).double()])
def test_sinusoids_give_each_axis_its_own_features(layer: Sinusoidal) -> None:
    x = planes((3, 4), (4, 3), width=layer.width)
    waves = layer(x.replace(torch.zeros_like(x.values))).items()[0]
    same_row = (waves[:, :1] == waves).all(dim=(0, 1))
    same_column = (waves[:1] == waves).all(dim=(0, 1))
    assert (same_row ^ same_column).all()
    assert 2 <= int(same_row.sum()) <= layer.width - 2


def test_positions_along_two_axes_need_two_pairs() -> None:
    for layer in (Rotary(2), Sinusoidal(2)):
        with pytest.raises(BadInput, match="2 features are too few for positions along 2 axes"):
            layer(planes((2, 2), width=2))


def test_learned_positions_refuse_longer_items() -> None:
    with pytest.raises(BadInput, match=r"Item 1 of the batch has 6 rows.*for 5 only"):
        Learned(5, 6).double()(ragged(5, 6))


def test_odd_widths_are_refused() -> None:
    with pytest.raises(BadInput, match="pairs"):
        Rotary(7)
    with pytest.raises(BadInput, match="even"):
        Sinusoidal(7)


def test_relative_distances_share_buckets() -> None:
    """Near distances have a number each, the two sides their own, and from 128 rows on all have the same."""
    added = Relative(2)(200)
    assert added.shape == (2, 200, 200)
    torch.testing.assert_close(added[:, :-5, :-5], added[:, 5:, 5:])
    row = added[0, 0].detach()
    assert len(set(row[:9].tolist())) == 9
    assert len(set(row[128:].tolist())) == 1
    assert added[0, 0, 3] != added[0, 3, 0]
    torch.testing.assert_close(Relative(2)(1).shape, torch.Size([2, 1, 1]))
