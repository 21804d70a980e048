"""What writers look at: shares over real states alone, and the very ones by which they mix these."""

import pytest
import torch

from raw2vec.decoders import ConvolutionalWriter, RecurrentWriter, TransformerWriter, Writer
from raw2vec.layers import CrossAttention, Memory
from raw2vec.ragged import Ragged

MEMORY = Memory(
    torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([[1, 1, 1], [1, 1, 0]]) > 0
)
BEFORE = Ragged(torch.randn(6, 4, generator=torch.Generator().manual_seed(2)), torch.tensor([[4], [2]]))
CODES = torch.randn(2, 5, generator=torch.Generator().manual_seed(3))

WRITERS: dict[str, Writer] = {
    "recurrent": RecurrentWriter(5, 4, 8, layers=2, memory=6),
    "convolutional": ConvolutionalWriter(5, 4, 8, layers=2, memory=6),
    "transformer": TransformerWriter(5, 4, 8, layers=2, heads=2, memory=6),
    "post": TransformerWriter(5, 4, 8, layers=2, heads=2, norm_order="post", positions="sinusoidal", memory=6),
}


@pytest.mark.parametrize("name", WRITERS)
@torch.no_grad()
def test_shares_are_of_real_states_and_make_a_whole(name: str) -> None:
    writer = WRITERS[name].eval()
    shares = writer.looks(CODES, BEFORE, MEMORY)
    assert shares.shape == (6, 3)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    assert (shares[4:, 2] == 0).all()
    assert (shares[:4] > 0).all()
    alone = writer.looks(CODES[1:], BEFORE.take(torch.tensor([1])), Memory(MEMORY.rows[1:, :2], MEMORY.inside[1:, :2]))
    torch.testing.assert_close(alone, shares[4:, :2])


@torch.no_grad()
def test_one_head_mixes_by_what_it_is_said_to_look_at() -> None:
    layer, rows = CrossAttention(8, 6, heads=1), BEFORE.replace(torch.randn(6, 8))
    values = layer.keep(MEMORY)[:, 1, 0][BEFORE.owners]
    mixed = layer.leave((layer.looks(rows, MEMORY)[:, None] @ values)[:, 0])
    torch.testing.assert_close(mixed, layer(rows, MEMORY))


@pytest.mark.parametrize("order", ["pre", "post", "post-only"])
@torch.no_grad()
def test_the_layer_that_looks_is_the_one_that_writes(order: str) -> None:
    torch.manual_seed(0)
    writer = TransformerWriter(5, 4, 8, layers=3, heads=2, norm_order=order, memory=6).eval()
    seen: list[torch.Tensor] = []
    for block in writer._blocks():
        block.cross.register_forward_pre_hook(lambda layer, given: seen.append(layer.looks(*given)))
    writer(CODES, BEFORE, MEMORY)
    torch.testing.assert_close(writer.looks(CODES, BEFORE, MEMORY), torch.stack(seen[:3]).mean(0))
