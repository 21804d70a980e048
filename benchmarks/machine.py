"""What this machine is, and the pace of steps; how fast it multiplies is raw2vec's own yardstick."""

import time

import torch

from raw2vec.fitting.report import hardware
from raw2vec.yardstick import gemm_rate, interleaved, timed

__all__ = ["Clock", "gemm_rate", "heading", "interleaved", "timed"]


class Clock:
    """What was done a second, from the end of the first `warm` steps to that of the last one."""

    def __init__(self, warm: int):
        self.warm = warm
        self.ticks: list[float] = []
        self.items = 0

    def tick(self, items: int) -> None:
        """A step of so many items is over."""
        self.ticks.append(time.perf_counter())
        self.items += items if len(self.ticks) > self.warm else 0

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds

    @property
    def seconds(self) -> float:
        """What the steps took that count."""
        return self.ticks[-1] - self.ticks[self.warm - 1]


def heading() -> str:
    """Date, processor, threads and versions in a line."""
    return f"{time.strftime('%Y-%m-%d')}, {hardware()}, torch {torch.__version__}"
