"""The weights' moving average, against the formula."""

import torch
from torch import nn

from raw2vec.train.weights import Average


def walk(module: nn.Module, average: Average, steps: int) -> torch.Tensor:
    """Moves the weights about; gives their average: m ← d m + (1 - d) w with d = min(decay, t / (9 + t))."""
    generator = torch.Generator().manual_seed(0)
    mean = module.weight.detach().double().clone()
    for step in range(1, steps + 1):
        with torch.no_grad():
            module.weight.add_(torch.randn(module.weight.shape, generator=generator))
        average.follow()
        decay = min(0.9, step / (9 + step))
        mean = decay * mean + (1 - decay) * module.weight.detach().double()
    return mean


def test_the_average_is_the_formula_s() -> None:
    module = nn.Linear(3, 2, bias=False)
    average = Average(module, 0.9)
    mean = walk(module, average, 100)
    live = module.weight.detach().clone()
    with average.in_place():
        assert torch.allclose(module.weight.double(), mean, atol=1e-5)
    assert torch.equal(module.weight, live), "after the block the weights are as they were"
    average.settle()
    assert torch.allclose(module.weight.double(), mean, atol=1e-5)


def test_the_weights_come_back_from_an_error() -> None:
    module = nn.Linear(3, 2)
    average = Average(module, 0.9)
    walk_to = module.weight.detach() + 1
    with torch.no_grad():
        module.weight.copy_(walk_to)
    try:
        with average.in_place():
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert torch.equal(module.weight, walk_to)


def test_a_state_goes_round() -> None:
    module, other = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    average = Average(module, 0.9)
    walk(module, average, 5)
    other.load_state_dict(module.state_dict())
    again = Average(other, 0.9)
    again.restore({name: tensor.clone() for name, tensor in average.tensors().items()})
    walk(module, average, 3)
    walk(other, again, 3)
    average.settle()
    again.settle()
    assert torch.equal(module.weight, other.weight)


def test_a_decay_of_zero_is_nothing_and_frozen_weights_are_left_out() -> None:
    module = nn.Linear(3, 2)
    none = Average(module, 0.0)
    walk(module, none, 2)
    kept = module.weight.detach().clone()
    none.settle()
    assert torch.equal(module.weight, kept)
    assert not none.tensors()
    module.bias.requires_grad_(False)
    assert set(Average(module, 0.5).tensors()) == {"weight", "steps"}
