"""Copies of the weights: their moving average, and the best that a check has seen."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from raw2vec.train.base import placed, share


class Average:
    """Exponential moving average of the weights (EMA); its decay is shorter at first, so that the start is forgotten.

    With a decay of 0 it is nothing: the weights themselves are judged and kept.
    """

    def __init__(self, modules: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.live = {name: p for name, p in modules.named_parameters() if p.requires_grad} if decay else {}
        self.mean = {name: p.detach().clone() for name, p in self.live.items()}

    def follow(self) -> None:
        """One step towards the weights."""
        if self.live:
            self.steps += 1
            decay = min(self.decay, self.steps / (9 + self.steps))
            mean, live = ([share(p.detach()) for p in each.values()] for each in (self.mean, self.live))
            torch._foreach_lerp_(mean, live, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model's weights are the average's."""
        kept = {name: p.detach().clone() for name, p in self.live.items()}
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(kept)

    def settle(self) -> None:
        """The average takes the weights' place for good."""
        self._put(self.mean)

    def tensors(self) -> dict[str, Tensor]:
        """The average and how many steps it has followed, for a checkpoint."""
        return {**self.mean, "steps": torch.tensor(self.steps)} if self.live else {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The state that `tensors` gave."""
        if self.live:
            self.steps = int(tensors["steps"])
            self.mean = {name: placed(tensors[name], p) for name, p in self.live.items()}

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, p in self.live.items():
                p.copy_(values[name])
