"""What every encoder promises, asked of each in several shapes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raw2vec.encoders import Convolutional, Dense, Encoder, Recurrent, Transformer
from raw2vec.errors import BadInput
from raw2vec.layers import begin
from raw2vec.ragged import Ragged

LENGTHS = [3, 1, 17, 0, 16, 40, 1]
# Each takes 6 features and gives 8.
ENCODERS: dict[str, Callable[[], Encoder]] = {
    "dense": lambda: Dense(6, 8, layers=2, normalization="layer"),
    "lstm": lambda: Recurrent(6, 8, layers=2),
    "gru": lambda: Recurrent(6, 8, layers=2, cell="gru", directions=1),
    "convolutional": lambda: Convolutional(6, 8, layers=2, kernel=3),
    "convolutional, rms": lambda: Convolutional(6, 8, layers=2, kernel=3, normalization="rms", activation="silu"),
    "transformer": lambda: Transformer(6, 8, layers=2, heads=2),
    "transformer, local": lambda: Transformer(6, 8, layers=2, heads=2, window=4, activation="swiglu"),
    "transformer, rms": lambda: Transformer(6, 8, layers=2, heads=2, normalization="rms", activation="relu"),
    "transformer, post": lambda: Transformer(
        6, 8, layers=2, heads=2, norm_order="post", positions="learned", activation="gelu", limit=64
    ),
    "transformer, sinusoidal": lambda: Transformer(6, 8, layers=1, heads=2, positions="sinusoidal"),
    "transformer, a norm in each": lambda: Transformer(6, 8, layers=2, heads=2, norm_order="pre-each"),
    "transformer, no norm at the entry": lambda: Transformer(6, 8, layers=2, heads=2, norm_order="post-only"),
    "transformer, distances": lambda: Transformer(
        6, 8, layers=2, heads=2, norm_order="post", positions="learned-relative", activation="gelu", limit=64
    ),
    "transformer, biases of norms": lambda: Transformer(
        6, 8, layers=2, heads=2, norm_order="post", biases="norms", activation="swiglu", rotary_base=1000.0
    ),
    "transformer, looking back": lambda: Transformer(6, 8, layers=2, heads=2, causal=True),
    "transformer, no positions": lambda: Transformer(6, 8, layers=1, heads=2, positions="none"),
}
ROWS = [name for name in ENCODERS if name != "dense"]


def batch(lengths: list[int], dtype: torch.dtype = torch.float64) -> Ragged:
    torch.manual_seed(1)
    return Ragged(torch.randn(sum(lengths), 6, dtype=dtype), torch.tensor(lengths)[:, None])


def made(name: str) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS[name]().eval()


@pytest.mark.parametrize("name", ENCODERS)
def test_shapes_and_states(name: str) -> None:
    x, encoder = batch(LENGTHS), made(name).double()
    assert (encoder.inputs, encoder.width) == (6, 8)
    last, states = encoder(x), encoder.states(x)
    assert torch.equal(last.values, states[-1].values)
    assert last.values.shape == ((len(x) if name == "dense" else sum(LENGTHS)), 8)
    assert last.shapes.equal(torch.ones_like(x.shapes) if name == "dense" else x.shapes)
    assert len(states[0].values) == sum(LENGTHS)
    assert last.values.isfinite().all()


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients(name: str) -> None:
    encoder = made(name).double()
    x = batch([3, 1, 17, 16])

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return encoder(x.replace(values)).values

    inputs = (x.values.requires_grad_(), *encoder.parameters())
    assert torch.autograd.gradcheck(apply, inputs, fast_mode=True)


@pytest.mark.parametrize("name", ENCODERS)
def test_batch_law(name: str) -> None:
    x, encoder = batch(LENGTHS, torch.float32), made(name)
    together = encoder(x).items()
    for item, states in zip(x.items(), together, strict=True):
        if len(item):
            torch.testing.assert_close(states, encoder(Ragged.of([item])).values, atol=1e-5, rtol=1e-5)
    order = torch.randperm(len(x))
    shuffled = encoder(x.take(order)).items()
    for place, states in zip(order.tolist(), shuffled, strict=True):
        torch.testing.assert_close(states, together[place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
@torch.inference_mode()
def test_batch_law_in_bfloat16(name: str) -> None:
    """As in encoding: without gradients, where a recurrence does not heed autocast (its docstring says why)."""
    x, encoder = batch([3, 1, 17, 16, 40, 1], torch.float32), made(name)
    with torch.autocast("cpu", torch.bfloat16):
        together = encoder(x).values.float()
        alone = torch.cat([encoder(Ragged.of([item])).values.float() for item in x.items()])
    assert nn.functional.cosine_similarity(together, alone).min() >= 0.9999


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ENCODERS)
def test_learning_in_bfloat16_is_near_to_float32(name: str) -> None:
    x, encoder = batch([3, 1, 17, 16, 40, 1], torch.float32), made(name)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(x).values.float()
    half.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in encoder.parameters())
    assert nn.functional.cosine_similarity(half, encoder(x).values).min() > 0.99


@pytest.mark.parametrize("name", ENCODERS)
def test_every_weight_learns(name: str) -> None:
    encoder = made(name)
    values = encoder(batch(LENGTHS, torch.float32)).values
    (values * torch.randn(values.shape)).sum().backward()
    for parameter, weight in encoder.named_parameters():
        assert weight.grad is not None, parameter
        assert weight.grad.isfinite().all(), parameter
        assert weight.grad.abs().max() > 0, parameter


@pytest.mark.parametrize("name", ENCODERS)
@torch.inference_mode()
def test_one_very_long_item(name: str) -> None:
    encoder = made(name)
    x = batch([1, 3000, 2], torch.float32)
    if name in ("transformer, post", "transformer, distances"):
        with pytest.raises(BadInput, match="3000 rows"):
            encoder(x)
    else:
        assert encoder(x).values.isfinite().all()


@pytest.mark.parametrize("name", ROWS)
def test_no_row_hears_of_another_item(name: str) -> None:
    x, encoder = batch([16, 17, 2, 16]), made(name).double()
    values = x.values.requires_grad_()
    encoder(x).values[x.owners == 1].pow(3).sum().backward()
    assert values.grad is not None
    assert values.grad[x.owners != 1].abs().max() == 0
    assert values.grad[x.owners == 1].abs().max() > 0


@pytest.mark.parametrize("name", ENCODERS)
def test_nothing_at_all(name: str) -> None:
    found = made(name)(batch([0, 0], torch.float32))
    assert len(found) == 2
    assert found.values.isfinite().all()


@pytest.mark.parametrize("name", ["transformer", "transformer, post", "convolutional"])
def test_states_begin_of_the_order_of_one(name: str) -> None:
    """At a real width and depth the residual stream neither dies out nor explodes before it is normalised."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {"width": 128, "layers": 8}
    if name == "convolutional":
        encoder: Encoder = Convolutional(128, **shape)
    else:
        changes = {"norm_order": "post", "positions": "learned", "activation": "gelu"} if "post" in name else {}
        encoder = Transformer(128, **shape, **changes)
    x = Ragged(torch.randn(400, 128), torch.full((10, 1), 40))
    scales = [states.values.square().mean().sqrt().item() for states in encoder.states(x)]
    assert all(0.5 < scale < 3 for scale in scales), scales


PLANES = [[3, 5], [1, 1], [1, 19], [0, 2], [8, 8], [3, 5], [7, 1]]
# What the grid of an item changes; each takes 6 features and gives 8, over grids of so many axes.
GRIDDED: dict[str, tuple[int, Callable[[], Encoder]]] = {
    "dense": (2, lambda: Dense(6, 8, layers=2)),
    "recurrent": (2, lambda: Recurrent(6, 8)),
    "transformer, rotary": (2, lambda: Transformer(6, 8, layers=2, heads=2)),
    "transformer, sinusoidal": (2, lambda: Transformer(6, 8, layers=2, heads=2, positions="sinusoidal")),
    "transformer, learned": (2, lambda: Transformer(6, 8, layers=2, heads=2, positions="learned")),
    "planes": (2, lambda: Convolutional(6, 8, layers=2, dimensions=2)),
    "planes, halved": (2, lambda: Convolutional(6, 8, layers=3, halvings=2, dimensions=2)),
    "planes, always halved": (2, lambda: Convolutional(6, 8, layers=2, halvings=2, dimensions=2)),
    "planes, halved and growing": (2, lambda: Convolutional(6, 2, layers=3, halvings=2, dimensions=2, growth=2)),
    "planes, convnext": (
        2,
        lambda: Convolutional(6, 8, layers=2, halvings=1, dimensions=2, block="convnext", kernel=3),
    ),
    "sequences, halved": (1, lambda: Convolutional(6, 8, layers=3, halvings=2)),
}


def gridded(name: str, dtype: torch.dtype = torch.float64) -> tuple[Encoder, Ragged]:
    torch.manual_seed(0)
    axes, make = GRIDDED[name]
    shapes = torch.tensor(PLANES if axes == 2 else LENGTHS).view(-1, axes)
    return make().to(dtype).eval(), Ragged(torch.randn(int(shapes.prod(dim=1).sum()), 6, dtype=dtype), shapes)


@pytest.mark.parametrize("name", [*ENCODERS, *GRIDDED])
def test_the_trace_of_grids_is_that_of_the_states(name: str) -> None:
    encoder, x = gridded(name) if name in GRIDDED else (made(name).double(), batch(LENGTHS))
    states, grids = encoder.states(x), encoder.grids(x.shapes)
    assert [layer.shapes.tolist() for layer in states] == [grid.tolist() for grid in grids]
    assert [len(layer.values) for layer in states] == [int(grid.prod(dim=1).sum()) for grid in grids]


@pytest.mark.parametrize("name", GRIDDED)
def test_batch_law_on_grids(name: str) -> None:
    encoder, x = gridded(name, torch.float32)
    for item, together in zip(x.items(), encoder(x).items(), strict=True):
        if item.numel():
            alone = encoder(Ragged.of([item], dimensions=x.shapes.shape[1])).items()[0]
            torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GRIDDED)
def test_gradients_on_grids(name: str) -> None:
    encoder, x = gridded(name)

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return encoder(x.replace(values)).values

    assert torch.autograd.gradcheck(apply, (x.values.requires_grad_(), *encoder.parameters()), fast_mode=True)


def test_a_picture_turned_over_is_another_picture_to_a_transformer() -> None:
    """Rows and columns are two axes: without that a raster of 2 by 8 rows would read as one of 4 by 4."""
    encoder, _ = gridded("transformer, rotary")
    values = torch.randn(16, 6, dtype=torch.float64)
    one, other = (encoder(Ragged(values, torch.tensor([shape]))).values for shape in ([2, 8], [4, 4]))
    assert not torch.allclose(one, other, atol=1e-3)


def test_dilation_begins_anew_where_the_grid_is_halved() -> None:
    spaced = [layer.filter.dilation for layer in Convolutional(8, 8, layers=6, halvings=1).layers]
    assert spaced == [1, 2, 4, 1, 2, 4]
    assert [layer.filter.dilation for layer in Convolutional(8, 8, layers=3, dilation=3).layers] == [1, 3, 9]


def test_without_a_change_of_width_there_is_no_map_at_the_entry() -> None:
    for kind in (Transformer, Convolutional):
        names = [name for name, _ in kind(8, 8, layers=1).named_parameters()]
        assert not any("project" in name for name in names)


def test_the_plain_bag_is_the_mean() -> None:
    x = batch(LENGTHS)
    torch.testing.assert_close(Dense(6, 6, layers=0)(x).values, x.mean())
    with pytest.raises(BadInput, match="stays 6 wide"):
        Dense(6, 8, layers=0)


def test_the_last_dense_layer_is_linear() -> None:
    encoder = Dense(6, 8, layers=2).double()
    first, last = encoder.layers
    x = batch([1, 1])
    hidden = nn.functional.gelu(first[0](x.values))
    torch.testing.assert_close(encoder(x).values, last[0](hidden))
    assert len(last) == 1


def test_hidden_widths_of_the_feed_forward() -> None:
    assert Transformer(8, 256, 1, activation="gelu").layers[0].feed_forward.leave.in_features == 1024
    assert Transformer(8, 256, 1).layers[0].feed_forward.leave.in_features == 704
    assert Transformer(8, 256, 1, feed_forward=100).layers[0].feed_forward.leave.in_features == 100


def test_windows_leave_every_third_layer_global() -> None:
    assert Transformer(8, 8, layers=5, window=4).windows == [0, 4, 4, 0, 4]
    assert Transformer(8, 8, layers=4, window=4, global_every=2).windows == [0, 4, 0, 4]
    assert Transformer(8, 8, layers=2).windows == [0, 0]


def test_the_first_block_has_a_norm_of_its_own_where_each_has_one() -> None:
    torch.manual_seed(0)
    one, other = Transformer(8, 8, layers=2), Transformer(8, 8, layers=2, norm_order="pre-each")
    assert other.state_dict().keys() - one.state_dict().keys() == {"layers.0.attention_norm.weight"}
    assert not one.state_dict().keys() - other.state_dict().keys()
    other.load_state_dict(one.state_dict(), strict=False)
    x = Ragged(torch.randn(9, 8), torch.tensor([[9]]))
    # A norm of what a norm has just given changes nothing as long as the first has not learned to weigh features.
    torch.testing.assert_close(other(x).values, one(x).values, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        for encoder in (one, other):
            encoder.normalization.weight.copy_(torch.linspace(0.5, 2, 8))
    assert (other(x).values - one(x).values).abs().max() > 0.01


def test_the_original_order_is_a_norm_after_each_layer_and_no_other() -> None:
    one, other = Transformer(8, 8, layers=2, norm_order="post"), Transformer(8, 8, layers=2, norm_order="post-only")
    assert one.state_dict().keys() - other.state_dict().keys() == {"normalization.weight", "normalization.bias"}
    assert not other.state_dict().keys() - one.state_dict().keys()
    assert {norm.eps for norm in other.modules() if isinstance(norm, nn.LayerNorm)} == {1e-5}


def test_unusable_settings() -> None:
    for settings in ({"heads": 3}, {"activation": "gegluu"}, {"normalization": "batch"}, {"global_every": 0}):
        with pytest.raises(BadInput):
            Transformer(8, 8, **settings)
    for settings in ({"norm_order": "sideways"}, {"positions": "alibi"}, {"biases": "some"}, {"class_tokens": -1}):
        with pytest.raises(BadInput):
            Transformer(8, 8, **settings)
    with pytest.raises(BadInput):
        Convolutional(8, 8, kernel=4)
    with pytest.raises(BadInput, match="1 or 2 axes, not 3"):
        Convolutional(8, 8, dimensions=3)
    with pytest.raises(BadInput, match="block on planes is residual or convnext, not 'dense'"):
        Convolutional(8, 8, dimensions=2, block="dense")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="growth at a halving is a factor of 1 or more, not 0"):
        Convolutional(8, 8, dimensions=2, growth=0)
    with pytest.raises(BadInput, match="halve"):
        Convolutional(8, 8, layers=2, halvings=3)


def test_linear_maps_begin_by_the_scale_of_what_they_take() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(400, 300)
    begin(linear)
    assert linear.weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert linear.bias.abs().max() == 0


def test_the_same_seed_draws_the_same_weights() -> None:
    for name in ENCODERS:
        one, other = made(name).state_dict(), made(name).state_dict()
        assert all(torch.equal(one[key], other[key]) for key in one)
