import math

import pytest
import torch

from raw2vec.embedding import ColumnEmbedding
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged

CATEGORIES = (0, 3, 0, 2)


def rows(*values: list[float]) -> Ragged:
    return Ragged(torch.tensor(values).view(-1, 1), torch.full((len(values), 1), len(values[0])))


def embedded(embedding: ColumnEmbedding, *values: list[float]) -> torch.Tensor:
    """(B, columns, width)."""
    return embedding(rows(*values)).values.unflatten(0, (len(values), -1))


def test_a_number_is_a_line_of_its_own_column() -> None:
    embedding = ColumnEmbedding(CATEGORIES, 4)
    zero, one, three = embedded(embedding, [0.0, 1, 0.0, 1], [1.0, 1, 1.0, 1], [3.0, 1, 3.0, 1])
    torch.testing.assert_close(three - zero, 3 * (one - zero))
    torch.testing.assert_close((one - zero)[0], embedding.weight[0])
    assert not torch.allclose(zero[0], zero[2])
    assert not torch.allclose((one - zero)[0], (one - zero)[2])


def test_every_code_of_every_column_and_what_is_missing_has_a_vector_of_its_own() -> None:
    nan = math.nan
    embedding = ColumnEmbedding(CATEGORIES, 4)
    found = embedded(
        embedding, [0.0, 0, 0.0, 0], [nan, 1, nan, 1], [0.0, 2, 0.0, 2], [0.0, 3, 0.0, nan], [0.0, nan, 0.0, 2]
    )
    distinct = {tuple(vector) for vector in found.flatten(0, 1).tolist()}
    # Two numbers, each there and missing; 3 and 2 values known, one not known, one missing.
    assert len(distinct) == 2 * 2 + (3 + 2) + (2 + 2)
    assert len(embedding.table) == len(distinct)


def test_columns_are_rows_on_the_same_grid() -> None:
    embedding = ColumnEmbedding(CATEGORIES, 4)
    table = rows([0.5, 1, 0.5, 1], [0.1, 0, 0.2, 2])
    assert embedding(table).shapes.equal(table.shapes)
    assert embedding.grids(table.shapes).equal(table.shapes)
    alone = embedding(rows([0.1, 0, 0.2, 2])).values
    assert embedding(table).values[4:].equal(alone)


def test_gradients_with_missing_values() -> None:
    embedding = ColumnEmbedding(CATEGORIES, 3).double()
    table = rows([0.5, 3, math.nan, 1], [0.1, math.nan, 0.2, 0])
    assert torch.autograd.gradcheck(lambda *_: embedding(table).values, tuple(embedding.parameters()))


def test_it_begins_with_vectors_about_one_long() -> None:
    torch.manual_seed(0)
    lengths = ColumnEmbedding([0, 500], 64)(rows([0.0, 7], [1.0, 400])).values.norm(dim=1)
    assert ((lengths > 0.5) & (lengths < 2.0)).all()


def test_dropout_is_for_training_only() -> None:
    embedding = ColumnEmbedding([0], 50, dropout=0.5)
    assert (embedding(rows([1.0])).values == 0).any()
    assert (embedding.eval()(rows([1.0])).values != 0).all()


def test_weights_are_all_there_is_to_save() -> None:
    assert set(ColumnEmbedding(CATEGORIES, 3).state_dict()) == {"table", "weight"}


def test_rows_of_another_table() -> None:
    embedding = ColumnEmbedding(CATEGORIES, 4)
    with pytest.raises(BadInput, match="a table of 4 columns"):
        embedding(rows([1.0, 2.0]))
    with pytest.raises(BadInput, match="a table of 4 columns"):
        embedding(Ragged(torch.zeros(4, 2), torch.tensor([[4]])))
