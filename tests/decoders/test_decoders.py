"""What every decoder promises, asked of each over grids of one axis and of two."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from raw2vec import encoders
from raw2vec.decoders import Convolutional, Decoder, Dense, Recurrent, RecurrentWriter, Transformer
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged

# Each takes codes of 5 numbers and gives 8 features, over grids of so many axes.
DECODERS: dict[str, Callable[[int], Decoder]] = {
    "dense": lambda axes: Dense(5, 8, layers=2, normalization="layer", dimensions=axes),
    "lstm": lambda axes: Recurrent(5, 8, layers=2, dimensions=axes),
    "gru": lambda axes: Recurrent(5, 8, cell="gru", dimensions=axes),
    "convolutional": lambda axes: Convolutional(5, 8, layers=2, kernel=3, dimensions=axes),
    "convolutional, halved": lambda axes: Convolutional(5, 8, layers=3, halvings=2, dimensions=axes),
    "convolutional, always halved": lambda axes: Convolutional(5, 8, layers=2, halvings=2, dimensions=axes),
    "transformer": lambda axes: Transformer(5, 8, layers=2, heads=2, dimensions=axes),
}
GRIDS = {1: [[7], [1], [0], [20], [7]], 2: [[3, 5], [1, 1], [1, 9], [0, 4], [6, 2], [3, 5]]}

every = pytest.mark.parametrize(("name", "axes"), [(name, axes) for name in DECODERS for axes in (1, 2)])


def made(name: str, axes: int) -> Decoder:
    torch.manual_seed(0)
    return DECODERS[name](axes).eval()


def codes(items: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(items, 5, dtype=dtype, generator=torch.Generator().manual_seed(1))


@every
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_states_lie_on_the_grids_wanted(name: str, axes: int, data: st.DataObject) -> None:
    shape = st.lists(st.one_of(st.integers(1, 6), st.just(33)), min_size=axes, max_size=axes)
    shapes = torch.tensor(data.draw(st.lists(shape, min_size=1, max_size=4)))
    states = made(name, axes)(codes(len(shapes)), shapes)
    assert states.shapes.equal(shapes)
    assert states.values.shape == (int(shapes.prod(dim=1).sum()), 8)
    assert states.values.isfinite().all()


@every
def test_batch_law(name: str, axes: int) -> None:
    decoder, shapes = made(name, axes), torch.tensor(GRIDS[axes])
    drawn = codes(len(shapes))
    together = decoder(drawn, shapes).items()
    order = torch.randperm(len(shapes), generator=torch.Generator().manual_seed(2))
    shuffled = decoder(drawn[order], shapes[order]).items()
    for place, states in zip(order.tolist(), shuffled, strict=True):
        torch.testing.assert_close(states, together[place], atol=1e-5, rtol=1e-5)
        alone = decoder(drawn[place : place + 1], shapes[place : place + 1]).items()[0]
        torch.testing.assert_close(alone, together[place], atol=1e-5, rtol=1e-5)


@every
def test_gradients(name: str, axes: int) -> None:
    decoder, shapes = made(name, axes).double(), torch.tensor(GRIDS[axes])
    drawn = codes(len(shapes), torch.float64).requires_grad_()

    def apply(drawn: Tensor, *_: Tensor) -> Tensor:
        return decoder(drawn, shapes).values

    assert torch.autograd.gradcheck(apply, (drawn, *decoder.parameters()), fast_mode=True)


@every
def test_every_weight_learns(name: str, axes: int) -> None:
    decoder, shapes = made(name, axes), torch.tensor(GRIDS[axes])
    values = decoder(codes(len(shapes)), shapes).values
    (values * torch.randn(values.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    for parameter, weight in decoder.named_parameters():
        assert weight.grad is not None, parameter
        assert weight.grad.abs().max() > 0, parameter


@every
def test_code_and_place_meet(name: str, axes: int) -> None:
    """What the code changes is not the same at every row: else no two items could differ in more than a shift."""
    decoder, shapes = made(name, axes), torch.tensor([[6] * axes] * 2)
    one, other = (states.flatten(0, -2) for states in decoder(codes(2), shapes).items())
    change = one - other
    assert (change - change.mean(dim=0)).norm() > 0.05 * change.norm()
    assert (one - one[:1]).norm(dim=1)[1:].min() > 1e-4


@every
def test_learning_in_bfloat16_is_near_to_float32(name: str, axes: int) -> None:
    decoder, shapes = made(name, axes), torch.tensor(GRIDS[axes])
    with torch.autocast("cpu", torch.bfloat16):
        half = decoder(codes(len(shapes)), shapes).values.float()
    half.square().sum().backward()
    assert nn.functional.cosine_similarity(half, decoder(codes(len(shapes)), shapes).values).min() > 0.98


@every
def test_nothing_at_all(name: str, axes: int) -> None:
    shapes = torch.zeros(2, axes, dtype=torch.long)
    assert made(name, axes)(codes(2), shapes).values.shape[0] == 0


KNOWN: dict[str, Callable[[], Decoder]] = {
    "dense": lambda: Dense(5, 8, places=15, dimensions=2),
    "recurrent": lambda: Recurrent(5, 8, places=15, dimensions=2),
    "convolutional": lambda: Convolutional(5, 8, layers=2, halvings=1, shape=(3, 5), dimensions=2),
    "transformer": lambda: Transformer(5, 8, layers=1, heads=2, places=15, dimensions=2),
}


@pytest.mark.parametrize("name", KNOWN)
def test_grids_known_beforehand(name: str) -> None:
    torch.manual_seed(0)
    decoder, shapes = KNOWN[name]().double(), torch.tensor([[3, 5], [3, 5]])
    drawn = codes(2, torch.float64).requires_grad_()
    assert decoder(drawn, shapes).values.shape == (30, 8)
    assert torch.autograd.gradcheck(lambda drawn: decoder(drawn, shapes).values, drawn, fast_mode=True)
    with pytest.raises(BadInput, match=r"This decoder knows grids of .*: ask for the"):
        decoder(drawn, torch.tensor([[3, 5], [4, 5]]))


def test_a_dense_decoder_of_one_row_is_a_perceptron() -> None:
    torch.manual_seed(0)
    decoder, drawn = Dense(5, 8, layers=1, places=1), codes(3)
    by_hand = nn.functional.gelu(decoder.layers[0][0](drawn))
    torch.testing.assert_close(decoder(drawn, torch.ones(3, 1, dtype=torch.long)).values, by_hand)


def test_a_convolution_comes_back_the_way_the_encoder_went() -> None:
    shape = {"layers": 4, "halvings": 2, "dimensions": 2}
    encoder, decoder = encoders.Convolutional(8, 8, **shape), Convolutional(5, 8, **shape)
    passed: list[list[list[int]]] = []
    for layer in decoder.layers:
        layer.register_forward_hook(lambda _layer, _given, states: passed.append(states.shapes.tolist()))
    shapes = torch.tensor([[13, 7], [1, 30]])
    decoder(codes(2), shapes)
    assert passed[::-1] == [grid.tolist() for grid in encoder.grids(shapes)[1:]]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_writer_step_by_step_is_the_writer_at_once(cell: str) -> None:
    torch.manual_seed(0)
    decoder, drawn = RecurrentWriter(5, 3, 8, layers=2, cell=cell, forget=0.5).eval(), codes(2)
    before = Ragged(torch.randn(12, 3), torch.tensor([[6], [6]]))
    at_once, shown = decoder(drawn, before).values.view(2, 6, 8), before.values.view(2, 6, 3)
    memory = decoder.begin(drawn)
    for place in range(6):
        states, memory = decoder.step(memory, shown[:, place], place)
        torch.testing.assert_close(states, at_once[:, place], atol=1e-6, rtol=1e-5)


def test_a_row_is_told_from_those_before_it_and_never_from_those_after() -> None:
    torch.manual_seed(0)
    decoder, shown = RecurrentWriter(5, 3, 8), torch.randn(10, 3, requires_grad=True)
    decoder(codes(2), Ragged(shown, torch.tensor([[6], [4]]))).values[2].sum().backward()
    assert shown.grad is not None
    assert (shown.grad.abs().sum(dim=1) > 0).tolist() == [True] * 3 + [False] * 7


def test_a_writer_that_forgets_everything_hears_the_code_alone() -> None:
    torch.manual_seed(0)
    decoder, shapes = RecurrentWriter(5, 3, 8, forget=1.0), torch.tensor([[6], [4]])
    one, other = (decoder(codes(2), Ragged(torch.randn(10, 3), shapes)).values for _ in range(2))
    torch.testing.assert_close(one, other)
    with pytest.raises(BadInput, match="forget is a share"):
        RecurrentWriter(5, 3, 8, forget=1.5)


def test_unusable_settings() -> None:
    for unusable in ({"shape": (3, 5)}, {"halvings": 5}, {"kernel": 4}, {"dimensions": 3}):
        with pytest.raises(BadInput):
            Convolutional(5, 8, **unusable)


PAIRS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
    "dense": lambda: (encoders.Dense(9, 32, 1), Dense(32, 32, places=36, dimensions=2)),
    "recurrent": lambda: (encoders.Recurrent(9, 32), Recurrent(32, 32, places=36, dimensions=2)),
    "convolutional": lambda: (
        encoders.Convolutional(9, 32, layers=2, halvings=2, dimensions=2),
        Convolutional(32, 32, layers=2, halvings=2, dimensions=2),
    ),
    "transformer": lambda: (
        encoders.Transformer(9, 32, layers=1, positions="sinusoidal"),
        Transformer(32, 32, layers=1, dimensions=2),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_learns_four_pictures_by_heart(name: str) -> None:
    torch.manual_seed(0)
    pictures = Ragged(torch.rand(4 * 36, 1), torch.tensor([[6, 6]] * 4))
    around = pictures.replace(nn.functional.unfold(pictures.values.view(4, 1, 6, 6), 3, padding=1).mT.flatten(0, 1))
    encoder, decoder = PAIRS[name]()
    readout = nn.Linear(32, 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), *readout.parameters()], lr=0.01)
    losses = []
    for _ in range(150):
        told = readout(decoder(encoder(around).mean(), pictures.shapes).values)
        losses.append(nn.functional.mse_loss(told, pictures.values))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 10
