"""Several processes that train one model, as torchrun starts them.

A step's batches are dealt out, each goes through one process, and their gradients are added up. The batches, and every
draw in them, are functions of the step and the batch's place in it, so that the weights are those of one process that
takes the same batches in turn (`training.accumulate`), however many processes there are; a run may go on with fewer.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from time import monotonic

import torch
import torch.distributed as dist
from torch import nn

from raw2vec.errors import BadInput
from raw2vec.train.base import cut

_BUCKET = 1 << 24  # numbers that are sent at a time


def open_group() -> None:
    """Joins the processes that torchrun has started with this one, if any and if not done yet."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and dist.is_available() and not dist.is_initialized():
        from torch.distributed.rendezvous import rendezvous  # builds without processes lack it

        store, rank, size = next(rendezvous("env://"))
        # Workers that were started again would find the addresses of those before them there.
        store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)  # type: ignore[attr-defined]
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        atexit.register(dist.destroy_process_group)


class Group:
    """This process among those that train together; alone where there are no others."""

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.size, self.rank = (dist.get_world_size(), dist.get_rank()) if together else (1, 0)
        self._now = self._began = monotonic()

    @property
    def leads(self) -> bool:
        """Whether it is this one that writes files and tells of progress."""
        return self.rank == 0

    def own(self, count: int) -> range:
        """The places that this process takes of so many batches of a step."""
        return range(self.rank, count, self.size)

    def refuse(self, accumulate: int) -> None:
        """BadInput where a step's batches cannot be dealt out evenly."""
        if accumulate % self.size:
            raise BadInput(
                f"{self.size} processes share each step's batches, of which training.accumulate asks {accumulate}: add "
                f"--set training.accumulate={self.size}, or a multiple of it."
            )

    def wait(self) -> None:
        """Goes on when all have come here."""
        if self.size > 1:
            dist.barrier()

    def agreed(self, *values: float) -> list[float]:
        """The leader's values."""
        if self.size == 1:
            return list(values)
        sent = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(sent, 0)
        return sent.tolist()

    def path(self, place: str) -> str:
        """The leader's path."""
        sent = [place]
        if self.size > 1:
            dist.broadcast_object_list(sent, 0)
        return sent[0]

    def clock(self) -> float:
        """Seconds as all of them count: the leader's, at the last `tick`. Alone it is the usual clock."""
        return monotonic() if self.size == 1 else self._now

    def tick(self, stop: bool) -> bool:
        """Moves the common clock on, and whether any process was asked to stop."""
        if self.size == 1:
            return stop
        told = torch.tensor([monotonic() - self._began if self.leads else 0.0, float(stop)], dtype=torch.float64)
        dist.all_reduce(told)
        self._now = self._began + told[0].item()
        return bool(told[1])

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sum over the processes of each value."""
        if self.size == 1:
            return list(values)
        sent = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sent)
        return sent.tolist()

    def alike(self, modules: nn.Module) -> None:
        """Gives all of them the leader's weights."""
        if self.size > 1:
            for value in (*modules.parameters(), *modules.buffers()):
                if not cut(value):  # of what is cut up each has its own
                    dist.broadcast(value.data, 0)

    @torch.no_grad()
    def add(self, weights: Sequence[nn.Parameter]) -> None:
        """Adds up the gradients of all processes. Weights without one in any of them stay without."""
        if self.size == 1:
            return
        asked = [weight for weight in weights if weight.requires_grad]
        there = torch.tensor([float(weight.grad is not None) for weight in asked])
        dist.all_reduce(there)
        moved = [weight for weight, count in zip(asked, there.tolist(), strict=True) if count]
        for part in _buckets(moved):
            grads = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in part]
            sent = torch.cat([grad.flatten() for grad in grads])
            dist.all_reduce(sent)
            for weight, total in zip(part, sent.split([weight.numel() for weight in part]), strict=True):
                weight.grad = total.view_as(weight)


def _buckets(weights: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """The weights in order, of one type and together at most `_BUCKET` numbers unless one alone has more."""
    found: list[list[nn.Parameter]] = []
    size = 0
    for weight in weights:
        if not found or size + weight.numel() > _BUCKET or found[-1][0].dtype != weight.dtype:
            found.append([])
            size = 0
        found[-1].append(weight)
        size += weight.numel()
    return found


def own_gpu() -> str:
    """The name of the GPU that is this process' own."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else "cuda"
