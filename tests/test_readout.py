import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.readout import Classes, Labels, Numbers, Words

TARGETS = {
    Classes: torch.tensor([0, 2, 1, 1]),
    Labels: torch.tensor([[0, 1, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0]]),
    Numbers: torch.randn(4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64),
}
HEADS = [Classes, Labels, Numbers]


def states() -> Tensor:
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)


def made(head: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return head(5, 3).double()


@pytest.mark.parametrize("head", HEADS)
def test_gradients(head: type[nn.Module]) -> None:
    readout = made(head)

    def apply(values: Tensor, *_: Tensor) -> Tensor:
        return readout.log_prob(values, TARGETS[head])

    assert apply(states()).shape == (4,)
    assert torch.autograd.gradcheck(apply, (states(), *readout.parameters()))


def test_gradients_of_words_reach_the_table_too() -> None:
    torch.manual_seed(0)
    words, table = Words(5, 7).double(), torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([0, 6, 3, 3])

    def apply(values: Tensor, table: Tensor, *_: Tensor) -> Tensor:
        return words.log_prob(values, ids, table)

    assert torch.autograd.gradcheck(apply, (states(), table, *words.parameters()))


def test_words_are_a_distribution() -> None:
    torch.manual_seed(0)
    words, table = Words(5, 7).double(), torch.randn(7, 5, dtype=torch.float64)
    every = torch.stack([words.log_prob(states(), torch.full((4,), word), table) for word in range(7)], dim=1)
    torch.testing.assert_close(every.exp().sum(dim=1), torch.ones(4, dtype=torch.float64))
    assert words.mode(states(), table).equal(every.argmax(dim=1))
    assert words.logits(states(), table).shape == (4, 7)


def test_words_begin_near_the_uniform_guess() -> None:
    torch.manual_seed(0)
    logits = Words(256, 1000).logits(torch.randn(20, 256), torch.randn(1000, 256) * 0.02)
    loss = nn.functional.cross_entropy(logits, torch.randint(1000, (20,)))
    assert loss.item() == pytest.approx(math.log(1000), abs=0.3)


def test_words_refuse_another_width() -> None:
    with pytest.raises(BadInput, match=r"embeddings 6 wide.*states are 5 wide"):
        Words(5, 7).logits(states().float(), torch.randn(7, 6))


def test_classes_by_hand() -> None:
    classes = made(Classes)
    probabilities = classes.probabilities(states())
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(4, dtype=torch.float64))
    expected = probabilities[torch.arange(4), TARGETS[Classes]].log()
    torch.testing.assert_close(classes.log_prob(states(), TARGETS[Classes]), expected)
    assert classes.mode(states()).equal(probabilities.argmax(dim=1))


def test_labels_by_hand() -> None:
    labels, target = made(Labels), TARGETS[Labels]
    probabilities = labels.probabilities(states())
    expected = torch.where(target == 1, probabilities, 1 - probabilities).log().sum(dim=1)
    for kind in (torch.long, torch.bool, torch.float32):
        torch.testing.assert_close(labels.log_prob(states(), target.to(kind)), expected)
    assert labels.mode(states()).equal(probabilities > 0.5)


def test_numbers_have_a_gaussians_density() -> None:
    numbers, target = made(Numbers), TARGETS[Numbers]
    mean = numbers.mode(states()).detach().numpy()
    expected = torch.from_numpy(stats.norm.logpdf(target.numpy(), loc=mean).sum(axis=1))
    torch.testing.assert_close(numbers.log_prob(states(), target), expected)


def test_one_number_takes_a_flat_target() -> None:
    number = Numbers(5, 1).double()
    target = torch.arange(4.0)
    flat = number.log_prob(states(), target)
    assert flat.shape == (4,)
    torch.testing.assert_close(flat, number.log_prob(states(), target[:, None]))


@pytest.mark.parametrize("head", HEADS)
def test_likelihoods_under_autocast_are_float32(head: type[nn.Module]) -> None:
    readout = made(head).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = readout.log_prob(states().float(), TARGETS[head])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, readout.log_prob(states().float(), TARGETS[head]), atol=0.05, rtol=0.05)
