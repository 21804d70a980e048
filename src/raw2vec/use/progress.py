"""A bar on standard error while items are encoded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Gives what hears how many windows were just done, and of how many; it draws nothing unless `shown`.

    Where standard error is no terminal, the bar is one line at the end.
    """
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as drawn:
        task = drawn.add_task("Encoding", total=None)
        yield lambda done, total: drawn.update(task, advance=done, total=total)
