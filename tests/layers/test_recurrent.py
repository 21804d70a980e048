import pytest
import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.layers import Recurrent
from raw2vec.layers.recurrent import _Rectangles
from raw2vec.ragged import Ragged

LENGTHS = [4, 0, 1, 9, 4, 2]
KINDS = [(cell, directions) for cell in ("lstm", "gru") for directions in (1, 2, -1)]


def batch(lengths: list[int] = LENGTHS, width: int = 3) -> Ragged:
    torch.manual_seed(0)
    return Ragged(torch.randn(sum(lengths), width, dtype=torch.float64), torch.tensor(lengths)[:, None])


@pytest.mark.parametrize(("cell", "directions"), KINDS)
def test_states_are_those_of_each_item_read_alone(cell: str, directions: int) -> None:
    """Torch's own layer on the single, unpadded item: the backward half must start at the item's true end."""
    x, layer = batch(), Recurrent(3, 8, cell, directions).double()
    for item, states in zip(x.items(), layer(x).items(), strict=True):
        if len(item):
            alone = layer.cell(item.flip(0))[0].flip(0) if directions == -1 else layer.cell(item)[0]
            torch.testing.assert_close(states, alone)
    assert layer(x).values.shape == (20, 8)


@pytest.mark.parametrize(("cell", "directions"), KINDS)
def test_gradients(cell: str, directions: int) -> None:
    x, layer = batch([2, 1, 3], 2), Recurrent(2, 4, cell, directions).double()

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return layer(x.replace(values)).values

    assert torch.autograd.gradcheck(apply, (x.values.requires_grad_(), *layer.parameters()))


@pytest.mark.parametrize("directions", [1, 2, -1])
def test_what_a_state_has_read(directions: int) -> None:
    """A state in the middle of item 3 hears of all of it, or of what came before or after; never of a neighbour."""
    x, layer = batch(), Recurrent(3, 8, directions=directions).double()
    values = x.values.requires_grad_()
    start = int(x.offsets[3])
    layer(x).values[start + 4].sum().backward()
    assert values.grad is not None
    heard = values.grad.abs().sum(dim=1) > 0
    expected = torch.zeros(20, dtype=torch.bool)
    expected[start + (4 if directions == -1 else 0) : start + (5 if directions == 1 else 9)] = True
    assert heard.equal(expected)


def test_bfloat16_autocast() -> None:
    x, layer = batch(), Recurrent(3, 8)
    x = x.replace(x.values.float())
    exact = layer(x).values
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x).values
    torch.testing.assert_close(half.float(), exact, atol=0.05, rtol=0.05)
    half.float().sum().backward()


@torch.inference_mode()
def test_encoding_does_not_heed_autocast() -> None:
    x, layer = batch(), Recurrent(3, 8)
    x = x.replace(x.values.float())
    exact = layer(x).values
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).values.equal(exact)
        assert layer(x.replace(x.values.bfloat16())).values.dtype == torch.float32


def test_it_begins_remembering() -> None:
    layer = Recurrent(3, 8)
    assert layer.cell.bias_ih_l0.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    torch.testing.assert_close(layer.cell.weight_hh_l0[:4] @ layer.cell.weight_hh_l0[:4].T, torch.eye(4))


def test_nothing_to_read_and_unusable_settings() -> None:
    assert Recurrent(3, 8).double()(batch([0, 0])).values.shape == (0, 8)
    with pytest.raises(BadInput, match="Did you mean 'lstm'"):
        Recurrent(3, 8, "lsmt")
    with pytest.raises(BadInput, match="1 or 2 directions"):
        Recurrent(3, 8, directions=3)
    with pytest.raises(BadInput, match="even"):
        Recurrent(3, 7)


@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5, 5], [200, *[3] * 40, 190, 7]], ids=["mixed", "equal", "far apart"])
@pytest.mark.parametrize(("cell", "directions"), KINDS)
@pytest.mark.parametrize("begun", [False, True])
def test_by_rectangles_it_is_the_same_layer(lengths: list[int], cell: str, directions: int, begun: bool) -> None:
    """The way of float32 on a CPU beside the packed one, which float64 takes: states and all gradients."""
    layer, exact = Recurrent(3, 8, cell, directions), Recurrent(3, 8, cell, directions).double()
    exact.load_state_dict(layer.state_dict())
    x = batch(lengths)
    first = torch.randn(len(lengths), layer.memory, dtype=torch.float64) if begun else None
    slopes, found = torch.randn(sum(lengths), 8, dtype=torch.float64), []
    for part in (layer, exact):
        dtype = next(part.parameters()).dtype
        values = x.values.to(dtype).requires_grad_()
        states = part(Ragged(values, x.shapes), None if first is None else first.to(dtype)).values
        states.backward(slopes.to(dtype))
        found.append([states.detach(), values.grad, *(weight.grad for weight in part.parameters())])
    for mine, true in zip(*found, strict=True):
        torch.testing.assert_close(mine.double(), true, atol=1e-4, rtol=1e-4)


def test_rectangles_hold_every_item_once_and_little_else() -> None:
    lengths = [200, *[3] * 40, 0, 190, 7]
    x = batch(lengths)
    layout = _Rectangles(x, both=True, backwards=False)
    assert sorted(torch.cat(layout.items).tolist()) == [place for place, length in enumerate(lengths) if length]
    assert layout.size < 1.2 * sum(lengths)
    parts = layout.laid(x.values)
    assert layout.taken(list(parts)).equal(torch.cat([x.values, x.values], dim=1))
    for way, turn in enumerate((lambda item: item, lambda item: item.flip(0))):
        for part, items in zip(parts[way * len(layout.items) :], layout.items, strict=False):
            for column, place in enumerate(items.tolist()):
                steps = part.unflatten(0, (-1, len(items)))[: lengths[place], column]
                assert steps.equal(turn(x.items()[place])), "each from where it is read"


def test_numbers_that_are_none_stay_in_their_own_item() -> None:
    """Other items are filled up with the first row: its NaN must not reach what they tell."""
    layer, x = Recurrent(3, 8), batch([2, 9, 10])
    values = x.values.float()
    exact = layer(x.replace(values)).items()
    values[0] = torch.nan
    for mine, other in zip(exact[1:], layer(x.replace(values)).items()[1:], strict=True):
        assert mine.equal(other)
