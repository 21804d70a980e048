import math

import pytest
import torch
from scipy import stats

from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged
from raw2vec.readout import ColumnReadout

CATEGORIES = (0, 3, 0, 2)


def made(**settings: object) -> ColumnReadout:
    torch.manual_seed(0)
    return ColumnReadout(5, CATEGORIES, **settings)


def states(rows: int) -> Ragged:
    values = torch.randn(rows * 4, 5, generator=torch.Generator().manual_seed(1))
    return Ragged(values, torch.full((rows, 1), 4))


def rows(*values: list[float]) -> Ragged:
    return Ragged(torch.tensor(values).view(-1, 1), torch.full((len(values), 1), 4))


def chances(readout: ColumnReadout, row: Ragged, column: int, codes: int) -> list[float]:
    """How likely each code of one row's column is."""
    found = []
    for code in range(codes):
        values = torch.zeros(4, 1)
        values[column] = code
        found.append(readout.log_prob(row, Ragged(values, row.shapes))[column].exp().item())
    return found


def test_numbers_are_gaussian_about_their_own_columns_line() -> None:
    readout, decoded = made(deviation=0.5), states(2)
    found = readout.log_prob(decoded, rows([0.3, 1, -2.0, 1], [1.0, 1, 0.0, 1])).view(2, 4)[:, [0, 2]]
    means = (decoded.values.view(2, 4, 5)[:, [0, 2]] * readout.weight).sum(dim=-1) + readout.bias
    expected = stats.norm.logpdf([[0.3, -2.0], [1.0, 0.0]], means.detach().numpy(), 0.5)
    torch.testing.assert_close(found, torch.from_numpy(expected).float())
    torch.testing.assert_close(readout.mode(decoded, decoded.shapes).values.view(2, 4)[:, [0, 2]], means)


@pytest.mark.parametrize(("column", "codes"), [(1, 4), (3, 3)])
def test_codes_are_a_distribution_of_which_the_unknown_is_a_part(column: int, codes: int) -> None:
    found = chances(made(), states(1), column, codes)
    assert sum(found) == pytest.approx(1.0)
    assert min(found) > 0


def test_the_unknown_is_never_generated() -> None:
    readout, decoded = made(), states(50)
    with torch.no_grad():
        for way in readout.linears:
            way.bias[0] = 100.0
    luck = torch.rand(200, 1, generator=torch.Generator().manual_seed(2))
    for restored in (readout.mode(decoded, decoded.shapes), readout.sample(decoded, decoded.shapes, luck)):
        codes = restored.values.view(50, 4)[:, [1, 3]]
        assert (codes >= 1).all()
        assert (codes <= torch.tensor([3, 2])).all()


def test_the_mode_is_the_likeliest_known_code() -> None:
    readout, decoded = made(), states(20)
    for place, code in enumerate(readout.mode(decoded, decoded.shapes).values.view(20, 4)[:, 1].tolist()):
        known = chances(readout, decoded.take(torch.tensor([place])), 1, 4)[1:]
        assert known[int(code) - 1] == max(known)


def test_samples_are_as_frequent_as_they_are_likely() -> None:
    readout, count = made(), 5000
    one = states(1)
    many = Ragged(one.values.repeat(count, 1), torch.full((count, 1), 4))
    luck = ((torch.arange(count) + 0.5) / count)[:, None].expand(count, 4).reshape(-1, 1)
    drawn = readout.sample(many, many.shapes, luck).values.view(count, 4)
    known = chances(readout, one, 1, 4)[1:]
    seen = torch.bincount(drawn[:, 1].long(), minlength=4)[1:] / count
    torch.testing.assert_close(seen, torch.tensor(known) / sum(known), atol=2 / count, rtol=0)
    mean = readout.mode(one, one.shapes).values[0]
    assert drawn[:, 0].mean().item() == pytest.approx(mean.item(), abs=0.01)
    assert drawn[:, 0].std().item() == pytest.approx(1.0, abs=0.01)


def test_missing_targets_count_zero() -> None:
    readout, decoded, nan = made(scale="learned"), states(2), math.nan
    found = readout.log_prob(decoded, rows([nan, nan, 1.0, nan], [nan, 2, nan, 1]))
    assert (found.view(2, 4) == 0).tolist() == [[True, True, False, True], [True, False, True, False]]
    found.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in readout.parameters())


def test_values_are_rows_of_the_table() -> None:
    readout, decoded = made(), states(3)
    restored = readout.mode(decoded, decoded.shapes)
    assert restored.values.shape == (12, 1)
    assert restored.values.dtype == torch.float32
    assert restored.shapes.equal(decoded.shapes)


@pytest.mark.parametrize("scale", ["fixed", "learned"])
def test_gradients(scale: str) -> None:
    readout, decoded = made(scale=scale).double(), states(2)
    values = decoded.values.double().requires_grad_()
    items = rows([0.3, 0, math.nan, 1], [1.0, 3, 0.0, math.nan])
    inputs = (values, *readout.parameters())
    assert torch.autograd.gradcheck(lambda *_: readout.log_prob(decoded.replace(values), items), inputs)


@pytest.mark.parametrize("categories", [(0, 0), (2, 3)], ids=["numbers alone", "categories alone"])
def test_tables_of_one_kind(categories: tuple[int, ...]) -> None:
    readout, shapes = ColumnReadout(5, categories), torch.tensor([[2], [2], [2]])
    decoded = Ragged(torch.randn(6, 5), shapes)
    restored = readout.mode(decoded, shapes)
    assert readout.log_prob(decoded, restored).isfinite().all()
    assert restored.values.shape == (6, 1)


def test_rows_of_another_table() -> None:
    with pytest.raises(BadInput, match="a table of 4 columns"):
        made().mode(states(1), torch.tensor([[3]]))
