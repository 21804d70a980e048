"""Texts written by CTranslate2 as our own writers write them: drafts of the same limits and scores, and no circles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raw2vec.errors import BadInput
from raw2vec.interchange.ctranslate2 import Exported
from raw2vec.ragged import Ragged
from raw2vec.use.write import Draft, Manner, circles

Found = list[tuple[list[int], float]]
Runs = frozenset[tuple[int, ...]]


def drafted(
    exported: Exported,
    windows: Ragged,
    limits: Tensor,
    manner: Manner,
    starts: Sequence[Sequence[int]] | None,
    batch_tokens: int,
) -> list[list[Draft]]:
    """The best drafts of each of W windows, best first, as `use.write.write` gives them.

    It cannot look out for circles on the way. A window whose drafts have gone round in one is written once more, with
    that one forbidden to it, until none is left. Its beam stops at the first K drafts that end, where ours goes on as
    long as another looks better. BadInput for a temperature and for a coverage penalty.
    """
    if manner.coverage_penalty:
        raise BadInput("CTranslate2's scores are made otherwise: ask for a coverage penalty with the engine torch.")
    if manner.temperature:
        raise BadInput("CTranslate2 draws tokens by no seed: translate at temperature 0, or with the engine torch.")
    found: list[Found] = [[] for _ in range(len(windows))]
    begun = [[]] * len(windows) if starts is None else starts
    # Windows by what is forbidden to them: a circle of one is nothing to the others.
    going: dict[Runs, list[int]] = {frozenset((i,) for i in manner.forbidden): list(range(len(windows)))}
    while going:
        closed: dict[Runs, list[int]] = {}
        for never, places in going.items():
            made = exported.runner.write(
                windows.take(torch.tensor(places)),
                exported.raw.max_tokens,
                starts=None if starts is None else [starts[place] for place in places],
                never=sorted(never),
                batch_tokens=batch_tokens,
                beam_size=manner.beam,
                num_hypotheses=manner.best,
                length_penalty=manner.length_penalty,
            )
            for place, drafts in zip(places, made, strict=True):
                found[place] = drafts
                runs = set() if manner.loops else _circles(drafts, int(limits[place]), len(begun[place])) - never
                if runs:
                    closed.setdefault(never | runs, []).append(place)
        going = closed
    ends = exported.raw.end
    return [
        [_draft(ids, score, int(limit), ends, manner) for ids, score in drafts]
        for limit, drafts in zip(limits, found, strict=True)
    ]


def _circles(drafts: Found, limit: int, begun: int) -> set[tuple[int, ...]]:
    return {run for ids, _ in drafts for run in circles(ids[:limit], begun)}


def _draft(ids: list[int], score: float, limit: int, end: int, manner: Manner) -> Draft:
    """Without its end. One that never came to it is cut where ours would have been made to end."""
    return Draft([i for i in ids if i != end][: limit - 1], score * len(ids) ** manner.length_penalty)
