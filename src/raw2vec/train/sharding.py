"""A model cut up over the processes that train it (FSDP2; Zhao et al. 2023): each keeps its share of every weight.

A weight's gradient, its optimiser's state and its average are cut up with it. A transformer's blocks are put together
one by one, each while it works; all else for the time of a step's forward and backward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from raw2vec.layers import TransformerBlock
from raw2vec.recipe import Training
from raw2vec.train.base import Processes, cut, share

T = TypeVar("T")


class Whole:
    """Modules as they are, on a device: what one process trains, or several in step."""

    def __init__(self, modules: nn.Module):
        self.modules = modules

    def learning(self, work: Callable[[], T]) -> T:
        """What `work` gives, tensors by name, while all weights that it asks for are there; gradients follow."""
        return work()

    def looking(self, work: Callable[[], T]) -> T:
        """The same where no gradients are to follow."""
        return work()

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """These whole, whoever has which share of them."""
        return dict(tensors)

    def norm(self, grads: list[Tensor]) -> Tensor:
        """The norm of all their numbers, those that other processes have included."""
        return nn.utils.get_total_norm(grads)

    def finished(self) -> None:
        """Training is over: the modules that were given have all that was learned."""


class Sharded(Whole):
    """A model and its objectives of which each process keeps a share. What is trained is a copy of those given.

    `chunked`: blocks run several times a step, not as often in every process, and are put together with all else.
    """

    def __init__(self, modules: nn.Module, device: torch.device, group: Processes, chunked: bool):
        from torch.distributed.device_mesh import init_device_mesh  # builds without processes lack these
        from torch.distributed.fsdp import FSDPModule, fully_shard

        group.alike(modules)
        super().__init__(copy.deepcopy(modules))
        self.given, self.device = modules, device
        self.group, mesh = group, init_device_mesh(device.type, (group.size,))
        blocks = [] if chunked else [inner for inner in self.modules.modules() if isinstance(inner, TransformerBlock)]
        root = _Root(self.modules)
        lone = {weight for weight in root.parameters() if not weight.dim()}  # a single number is everyone's
        for module in (*blocks, root):
            fully_shard(module, mesh=mesh, ignored_params=lone)
            assert isinstance(module, FSDPModule)
            module.set_gradient_divide_factor(1.0)  # gradients are of the batches' mean already
            module.set_force_sum_reduction_for_comms(True)  # all that gloo knows
        self.root: Any = root
        self.modules.to(device)

    def learning(self, work: Callable[[], T]) -> T:
        return self.root(work)

    def looking(self, work: Callable[[], T]) -> T:
        with torch.no_grad():
            found = self.root(work)
        for module in self.root.modules():
            if hasattr(module, "reshard"):
                module.reshard()  # what is whole now would be taken for the weights of the next step
        return found

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # One by one and off the device, which need not have room for all.
        return {name: _whole(value) for name, value in tensors.items()}

    def norm(self, grads: list[Tensor]) -> Tensor:
        (square,) = self.group.totals(
            [nn.utils.get_total_norm([share(grad) for grad in grads if cut(grad)]).item() ** 2]
        )
        alike = nn.utils.get_total_norm([grad for grad in grads if not cut(grad)])
        return (alike.square() + square).sqrt()

    def finished(self) -> None:
        self.given.load_state_dict(self.gathered(self.modules.state_dict()))
        self.modules = self.given.to(self.device)


class _Root(nn.Module):
    """Whatever runs within a call of it finds the weights of `inner` whole."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, work: Callable[[], T]) -> T:
        return work()


def laid_out(modules: nn.Module, training: Training, device: torch.device, group: Processes) -> Whole:
    """What the processes train: all of it each, or with `training.shard`, where there are several, a share each."""
    if group.size == 1 or not training.shard:
        return Whole(modules.to(device))
    return Sharded(modules, device, group, any(getattr(inner, "chunk", 0) for inner in modules.modules()))


def _whole(value: Any) -> Tensor:
    whole: Tensor = value.detach().full_tensor() if cut(value) else value.detach()
    return whole.cpu()
