"""Likelihood: what an item costs a generative model in nats, beside a model that takes its elements one by one."""

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, Values, learnt, per_item


class Bounds(NamedTuple):
    """What a model says of n items, each field (n,) in nats: `elements` is how many numbers or tokens an item has.

    `elbo` is the evidence lower bound and `kl` what of it the code costs; `log_likelihood` the tighter bound that
    importance-weighted draws of the code give (Burda et al. 2016). One of elbo and log_likelihood there must be.
    """

    elements: Any
    elbo: Any = None
    kl: Any = None
    log_likelihood: Any = None


class Likelihood(Protocol):
    """The negative log-likelihood of an item, `nats`, and `bits_per_dim`, the same an element in bits.

    It is the importance-weighted bound where the model gives one, else the ELBO; `elbo` and `kl` stand beside it.
    A density of values in [0, 1] that are really one of `levels` is brought to the probability of a level by log2
    `levels` more bits an element, so that a uniform one takes 8 bits at 256 levels (Theis et al. 2016). A model that
    gives probabilities needs no `levels`.

    Baselines must speak of what the model speaks of: densities for a density, probabilities for a probability. They
    learn from `train`, or else from the measured items themselves.
    """

    name = "likelihood"
    roles = ("input",)

    def run(
        self,
        model: Callable[[Sequence[Any]], Bounds],
        columns: Columns,
        seed: int = 0,
        train: Columns | None = None,
        levels: int | None = None,
    ) -> Report:
        started = perf_counter()
        (items,) = self.read(columns)
        if levels is not None and levels < 2:
            raise BadInput(f"levels is {levels}, and a value needs two levels at least to say anything.")
        bounds = _checked(model(items), len(items))
        offset = math.log2(levels) if levels else 0.0
        contestants = {MODEL: _measured(bounds, offset)}
        (known,) = (items,) if train is None else self.read(train)
        baselines, notes = learnt(self.baselines, known, items, 0)
        for name, log_likelihood in baselines.items():
            found = Bounds(bounds.elements, log_likelihood=log_likelihood(items))
            contestants[name] = _measured(_checked(found, len(items)), offset)
        if train is None and baselines:
            notes.append("the baselines learnt from the measured items themselves, the best that they could do")
        if bounds.log_likelihood is None:
            notes.append("nats are minus the ELBO: the model's own are no more than that")
        return self.report(contestants, "nats", started, seed, notes)


def _checked(bounds: Bounds, items: int) -> Bounds:
    if bounds.elbo is None and bounds.log_likelihood is None:
        raise BadInput("The model gave neither an ELBO nor a log-likelihood, so there is nothing to measure.")
    what = {"elements": "element counts", "elbo": "ELBOs", "kl": "KLs", "log_likelihood": "log-likelihoods"}
    given = {name: value for name, value in bounds._asdict().items() if value is not None}
    found = Bounds(**{name: per_item(value, items, what[name]) for name, value in given.items()})
    if not found.elements.sum() > 0:
        raise BadInput(f"The {items} items have no elements, so there is nothing to measure.")
    return found


def _measured(bounds: Bounds, offset: float) -> Measured:
    """`offset` is in bits an element."""
    cost = -(bounds.elbo if bounds.log_likelihood is None else bounds.log_likelihood)

    def of(counts: np.ndarray) -> Values:
        items, total = counts.sum(axis=1), counts @ cost
        found = {"nats": total / items, "bits_per_dim": total / (counts @ bounds.elements) / math.log(2) + offset}
        beside = {"elbo": bounds.elbo, "kl": bounds.kl}
        return found | {name: counts @ value / items for name, value in beside.items() if value is not None}

    return Measured(len(cost), of)
