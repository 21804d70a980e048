"""What a check finds of the weights of a running fit: the loss of held-out items, and how well it translates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from raw2vec.batch import Batch
from raw2vec.evaluate import translation
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Raw, Text
from raw2vec.recipe import Recipe, Stage
from raw2vec.seeding import Draws, key, permutation
from raw2vec.train.base import Losses, Verdict
from raw2vec.train.batches import Feed
from raw2vec.use.translate import greedily

LINE = 0.012  # seconds for a line to be translated
LINES, TOKENS = 256, 16_384  # lines that a check translates, and tokens of both sides in all of them
CHECKS = 0.25  # of a stage's minutes may go to translating at its checks


@dataclass(frozen=True)
class Judge:
    """The mean of the stage's losses over these batches, and the score of these lines if any; the same every time."""

    model: nn.Module
    losses: Sequence[tuple[Losses, float]]
    batches: Sequence[Batch]
    seed: int
    precision: torch.dtype
    lines: Lines | None

    def __call__(self) -> Verdict:
        return Verdict(self._loss(), {} if self.lines is None else self.lines.scores(self.model))

    def _loss(self) -> float:
        draws = Draws(key(self.seed, "judge"))
        device = next(self.model.parameters()).device
        total = 0.0
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16):
            for batch in self.batches:
                for loss, weight in self.losses:
                    *_, last = loss(batch.to(device), draws).values()
                    total += weight * len(batch) * last.item()
        return total / sum(len(batch) for batch in self.batches)


@dataclass(frozen=True)
class Lines:
    """Held-out lines as tokens, a person's translation of each as the model could write it, and the score by name."""

    raw: Text
    sources: Ragged
    references: list[str]
    score: str

    def scores(self, model: nn.Module) -> dict[str, float]:
        """The score of what the model writes greedily, 0 to 100."""
        assert isinstance(model, SequenceToSequence), "it translates"
        written = greedily(model, self.raw, self.sources)
        return {self.score: translation.score(self.score, written, self.references)}


def lines(stage: Stage, recipe: Recipe, feed: Feed, raw: Raw) -> Lines | None:
    """What a stage's weights are judged by beside the loss; None where the loss is all. `feed` is of held-out lines."""
    most = most_lines(stage, recipe)
    if not most:
        return None
    assert isinstance(raw, Text), "it translates"
    samples = permutation(len(feed.samples), recipe.seed, "lines to judge by")[:most]
    within = feed.lengths()[samples].cumsum() <= TOKENS
    within[0] = True
    sides = feed.batch(samples[within]).sides
    return Lines(raw, sides["input"], raw.restore(sides["target"]), recipe.training.judged_by)


def most_lines(stage: Stage, recipe: Recipe) -> int:
    """How many lines a check of this stage translates at most; 0: its weights are judged by the loss alone."""
    training = recipe.training
    if training.judged_by == "loss" or all(part.name != "translation" for part in stage.objectives):
        return 0
    if training.minutes is None:
        return LINES
    seconds = 60 * training.minutes * stage.share / sum(each.share for each in recipe.stages)
    return min(max(int(CHECKS * seconds / training.checks / LINE), 1), LINES)
