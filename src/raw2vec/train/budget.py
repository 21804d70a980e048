"""A budget, in minutes or in steps, and the learning rate that follows the share of it that is spent."""

import math
import time
from collections.abc import Callable

from raw2vec.recipe import Training


class Budget:
    """How much of the budget is spent, 0 to 1.

    In minutes it counts from `spent` seconds, what had gone before training began, and leaves `reserve` seconds for
    what comes after it. A stage ends when less time is left than half a step takes, so that it ends on time.
    """

    def __init__(
        self,
        training: Training,
        spent: float = 0.0,
        reserve: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.steps = training.steps
        self.end = (training.minutes or 0.0) * 60 - reserve
        self.begin = min(spent, self.end)
        self.clock, self._since, self._spent = clock, clock(), spent
        self.pace = 0.0

    @property
    def seconds(self) -> float:
        """Seconds spent, those before a resumption included."""
        return self._spent + self.clock() - self._since

    def share(self, step: int) -> float:
        """The share spent at this moment, `step` steps done; 1 at the end."""
        if self.steps is not None:
            return step / self.steps
        return 1.0 if self.end <= self.begin else (self.seconds - self.begin) / (self.end - self.begin)

    def within(self, step: int, begin: float, end: float) -> float:
        """How far a stretch of the budget between two shares is done; 1 or more: it is over."""
        if self.steps is not None:
            first, last = round(begin * self.steps), round(end * self.steps)
            return 1.0 if step >= last else (step - first) / (last - first)
        left = (end - self.share(step)) * (self.end - self.begin)
        if left <= self.pace / 2:
            return 1.0
        return (self.share(step) - begin) / (end - begin)

    def stepped(self, seconds: float) -> None:
        """A step took this long: a running mean that follows slow steps quickly."""
        self.pace = max(0.9 * self.pace + 0.1 * seconds, 0.5 * seconds)

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps of it."""
        return {"spent": self.seconds, "begin": self.begin, "pace": self.pace}

    def restore(self, state: dict[str, float]) -> None:
        """Goes on from where `state` was taken; the time between does not count."""
        self._spent, self.begin, self.pace = state["spent"], state["begin"], state["pace"]
        self._since = self.clock()


def rate(training: Training, within: float) -> float:
    """The learning rate as a factor of its peak: a linear warm-up, then the decay down to zero."""
    if within < training.warmup:
        return max(within / training.warmup, 0.01)
    left = (1 - within) / max(1 - training.warmup, 1e-9)
    if training.decay == "linear":
        return left
    return 0.5 - 0.5 * math.cos(math.pi * left) if training.decay == "cosine" else 1.0
