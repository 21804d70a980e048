"""What an objective is handed: the same items seen as input, target, negative and label."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raw2vec.ragged import Ragged, sent


@dataclass(frozen=True)
class Batch:
    """B items of a data set. `items` (B,) are their numbers there: what random draws are keyed by.

    `sides` holds the Ragged ids, pixels or frames by the recipe's column role ("input", "target", "negative"); `labels`
    is (B,) classes or numbers, (B, C) for several at once, or None.
    """

    items: Tensor
    sides: dict[str, Ragged]
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.items)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`."""
        sides = {role: side.to(device) for role, side in self.sides.items()}
        labels = None if self.labels is None else sent(self.labels, device)
        return Batch(sent(self.items, device), sides, labels)
