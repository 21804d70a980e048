import torch

from raw2vec.embedding import TokenEmbedding
from raw2vec.ragged import Ragged


def test_ids_become_their_vectors() -> None:
    embedding = TokenEmbedding(10, 4)
    ids = Ragged(torch.tensor([3, 3, 9]), torch.tensor([[2], [0], [1]]))
    vectors = embedding(ids)
    assert torch.equal(vectors.values, embedding.weight[ids.values])
    assert vectors.shapes.equal(ids.shapes)


def test_it_begins_small() -> None:
    torch.manual_seed(0)
    assert abs(TokenEmbedding(1000, 64).weight.std().item() - 0.02) < 0.001


def test_gradients() -> None:
    embedding = TokenEmbedding(5, 3).double()
    ids = Ragged(torch.tensor([3, 3, 4, 0]), torch.tensor([[3], [1]]))
    assert torch.autograd.gradcheck(lambda _: embedding(ids).values, embedding.table.weight)


def test_dropout_is_for_training_only() -> None:
    embedding = TokenEmbedding(5, 100, dropout=0.5)
    ids = Ragged(torch.tensor([3]), torch.tensor([[1]]))
    assert (embedding(ids).values == 0).any()
    assert torch.equal(embedding.eval()(ids).values, embedding.weight[3:4])
