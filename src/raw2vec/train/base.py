"""What the training files share: where a run stands, what it tells its listener, and what it is handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.seeding import Draws

Losses = Callable[[Batch, Draws], dict[str, Tensor]]


class Feed(Protocol):
    """Where batches come from: pure functions of the epoch."""

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]: ...
    def batch(self, samples: NDArray[np.int64]) -> Batch: ...


class Optimizer(Protocol):
    """What moves the weights; its whole state goes through a checkpoint as tensors."""

    def step(self, learning_rate: float) -> None: ...
    def tensors(self) -> dict[str, Tensor]: ...
    def restore(self, tensors: dict[str, Tensor]) -> None: ...


class Processes(Protocol):
    """Those that train one model together, as each sees them."""

    size: int

    def alike(self, modules: nn.Module) -> None: ...
    def totals(self, values: Sequence[float]) -> list[float]: ...


class Checkpoints(Protocol):
    """Where a run is kept, whole or not at all."""

    def write(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None: ...
    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None: ...


@dataclass(frozen=True)
class Verdict:
    """What a check finds: the held-out loss, lower is better, and scores by name, higher is better."""

    loss: float
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def rank(self) -> list[float]:
        """What weights are compared by, less is better: the scores where there are any, and where they are equal (none
        yet above zero, say) the loss."""
        return [*(-score for score in self.scores.values()), self.loss]


@dataclass
class Work:
    """One stage, ready to run. `share` is its part of the whole budget, `frozen` what is left as it is; `judge` judges
    the weights as they stand. `enter` makes the modules what they are during the stage (done twice it is done once),
    `leave` what they are after it."""

    name: str
    feed: Feed
    losses: Sequence[tuple[Losses, float]]
    optimizer: Callable[[], Optimizer]
    learning_rate: float
    share: float
    frozen: Sequence[nn.Module] = ()
    judge: Callable[[], Verdict] | None = None
    enter: Callable[[], object] = lambda: None
    leave: Callable[[], object] = lambda: None


@dataclass
class State:
    """Where training stands; with the tensors, this is what a checkpoint holds."""

    stage: int = 0
    step: int = 0
    begin: float = 0.0
    """The share of the budget that was spent when the stage began."""
    first: int = 0
    """The step that the stage began with."""
    epoch: int = 0
    place: int = 0
    checked: int = 0
    best: list[float] | None = None
    """The rank of the best weights so far."""
    stale: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """What a listener hears: after each step its losses, after each check the held-out loss and scores."""

    stage: str
    step: int
    epoch: int
    share: float
    losses: dict[str, float] = field(default_factory=dict)
    items: int = 0
    tokens: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0
    held_out: float | None = None
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """What a listener hears when the work turns to something else, in a few words for a person."""

    name: str


FINISHED = Phase("Finished already")
"""What a listener hears, and nothing else, of a run to be resumed that has nothing left to do."""

Listener = Callable[[Phase | Progress], None]


def silent(event: Phase | Progress) -> None:
    """A listener that tells nobody: of several processes all but the first."""


def cut(value: Tensor) -> bool:
    """Whether a weight, a gradient or an average is cut up over several processes (a DTensor; asked without importing
    what not every build of torch has)."""
    return hasattr(value, "to_local")


def share(value: Tensor) -> Tensor:
    """This process' share of what is cut up; else all of it."""
    return value.to_local() if hasattr(value, "to_local") else value


def placed(whole: Tensor, like: Tensor) -> Tensor:
    """A whole tensor where another of its shape is: on its device, and cut up as it is."""
    whole = whole.to(like.device)
    if not cut(like) or whole.shape != like.shape:
        return whole
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)  # all have it: none is sent
