"""The seconds of a budget that a fit keeps back for judging and saving, so that its minutes are the whole run's."""

from __future__ import annotations

from time import monotonic

import torch

from raw2vec.fitting.judging import LINE, most_lines
from raw2vec.models import AnyModel
from raw2vec.recipe import Recipe
from raw2vec.seeding import permutation
from raw2vec.train.batches import Feed
from raw2vec.train.prepare import SEEN, SHOWN, Data
from raw2vec.use.encode import evaluation

JUDGING, JUDGING_ROW, JUDGING_OUTCOME = 1.0, 3e-4, 2e-5  # seconds in all, a row learnt from, and a class of each
_TIMED = 8  # rows whose reading is timed


def reserve(recipe: Recipe, data: Data, pace: float = 0.0, models: int = 1) -> float:
    """Seconds kept back.

    pace: in which a row is read, see `pace`; models: by how many, where others are judged beside it. Beside labels,
    baselines take a time of their own to learn; of a budget too small for it all they get half. A translator's held-out
    lines have to be written, for which there is a quarter at most; some of them once more, where they choose the
    weights: the last check comes after the last step.
    """
    budget = (recipe.training.minutes or 0) * 60
    usual, held = min(max(0.03 * budget, 0.5), 10.0), int(data.corpus.held.sum())
    shown = min(SHOWN, held)
    if recipe.translates:
        written = shown + min(most_lines(recipe.stages[-1], recipe), held)
        return max(usual, min(JUDGING + written * LINE, budget / 4))
    if data.labels is None or recipe.returns:
        return max(usual, min(models * shown * pace, budget / 2))
    rows = min(SEEN, len(data.corpus) - held)
    outcomes = data.labels.outcomes * (2 if data.labels.task == "labels" else 1)  # several at once: a fit for each
    learning = rows * (JUDGING_ROW + JUDGING_OUTCOME * outcomes)
    return max(usual, min(JUDGING + learning + (rows + shown) * pace, budget / 2))


def pace(model: AnyModel, feed: Feed, seed: int) -> float:
    """Seconds in which the model, at its first weights, reads a row: all sides of it, as judging will."""
    device = next(model.parameters()).device
    chosen = permutation(len(feed.samples), seed, "pace")[:_TIMED]
    sides = [(model.side(role), side.to(device)) for role, side in feed.batch(chosen).sides.items()]
    with evaluation(model):
        for side, items in sides:  # the first call of a kernel takes longer
            side(items.split(1)[0])
        began = monotonic()
        last = [side(items).sum() for side, items in sides]
        torch.stack(last).isfinite().tolist()  # a device is waited for
    return (monotonic() - began) / len(chosen)
