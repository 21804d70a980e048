"""Hidden tokens told from their neighbours, for measuring how well masked prediction was learned."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.objectives import Masked
from raw2vec.seeding import Draws

Filled = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]


def fill(parts: Model, texts: Sequence[str], seed: int = 0) -> Filled:
    """Each masked token's text, its id, whether it was guessed, and its cost in nats: four arrays (M,)."""
    objective = next((o for o in parts.objectives.values() if isinstance(o, Masked)), None)
    if objective is None:
        raise BadInput("This model was not trained to fill in masked tokens: fit it with --objective masked.")
    device = next(parts.model.parameters()).device
    windows = parts.raw.windows(texts)
    found: list[list[NDArray[np.generic]]] = [[], [], [], []]
    with torch.inference_mode():
        for part in torch.arange(len(windows.owners)).split(64):
            ids = windows.ragged.take(part).to(device)
            hidden = objective.hide(parts.model, ids, part.to(device), Draws(seed))
            table = parts.model.table
            nats = -objective.readout.log_prob(hidden.states, hidden.ids, table)
            right = objective.readout.mode(hidden.states, table) == hidden.ids
            owners = windows.owners[part][hidden.owners.cpu()]
            for column, values in zip(found, (owners, hidden.ids, right, nats.double()), strict=True):
                column.append(values.cpu().numpy())
    items, tokens, correct, costs = (np.concatenate(column) for column in found)
    return items, tokens, correct, costs
