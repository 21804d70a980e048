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
    that one forbidden, until none is left. Its beam stops at the first K drafts that end, where ours goes on as long as
    another looks better. BadInput for a temperature and for a coverage penalty.
    """
    if manner.coverage_penalty:
        raise BadInput("CTranslate2's scores are made otherwise: ask for a coverage penalty with the engine torch.")
    if manner.temperature:
        raise BadInput("CTranslate2 draws tokens by no seed: translate at temperature 0, or with the engine torch.")
    found: list[Found] = [[] for _ in range(len(windows))]
    never: set[tuple[int, ...]] = {(i,) for i in manner.forbidden}
    going = list(range(len(windows)))
    while going:
        made = exported.runner.write(
            windows.take(torch.tensor(going)),
            exported.raw.max_tokens,
            starts=None if starts is None else [starts[place] for place in going],
            never=sorted(never),
            batch_tokens=batch_tokens,
            beam_size=manner.beam,
            num_hypotheses=manner.best,
            length_penalty=manner.length_penalty,
        )
        found = _with(found, going, made)
        closed = {} if manner.loops else {place: _circles(found[place], int(limits[place])) - never for place in going}
        going = [place for place, runs in closed.items() if runs]
        never = never.union(*closed.values())
    ends = exported.raw.end
    return [
        [_draft(ids, score, int(limit), ends, manner) for ids, score in drafts]
        for limit, drafts in zip(limits, found, strict=True)
    ]


def _with(found: list[Found], places: Sequence[int], made: Sequence[Found]) -> list[Found]:
    newer = dict(zip(places, made, strict=True))
    return [newer.get(place, drafts) for place, drafts in enumerate(found)]


def _circles(drafts: Found, limit: int) -> set[tuple[int, ...]]:
    return {run for ids, _ in drafts for run in circles(ids[:limit])}


def _draft(ids: list[int], score: float, limit: int, end: int, manner: Manner) -> Draft:
    """Without its end. One that never came to it is cut where ours would have been made to end."""
    return Draft([i for i in ids if i != end][: limit - 1], score * len(ids) ** manner.length_penalty)
