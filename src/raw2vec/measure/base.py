"""Items as baselines take them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.folder import Model
from raw2vec.ragged import Ragged


def numbers(parts: Model, items: Ragged) -> list[NDArray[np.float32]]:
    """Each item's numbers, (*grid, C); of a table without its categories."""
    values = items.values.float() / 255 if items.values.dtype == torch.uint8 else items.values
    found = [np.asarray(item.cpu()) for item in items.replace(values).items()]
    categories = parts.raw.form.categories
    kept = [place for place, known in enumerate(categories) if not known]
    return [item[kept] for item in found] if categories else found
