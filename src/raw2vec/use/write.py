"""Texts written by a model: the likeliest token each time, drawn tokens, or many drafts of which the best are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from raw2vec.decoders import Kept
from raw2vec.errors import BadInput
from raw2vec.layers import closed_up
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

_LEAST = 1e-6  # share of a look that a token of the source has at least, so that its logarithm is a number
_PART = 16  # columns of one part, see `highest`
_LOOPS = ((1, 4), (2, 3), (3, 3), (4, 3))  # so many tokens may not stand so many times in a row


BEAM = 5


def beam_for(best: int, temperature: float) -> int:
    """How many drafts are followed where nobody says it: as many as are to be given at least, one of drawn tokens."""
    return 1 if temperature else max(BEAM, best)


@dataclass(frozen=True)
class Manner:
    """How a text is written.

    beam: drafts that are followed at a time; 1: the likeliest token each time. length_penalty: drafts are compared by
    their log-likelihood over their tokens to this power (Wu et al. 2016 in CTranslate2's form); 0: short ones win.
    best: how many drafts are given, at most `beam`. beginning: the id that every text begins with, which is not told;
    none: the model's usual one. temperature: above 0 tokens are drawn, the likelier the lower it
    is, and by `seed`. forbidden: ids that are never written. loops: whether a few tokens may go round in a circle.
    coverage_penalty: what is added to the scores of the drafts that a beam has ended with, times the sum over the
    source's tokens of the logarithm of how much each was looked at, at most once (Wu et al. 2016): what leaves parts of
    the source untold falls behind.
    """

    beam: int = 1
    length_penalty: float = 1.0
    best: int = 1
    temperature: float = 0.0
    seed: int = 0
    beginning: int | None = None
    forbidden: Sequence[int] = ()
    loops: bool = False
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.beam < 1 or self.best < 1:
            raise BadInput(f"A beam follows 1 or more drafts and gives 1 or more: not {self.best} of {self.beam}.")
        if self.best > self.beam:
            raise BadInput(f"A beam of {self.beam} cannot give {self.best} drafts: follow {self.best} or more.")
        if self.temperature < 0 or (self.temperature and self.beam > 1):
            raise BadInput("Tokens are drawn one draft at a time: give a temperature above 0 and a beam of 1.")
        if self.coverage_penalty < 0 or (self.coverage_penalty and self.beam == 1):
            raise BadInput("A coverage penalty, 0 or more, chooses among the drafts of a beam: follow more than one.")


class Author(Protocol):
    """Who tells tokens one after the other from what it has read: a model, or several together."""

    beginning: int
    ending: int

    @property
    def device(self) -> torch.device:
        """Where it works."""

    def begin(self, source: Any) -> Kept:
        """What is kept before the first token."""

    def likely(self, kept: Kept, last: Tensor, place: int) -> tuple[Tensor, Kept]:
        """The log-likelihood of each id after n drafts whose last ones are (n,): (n, V) nats. It may be written to."""

    def looks(self, source: Any, items: Ragged) -> Tensor:
        """How much each token of the items but their first looked at each of the source's, (N, S)."""


class Draft(NamedTuple):
    """A text as ids, without the one that ends it, and the log-likelihood of it and its end by the model, nats.

    covered: what the coverage penalty adds to its score.
    """

    ids: list[int]
    log_prob: float
    covered: float = 0.0

    def score(self, penalty: float) -> float:
        """What drafts of different lengths are compared by; the end counts as a token."""
        return self.log_prob / (len(self.ids) + 1) ** penalty + self.covered


def write(
    model: Author,
    source: Any,
    limits: Tensor,
    manner: Manner,
    prefixes: Sequence[Sequence[int]] | None = None,
    numbers: Tensor | None = None,
) -> list[list[Draft]]:
    """The best drafts of each of B items, best first. Call it in evaluation mode without gradients.

    source: what the author has read of the items. limits (B,): the most tokens of each, its end included. prefixes:
    ids that the texts begin with, fewer of each than its limit, whatever else may be written. numbers (B,): the items'
    own, by which they draw. What an item gets does not depend on its batch.
    """
    starts = [[]] * len(limits) if prefixes is None else [list(prefix) for prefix in prefixes]
    if manner.beam > 1:
        drafts = _Beam(model, manner, limits, starts).run(source)
        if manner.coverage_penalty:
            drafts = _covered(model, source, drafts, manner)
        return [found[: manner.best] for found in drafts]
    return _one_draft(model, source, limits, manner, starts, numbers)


def _covered(model: Author, source: Any, drafts: list[list[Draft]], manner: Manner) -> list[list[Draft]]:
    """Each item's drafts in their new order, with what the coverage penalty makes of them."""
    owners = torch.tensor([item for item, found in enumerate(drafts) for _ in found], device=model.device)
    flat = [draft for found in drafts for draft in found]
    texts = Ragged.of([torch.tensor([model.beginning, *draft.ids, model.ending]) for draft in flat]).to(model.device)
    looks = model.looks(source.take(owners), texts)
    total = Ragged(looks, texts.shapes - 1).sum().float()
    # What is beside a source that is shorter than others of the batch is looked at by none of its tokens.
    there = total > 0
    added = manner.coverage_penalty * (total.clamp(_LEAST, 1).log() * there).sum(1)
    scored = iter([draft._replace(covered=more) for draft, more in zip(flat, added.tolist(), strict=True)])
    penalty = manner.length_penalty
    return [sorted((next(scored) for _ in found), key=lambda draft: -draft.score(penalty)) for found in drafts]


def _one_draft(
    model: Author,
    source: Any,
    limits: Tensor,
    manner: Manner,
    starts: list[list[int]],
    numbers: Tensor | None,
) -> list[list[Draft]]:
    device, count = model.device, len(limits)
    history = torch.full((count, int(limits.max())), model.ending, device=device)
    total = torch.zeros(count, device=device, dtype=torch.float64)
    forced = _forced(starts, device)
    own = torch.arange(count) if numbers is None else numbers
    going = torch.arange(count, device=device)
    kept, last = model.begin(source), torch.full((count,), _beginning(model, manner), device=device)
    for place in range(history.shape[1]):
        likely, kept = model.likely(kept, last, place)
        begun = forced[going, place] if forced is not None and place < forced.shape[1] else None
        likely = _allowed(likely, history[going, :place], manner, begun)
        likely = _only(likely, torch.where(limits.to(device)[going] == place + 1, model.ending, -1))
        if manner.temperature:
            luck = Draws(manner.seed).uniform(f"token {place}", own[going.cpu()]).to(device)
            last = drawn((likely / manner.temperature).softmax(-1), luck)
        else:
            last = highest(likely, 1)[1][:, 0]
        total[going] += likely.gather(1, last[:, None])[:, 0].double()
        history[going, place] = last
        left = closed_up((last != model.ending).nonzero().squeeze(1))
        if not len(left):
            break
        if len(left) < len(last):
            going, last, kept = going[left], last[left], kept.take(left, left)
    texts = history.tolist()
    return [
        [Draft(ids[: ids.index(model.ending)], log_prob)] for ids, log_prob in zip(texts, total.tolist(), strict=True)
    ]


@dataclass
class _Beam:
    """Beam search over B items at once, K drafts of each; an item steps aside when no draft can still win."""

    model: Author
    manner: Manner
    limits: Tensor
    starts: list[list[int]]
    finished: list[list[Draft]] = field(default_factory=list)

    def run(self, source: Any) -> list[list[Draft]]:
        model, device, wide = self.model, self.model.device, self.manner.beam
        count, limits = len(self.limits), self.limits.to(device)
        self.finished = [[] for _ in range(count)]
        forced = _forced(self.starts, device)
        going = torch.arange(count, device=device)
        # Each item has one draft at first, and `wide` from the first token on.
        kept, last = model.begin(source), torch.full((count,), _beginning(model, self.manner), device=device)
        history, scores = last.new_empty(count, 0), torch.zeros(count, 1, device=device, dtype=torch.float64)
        for place in range(int(limits.max())):
            likely, kept = model.likely(kept, last, place)
            begun = forced[going, place] if forced is not None and place < forced.shape[1] else None
            each = scores.shape[1]
            likely = _allowed(likely, history, self.manner, None if begun is None else begun.repeat_interleave(each))
            at_end = torch.where(limits[going] == place + 1, model.ending, -1)
            likely = _only(likely, at_end.repeat_interleave(each))
            best, rows, tokens = _candidates(scores, likely, 2 * wide)
            ended = tokens == model.ending
            self._finish(going, best, rows, ended, history)
            scores, chosen = best.masked_fill(ended, float("-inf")).topk(wide)
            last, rows = tokens.gather(1, chosen), rows.gather(1, chosen)
            left = closed_up(self._open(going, scores, place + 1))
            if not len(left):
                break
            going, scores = going[left], scores[left]
            last, rows = last[left].flatten(), rows[left].flatten()
            history = torch.cat((history[rows], last[:, None]), dim=1)
            kept = kept.take(rows, left if len(left) < len(ended) else None)
        return self.finished

    def _finish(self, going: Tensor, best: Tensor, rows: Tensor, ended: Tensor, history: Tensor) -> None:
        """Takes up the drafts that end among an item's first K, and keeps the best K of all that have ended."""
        wide, penalty = self.manner.beam, self.manner.length_penalty
        ends = (ended[:, :wide] & best[:, :wide].isfinite()).nonzero()
        items, texts = going[ends[:, 0]].tolist(), history[rows[ends[:, 0], ends[:, 1]]].tolist()
        for item, ids, log_prob in zip(items, texts, best[ends[:, 0], ends[:, 1]].tolist(), strict=True):
            drafts = [*self.finished[item], Draft(ids, log_prob)]
            self.finished[item] = sorted(drafts, key=lambda draft: -draft.score(penalty))[:wide]

    def _open(self, going: Tensor, scores: Tensor, tokens: int) -> Tensor:
        """The places of items of which some draft looks as if it could still be among the best, (n,)."""
        penalty, wide = self.manner.length_penalty, self.manner.beam
        leading, left = scores[:, 0].tolist(), []
        for place, (item, lead) in enumerate(zip(going.tolist(), leading, strict=True)):
            drafts = self.finished[item]
            # As if it ended next and for nothing (as in transformers): a longer text might share the cost among more
            # tokens, but to wait for that is to write every text to its limit.
            hope = lead / (tokens + 1) ** penalty
            if lead > float("-inf") and (len(drafts) < wide or drafts[-1].score(penalty) < hope):
                left.append(place)
        return torch.tensor(left, dtype=torch.long, device=scores.device)


def _candidates(scores: Tensor, likely: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best `count` ways to go on for each of B items: their scores, best first, drafts and tokens, (B, count).

    scores (B, K): of the item's drafts; likely (B · K, V). More than `count` of one draft are never among the best.
    """
    told, ids = highest(likely, min(count, likely.shape[1]))
    found = (scores[:, :, None] + told.unflatten(0, scores.shape)).flatten(1)
    best, order = found.topk(min(count, found.shape[1]))
    if missing := count - best.shape[1]:  # of a small vocabulary there are fewer first tokens: the rest is impossible
        best, order = pad(best, (0, missing), value=float("-inf")), pad(order, (0, missing))
    rows = order // told.shape[1] + scores.shape[1] * torch.arange(len(scores), device=scores.device)[:, None]
    return best, rows, ids.view(len(scores), -1).gather(1, order)


def highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest `count` of each row of values (n, V), largest first, and where they are: both (n, count).

    On a CPU the columns are cut into parts first, and only the parts with the largest of all are looked into: a quarter
    of the time of topk, or of argmax, for some thousand columns (torch 2.13).
    """
    parts = values.shape[1] // _PART
    if values.device.type != "cpu" or parts < 2 * count:
        return values.topk(count)
    # Part p holds the columns p, p + parts, p + 2 · parts and so on, which is what vectors add up fastest; the last few
    # columns belong to none and are always looked at.
    tops = values[:, : parts * _PART].unflatten(1, (_PART, parts)).amax(1).topk(count).indices
    within = (tops[:, None] + parts * torch.arange(_PART)[:, None]).flatten(1)
    rest = torch.arange(parts * _PART, values.shape[1]).expand(len(values), -1)
    columns = torch.cat((within, rest), dim=1)
    found, places = values.gather(1, columns).topk(count)
    return found, columns.gather(1, places)


def _beginning(model: Author, manner: Manner) -> int:
    return model.beginning if manner.beginning is None else manner.beginning


def drawn(chances: Tensor, luck: Tensor) -> Tensor:
    """The id, of those with a chance above 0 in (n, V), that each luck (n,) in [0, 1) falls upon: (n,)."""
    ends, ids = chances.cumsum(-1), torch.arange(chances.shape[1], device=chances.device)
    possible = chances > 0
    reached = possible & (ends > luck[:, None] * ends[:, -1:])
    # Rounded, the luck of all but 1 may come to the whole: then it is the last.
    return torch.where(reached, ids, len(ids)).amin(-1).minimum(torch.where(possible, ids, 0).amax(-1))


def _allowed(likely: Tensor, history: Tensor, manner: Manner, begun: Tensor | None) -> Tensor:
    """What is likely (n, V), without the ids that are never written and those that would close a loop once more.

    begun (n,): the id that comes next all the same, for the text is to begin so; -1, or None: any that is allowed.
    """
    alone = None if begun is None else _only(likely, begun)
    if manner.forbidden:
        likely[:, list(manner.forbidden)] = float("-inf")
    for size, times in _LOOPS if not manner.loops else ():
        span = size * (times - 1)
        if history.shape[1] >= span:
            runs = history[:, -span:].unflatten(1, (times - 1, size))
            caught = (runs == runs[:, :1]).flatten(1).all(1).nonzero().squeeze(1)
            likely[caught, runs[caught, 0, 0]] = float("-inf")
    return likely if begun is None or alone is None else torch.where((begun >= 0)[:, None], alone, likely)


def circles(ids: Sequence[int], begun: int = 0) -> list[tuple[int, ...]]:
    """What of a text the guard against loops would not have let be written: runs whose last token closes one.

    begun: how many ids it was to begin with, which the guard lets pass.
    """
    found = []
    for size, times in _LOOPS:
        span = size * (times - 1)
        runs = (tuple(ids[place - span : place + 1]) for place in range(max(span, begun), len(ids)))
        found += [run for run in runs if run == (run[:size] * times)[: span + 1]]
    return found


def _only(likely: Tensor, ids: Tensor) -> Tensor:
    """What is likely (n, V), where each row may be its id (n,) alone; -1: any."""
    rows = (ids >= 0).nonzero().squeeze(1)
    if not len(rows):
        return likely
    alone = torch.full_like(likely[rows], float("-inf")).scatter_(1, ids[rows, None], 0.0)
    return likely.index_put((rows,), likely[rows] + alone)


def _forced(starts: list[list[int]], device: torch.device) -> Tensor | None:
    """Prefixes as (B, longest), -1 where there is none."""
    longest = max(map(len, starts), default=0)
    if not longest:
        return None
    return torch.tensor([[*ids, *[-1] * (longest - len(ids))] for ids in starts], device=device)
