"""Optimisers: torch's own arithmetic, weights sorted by kind, and a state that goes through a checkpoint."""

import pytest
import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.train.optimizers import Optimizer, adamw, muon, optimizer


class Net(nn.Module):
    """A table, two matrices, a vector and a kernel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(7, 4)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3, bias=False)
        self.kernel = nn.Conv1d(1, 1, 3, bias=False)

    def forward(self) -> Tensor:
        states = self.second(torch.tanh(self.first(self.table.weight)))
        return (self.kernel(states[:, None]) ** 2).mean() + states.abs().mean()


def step(net: Net, moved: Optimizer, steps: int = 1, rate: float = 0.01) -> None:
    for _ in range(steps):
        net().backward()
        moved.step(rate)


@pytest.mark.parametrize("make", [adamw, muon])
def test_gradients_are_cleared_and_the_rate_is_the_one_given(make) -> None:
    net = Net()
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    moved = make([net])
    step(net, moved, rate=0.0)
    assert all(torch.equal(weight, before[name]) for name, weight in net.named_parameters())
    assert all(weight.grad is None for weight in net.parameters())
    step(net, moved)
    assert not any(torch.equal(weight, before[name]) for name, weight in net.named_parameters())


def test_heads_have_a_rate_of_their_own() -> None:
    """The first step of AdamW is as large as the rate; what follows the model takes twenty times as large ones."""
    net, head = nn.Linear(3, 3), nn.Linear(3, 1)
    before = [weight.detach().clone() for weight in (*net.parameters(), *head.parameters())]
    moved = adamw([net, head], weight_decay=0.0, head_rate=20.0)
    head(net(torch.ones(3))).sum().backward()
    moved.step(1e-3)
    far = [(old - new).abs().max() for old, new in zip(before, (*net.parameters(), *head.parameters()), strict=True)]
    torch.testing.assert_close(torch.stack(far), torch.tensor([1e-3, 1e-3, 0.02, 0.02]), rtol=1e-3, atol=1e-6)


def test_adamw_is_torch_s() -> None:
    ours, theirs = Net(), Net()
    moved = adamw([ours], weight_decay=0.1, beta1=0.8, beta2=0.95)
    matrices = [theirs.table.weight, theirs.first.weight, theirs.second.weight]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": [theirs.first.bias, theirs.kernel.weight], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.95))
    for _ in range(5):
        step(ours, moved)
        theirs().backward()
        reference.step()
        reference.zero_grad()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_muon_takes_matrices_and_adamw_the_rest() -> None:
    net = Net()
    rest, matrices = muon([net]).optimizers
    assert isinstance(matrices, torch.optim.Muon)
    held = {id(weight) for group in matrices.param_groups for weight in group["params"]}
    assert held == {id(net.first.weight), id(net.second.weight)}
    held = {id(weight) for group in rest.param_groups for weight in group["params"]}
    assert held == {id(net.table.weight), id(net.first.bias), id(net.kernel.weight)}


def test_kernels_are_matrices_to_muon() -> None:
    """As torch's own Muon moves the same numbers held as a matrix; a depthwise kernel is AdamW's."""
    torch.manual_seed(0)
    full, depthwise = nn.Conv2d(3, 5, 3, bias=False), nn.Conv2d(4, 4, 3, groups=4, bias=False)
    matrix = nn.Parameter(full.weight.detach().flatten(1).clone())
    reference = torch.optim.Muon([matrix], lr=1e-2, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    ours = muon([full, depthwise])
    assert [len(each.param_groups[0]["params"]) for each in ours.optimizers] == [1, 1]
    pictures = torch.randn(2, 3, 6, 6)
    for _ in range(3):
        (full(pictures) ** 2).mean().backward()
        (torch.conv2d(pictures, matrix.view_as(full.weight)) ** 2).mean().backward()
        ours.step(1e-2)
        reference.step()
        reference.zero_grad()
        assert full.weight.grad is None
    assert torch.allclose(full.weight.flatten(1), matrix, atol=1e-6)
    with torch.no_grad():  # as a moving average or a checkpoint puts other numbers there
        full.weight.zero_()
    (full(pictures).sum()).backward()
    ours.step(1e-2)
    assert full.weight.abs().max() < 0.02


def test_tables_have_a_rate_of_their_own() -> None:
    slow, fast = Net(), Net()
    step(slow, adamw([slow], weight_decay=0.0))
    step(fast, adamw([fast], weight_decay=0.0, embedding_rate=3.0))
    start = Net()
    moved = [(net.table.weight - start.table.weight).abs().max().item() for net in (slow, fast)]
    assert moved[1] == pytest.approx(3 * moved[0], rel=1e-3)
    assert torch.equal(slow.first.weight, fast.first.weight)


@pytest.mark.parametrize("make", [adamw, muon])
def test_a_state_goes_round(make) -> None:
    net, other = Net(), Net()
    moved = make([net])
    step(net, moved, 3)
    other.load_state_dict(net.state_dict())
    again = make([other])
    kept = {name: tensor.clone() for name, tensor in moved.tensors().items()}
    again.restore(kept)
    step(net, moved, 3)
    step(other, again, 3)
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert all(isinstance(tensor, Tensor) for tensor in kept.values())


def test_frozen_weights_are_left_alone_and_none_left_is_no_error() -> None:
    net = Net()
    net.table.requires_grad_(False)
    kept = net.table.weight.detach().clone()
    step(net, muon([net]))
    assert torch.equal(net.table.weight, kept)
    net.requires_grad_(False)
    net.kernel.requires_grad_(True)
    step(net, muon([net]))


def test_by_name_with_settings() -> None:
    net = Net()
    made = optimizer("muon", {"momentum": 0.5}, [net])
    assert made.optimizers[1].param_groups[0]["momentum"] == 0.5
    with pytest.raises(BadInput, match=r"no optimizer 'adamv'\. Did you mean 'adamw'\?"):
        optimizer("adamv", {}, [net])
    with pytest.raises(BadInput, match=r"no setting 'weight_dcay'\. Did you mean 'weight_decay'\?"):
        optimizer("adamw", {"weight_dcay": 0.1}, [net])
