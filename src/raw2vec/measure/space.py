"""The health of a model's space, and what its latent tells of it beside the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from raw2vec.evaluate import SPACE, Encode, Report
from raw2vec.folder import Model
from raw2vec.latents import Gaussian, Quantised
from raw2vec.models import Autoencoder
from raw2vec.use.encode import evaluation
from raw2vec.use.generate import device_of
from raw2vec.use.likelihood import unit_costs


class Beside(TypedDict, total=False):
    """What `health` takes beside the vectors: nats by item and unit, and how many codes are in use of how many."""

    kl: np.ndarray
    codebook: tuple[float, int]


def space(parts: Model, encode: Encode, held: Mapping[str, list[Any]], seed: int = 0) -> Report:
    """The health of the items' vectors, with what the latent tells of them."""
    return SPACE.run(encode, held, seed, **beside(parts, held["input"]))


def beside(parts: Model, items: Sequence[Any]) -> Beside:
    """What a Gaussian latent's units cost for these items, or how much of its codebook a quantised one uses.

    Nothing for other latents, without a way back, and where an item is several windows, whose vectors are means.
    """
    model = parts.model
    if isinstance(model.latent, Quantised):
        return {"codebook": (model.latent.watched()["codes_in_use"].item(), model.latent.codes)}
    if not isinstance(model.latent, Gaussian) or not isinstance(model, Autoencoder):
        return {}
    windows = parts.raw.windows(items).ragged
    if len(windows) != len(items):
        return {}
    with evaluation(model):
        return {"kl": unit_costs(model, windows.to(device_of(model))).cpu().numpy()}
