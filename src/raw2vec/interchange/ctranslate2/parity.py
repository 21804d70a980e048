"""An export beside its model: the same tokens at the same log-likelihoods, or it is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path

import torch
from torch import Tensor

from raw2vec.errors import Raw2VecError
from raw2vec.folder import Model
from raw2vec.interchange.ctranslate2.base import Runner, source_ids
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.tokens.subwords import SPECIAL

TOLERANCE = 1e-3  # nats that a token's log-likelihood may be off
ROUNDED = 0.5  # and that tokens' may be on average where weights are rounded to int8
_STRIDE = 7919  # a prime: places that jump about the vocabulary, and none twice


@dataclass(frozen=True)
class Parity:
    """How near an export is to its model on a few texts, and on windows of tokens from all over the vocabulary.

    difference: the largest between the two log-likelihoods of a token, nats, over all `tokens`; mean: the mean one.
    agreement: the share of the tokens written greedily that the model finds the likeliest as well, ties aside.
    """

    tokens: int
    difference: float
    mean: float
    agreement: float


def alike(parts: Model, folder: Path, rounded: bool) -> Parity:
    """How near the folder's files are; Raw2VecError where that is not near enough. rounded: their weights are."""
    assert isinstance(parts.raw, Text)
    found = _parity(parts, parts.raw, Runner(folder, parts.raw))
    if rounded and found.mean <= ROUNDED:
        return found
    if not rounded and found.difference <= TOLERANCE and found.agreement == 1:
        return found
    raise Raw2VecError(
        f"CTranslate2 does not write as this model does, so nothing was written: its tokens' log-likelihoods are "
        f"{found.mean:.2g} nats off on average and {found.difference:.2g} at most, and of the tokens that it chooses "
        f"{found.agreement:.1%} are the model's own."
    )


def _parity(parts: Model, raw: Text, runner: Runner) -> Parity:
    model, golden = parts.model, parts.golden[0] if parts.golden else []
    assert isinstance(model, SequenceToSequence)
    sources = _probes(raw, golden, source_ids(raw)[len(SPECIAL) :])
    before = [raw.start] * (raw.boundaries == "cls-sep")
    windows = Ragged.of([torch.tensor([*before, *ids, raw.end]) for ids in sources])
    chosen = [drafts[0][0] for drafts in runner.write(windows, raw.max_tokens - 1, beam_size=1)]
    written = [ids[:-1] if ids[-1:] == [model.ending] else ids for ids in chosen]
    off, behind = _beside(model, runner, windows, written)
    # After a draft that was as long as may be the end is not its choice.
    own = torch.cat([torch.arange(len(text) + 1) < len(ids) for text, ids in zip(written, chosen, strict=True)])
    texts = _probes(raw.target or raw, golden, range(len(SPECIAL), raw.form.written))
    again, _ = _beside(model, runner, windows, list(islice(cycle(texts), len(windows))))
    off = torch.cat((off, again))
    agreement = float((behind[own] <= TOLERANCE).float().mean())
    return Parity(len(off), float(off.max()), float(off.mean()), agreement)


def _beside(
    model: SequenceToSequence, runner: Runner, windows: Ragged, texts: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """For each token of texts and for their ends, (N,): how far off it is, and how far from the model's likeliest."""
    device = next(model.parameters()).device
    whole = Ragged.of([torch.tensor([model.beginning, *ids, model.ending], device=device) for ids in texts])
    states, told = model.written(model.read(windows.to(device)), whole)
    likely = model.readout.logits(states.values).float().log_softmax(-1)
    ours = likely.gather(1, told.values[:, None]).squeeze(1)
    return (ours.cpu() - runner.log_prob(windows, texts)).abs(), (likely.amax(-1) - ours).cpu()


def _probes(raw: Text, texts: Sequence[str], ids: Sequence[int]) -> list[list[int]]:
    """No token, one, some and as many as there may be, out of the whole of `ids`; and those of the texts."""
    places, room = count(), raw.max_tokens - 2
    drawn = [[ids[_STRIDE * next(places) % len(ids)] for _ in range(tokens)] for tokens in (0, 1, room // 3, room)]
    before = int(raw.boundaries == "cls-sep")
    return [*drawn, *(item.tolist()[before:-1] for item in raw.windows(texts).ragged.items())]
