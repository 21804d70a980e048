"""Hidden tokens and patches told from their neighbours, for measuring how well masked prediction was learned."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.objectives import Masked, MaskedPatches, Objective
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

_ITEMS = 64  # at a time

Filled = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]


Patched = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]


def fill(parts: Model, texts: Sequence[str], seed: int = 0) -> Filled:
    """Each masked token's text, its id, whether it was guessed, and its cost in nats: four arrays (M,)."""
    objective = _trained(parts, Masked, "tokens")
    windows = parts.raw.windows(texts)
    found: list[list[NDArray[np.generic]]] = [[], [], [], []]
    with torch.inference_mode():
        for part, ids in _batches(parts, windows.ragged):
            hidden = objective.hide(parts.model, ids, part.to(ids.values.device), Draws(seed))
            table = parts.model.table
            nats = -objective.readout.log_prob(hidden.states, hidden.ids, table)
            right = objective.readout.mode(hidden.states, table) == hidden.ids
            owners = windows.owners[part][hidden.owners.cpu()]
            for column, values in zip(found, (owners, hidden.ids, right, nats.double()), strict=True):
                column.append(values.cpu().numpy())
    items, tokens, correct, costs = (np.concatenate(column) for column in found)
    return items, tokens, correct, costs


def fill_patches(parts: Model, items: Sequence[Any], seed: int = 0) -> Patched:
    """Each patch's window (N,), its place there (N, k), its numbers (N, E), whether it was hidden (N,); what was told.

    Of the hidden ones that is, (M, E), in their order. NaN is a number that is not there.
    """
    objective = _trained(parts, MaskedPatches, "patches")
    found: list[list[NDArray[np.generic]]] = [[], [], [], [], []]
    with torch.inference_mode():
        for part, windows in _batches(parts, parts.raw.windows(items).ragged):
            filled = objective.fill(parts.model, windows, part.to(windows.values.device), Draws(seed))
            patches = filled.patches
            told = (part[patches.owners.cpu()], patches.coordinates, patches.values, filled.hidden, filled.told)
            for column, values in zip(found, told, strict=True):
                column.append(values.cpu().numpy())
    owners, places, truth, hidden, guesses = (np.concatenate(column) for column in found)
    return owners, places, truth, hidden, guesses


_Kind = TypeVar("_Kind", bound=Objective)


def _trained(parts: Model, kind: type[_Kind], what: str) -> _Kind:
    objective = next((o for o in parts.objectives.values() if isinstance(o, kind)), None)
    if objective is None:
        raise BadInput(f"This model was not trained to fill in masked {what}: fit it with --objective masked.")
    return objective


def _batches(parts: Model, windows: Ragged) -> Iterator[tuple[Tensor, Ragged]]:
    """Some windows at a time, on the model's device, and their numbers."""
    device = next(parts.model.parameters()).device
    for part in torch.arange(len(windows)).split(_ITEMS):
        yield part, windows.take(part).to(device)
