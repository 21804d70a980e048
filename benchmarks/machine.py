"""What this machine is and how fast it multiplies: the yardstick of every other figure."""

import statistics
import time
from collections.abc import Callable

import torch

from raw2vec.report import hardware


def gemm_rate(dtype: torch.dtype, size: int = 1024) -> float:
    """Floating-point operations a second of a square matrix product on random data; the median of 9."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    seconds = [timed(lambda: a @ b) for _ in range(10)][1:]
    return 2 * size**3 / statistics.median(seconds)


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call, by this clock."""
    began = clock()
    work()
    return clock() - began


def interleaved(
    contestants: dict[str, Callable[[], object]], rounds: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each, run in turn A B A B … after one warm-up, so that a drifting machine favours nobody."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, work in contestants.items():
            seconds = timed(work, clock)
            if turn:
                found[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


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
