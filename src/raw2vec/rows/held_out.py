"""Rows to learn from with others after them, to judge by: a dev set that somebody chose."""

from __future__ import annotations

from hashlib import blake2b

from raw2vec.errors import BadInput
from raw2vec.rows.base import Joined, Rows


class WithHeldOut(Joined):
    """The rows of `rows`, which are all learned from, and those of `held`, which none is: see Rows.held_from.

    BadInput where they are of other columns or of another kind.
    """

    def __init__(self, rows: Rows, held: Rows):
        super().__init__(f"{rows.name} and {held.name}", [rows, held])
        if rows.kind != held.kind:
            raise BadInput(f"{held.name} holds {held.kind or 'text'}, and {rows.name} {rows.kind or 'text'}.")
        self.kind, self.alike, self.paths_from = rows.kind, rows.alike and held.alike, rows.paths_from
        self.held_from = sum(len(batch) for batch in rows.batches(8192, rows.columns[:1]))

    def fingerprint(self) -> str:
        """Of the rows, and of which of them are held out."""
        return blake2b(f"{super().fingerprint()} from {self.held_from}".encode(), digest_size=16).hexdigest()
