"""How fast this machine multiplies, and how long work takes on it: the yardstick of every figure of speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def gemm_rate(dtype: torch.dtype, size: int = 1024, device: torch.device | str = "cpu") -> float:
    """Floating-point operations a second of a square matrix product on random data; the median of 9."""
    place = torch.device(device)
    a, b = (torch.randn(size, size, device=place).to(dtype) for _ in range(2))

    def product() -> None:
        a @ b
        if place.type == "cuda":
            torch.cuda.synchronize(place)

    seconds = [timed(product) for _ in range(10)][1:]
    return 2 * size**3 / statistics.median(seconds)


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call, by this clock."""
    began = clock()
    work()
    return clock() - began


def in_turn(
    contestants: Mapping[str, Callable[[], object]], rounds: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each call of each, run in turn A B A B … after one warm-up, so that a drifting machine favours
    nobody."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, work in contestants.items():
            seconds = timed(work, clock)
            if turn:
                found[name].append(seconds)
    return found


def interleaved(
    contestants: Mapping[str, Callable[[], object]], rounds: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each, see `in_turn`."""
    return {name: statistics.median(seconds) for name, seconds in in_turn(contestants, rounds, clock).items()}
