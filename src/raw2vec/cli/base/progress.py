"""How work goes on, told on standard error: a line drawn over itself on a terminal, else a line at times."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from raw2vec.cli.base.base import duration, heavy

LINE_EVERY = 10.0  # seconds between lines where progress cannot be drawn over itself


def console(stderr: bool = False, markup: bool = False) -> Console:
    """Where to print: words are taken as they are, and nothing is cut to 80 columns where no terminal is."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else 200
    return Console(stderr=stderr, markup=markup, emoji=False, highlight=False, width=width)


def speaks() -> bool:
    """Whether it is this process that tells of the work: of those that torchrun has started together the first."""
    return os.environ.get("RANK", "0") == "0"


class Reporter:
    """Shows how work goes on standard error: one line drawn over itself on a terminal, else a line at times."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.began = clock, clock()
        self.console = console(stderr=True)
        self.live = speaks() and sys.stderr.isatty() and not self.console.is_dumb_terminal
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24))
        status = TextColumn("{task.fields[status]}", markup=False)
        self.bar = Progress(
            *columns, TaskProgressColumn(show_speed=False), status, console=self.console, transient=True
        )
        self.task = self.bar.add_task("Reading", total=None, status="") if self.live else None
        self.last = self.began

    def __enter__(self) -> Self:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bar.stop()

    def show(self, what: str, status: str = "", share: float | None = None, now: bool = False) -> None:
        """`share` (0 to 1) of `what` is done. Without a terminal it is a line when `now`, or when one is due."""
        if self.task is not None:
            done = None if share is None else min(share, 1.0)
            total = None if share is None else 1.0
            self.bar.update(self.task, description=what, status=status, completed=done, total=total)
        elif now or self.clock() - self.last >= LINE_EVERY:
            self.last = self.clock()
            told = [duration(self.last - self.began), what, "" if share is None else f"{min(share, 1.0):.0%}", status]
            self.console.print("  ".join(filter(None, told)))


class Counter(Reporter):
    """Hears how many items were just done: the `progress` of embedding, indexing and all that is one long `doing`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, doing: str = "encoding"):
        super().__init__(clock)
        self.items, self.doing = 0, doing

    def __call__(self, items: int) -> None:
        self.items += items
        seconds = max(self.clock() - self.began, 1e-9)
        self.show(self.doing, f"{self.items:,} items  {self.items / seconds:,.0f} items/s")


class Training(Reporter):
    """Hears the events of a fit: its phases, each step's losses, each check's held-out loss."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        super().__init__(clock)
        self.first: tuple[float, float] | None = None
        self.stage, self.loss, self.items, self.seconds = "", math.nan, 0, 0.0
        self.held_out: float | None = None
        self.scores: dict[str, float] = {}
        self.finished_already = False

    def __call__(self, event: Any) -> None:
        if isinstance(event, heavy("train.base").Phase):
            self.finished_already = event == heavy("train.base").FINISHED
            self.show(event.name, now=True)
            return
        if event.stage != self.stage:
            self.stage, self.loss, self.held_out, self.scores = event.stage, math.nan, None, {}
        if event.held_out is not None:
            self.held_out, self.scores = event.held_out, event.scores
        if event.losses:
            value = next(iter(event.losses.values()))
            self.loss = value if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * value
        self.items, self.seconds = self.items + event.items, self.seconds + event.seconds
        self.first = self.first or (self.clock(), event.share)
        self.show(event.stage, self._status(event), event.share, now=event.held_out is not None)

    def _status(self, event: Any) -> str:
        parts = [f"step {event.step:,}"]
        if not math.isnan(self.loss):
            parts.append(f"loss {self.loss:.3f}")
        if self.held_out is not None:
            parts.append(f"held out {self.held_out:.3f}")
        parts += [f"{name} {score:.1f}" for name, score in self.scores.items()]
        if self.seconds:
            parts.append(f"{self.items / self.seconds:,.0f} items/s")
        since, share = self.first or (0.0, 0.0)
        if event.share > share:
            left = (self.clock() - since) / (event.share - share) * max(1 - event.share, 0)
            parts.append(f"{duration(left)} left")
        return "  ".join(parts)
