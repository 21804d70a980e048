"""Some of the rows that stream by: every one as likely as another, and the same whenever they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush, heapreplace
from typing import Any

from raw2vec.recipe import Role
from raw2vec.seeding import key


class Reservoir:
    """At most `most` of the rows that stream by, every one as likely as another: those of the greatest hashes.

    The first would not do: a file is often sorted by its labels.
    """

    def __init__(self, most: int, *purpose: object):
        self.most, self.purpose = most, purpose
        self.kept: list[tuple[int, int, dict[Role, Any]]] = []

    def offer(self, number: int, row: Callable[[], dict[Role, Any]]) -> None:
        """The row of this number, which is made only where it is kept."""
        drawn = key(*self.purpose, number)
        if len(self.kept) < self.most:
            heappush(self.kept, (drawn, number, row()))
        elif drawn > self.kept[0][0]:
            heapreplace(self.kept, (drawn, number, row()))

    def by(self, roles: Sequence[Role]) -> dict[Role, list[Any]]:
        """The rows kept, in their order, by role."""
        rows = [row for _, _, row in sorted(self.kept, key=lambda kept: kept[1])]
        return {role: [row[role] for row in rows] for role in roles}
