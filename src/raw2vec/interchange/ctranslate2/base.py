"""CTranslate2 at work on a folder that it opens: ids in, ids and log-likelihoods out. Here alone it is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raw2vec.errors import MissingExtra
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.tokens.subwords import SPECIAL


def library() -> Any:
    """The package ctranslate2; MissingExtra where it is not installed."""
    try:
        import ctranslate2
        import ctranslate2.specs
    except ImportError as error:
        raise MissingExtra("ctranslate2", "ctranslate2", "CTranslate2's format") from error
    return ctranslate2


def source_ids(raw: Text) -> list[int]:
    """The ids that sources are read as, in the order that they have in tokenizer.json."""
    if not raw.separate:
        return list(range(raw.size))
    return [*range(len(SPECIAL)), *range(raw.form.written, raw.size)]


class Runner:
    """A translator of CTranslate2, which takes and gives tokens as words, by `workers` of one thread each.

    On small models several of them are faster than one of several threads, which wait for each other at every layer.
    """

    def __init__(self, folder: Path, raw: Text, workers: int = 1):
        self.words = raw.pieces
        self.ids = {word: place for place, word in enumerate(self.words[: raw.form.written])}
        threads = torch.get_num_threads()
        self.translator = library().Translator(str(folder), device="cpu", inter_threads=workers, intra_threads=1)
        torch.set_num_threads(threads)  # it sets those of OpenMP, which are torch's as well

    def write(
        self,
        windows: Ragged,
        limit: int,
        *,
        starts: Sequence[Sequence[int]] | None = None,
        never: Sequence[Sequence[int]] = (),
        batch_tokens: int = 0,
        **options: Any,
    ) -> list[list[tuple[list[int], float]]]:
        """Each window's drafts, best first: as ids, the end included where it came, with the score of each.

        limit: the most tokens of a draft. starts: ids that each begins with; never: runs of ids that none holds.
        batch_tokens: source tokens that a worker takes at a time; 0: all. options: those of `translate_batch`.
        """
        made = self.translator.translate_batch(
            self._sources(windows),
            None if starts is None else [self._words(ids) for ids in starts],
            suppress_sequences=[self._words(ids) for ids in never] or None,
            max_batch_size=batch_tokens,
            batch_type="tokens",
            return_end_token=True,  # counted in the length that a score is divided by, as we do
            return_scores=True,
            max_input_length=0,
            min_decoding_length=0,  # else the end could not come first
            max_decoding_length=limit,
            **options,
        )
        texts = [[[self.ids[word] for word in words] for words in each.hypotheses] for each in made]
        return [list(zip(ids, each.scores, strict=True)) for ids, each in zip(texts, made, strict=True)]

    def log_prob(self, windows: Ragged, texts: Sequence[Sequence[int]]) -> Tensor:
        """The log-likelihood of each token of texts, which are ids without beginning and end, and of their ends: (N,).

        Nats; text after text.
        """
        targets = [self._words(ids) for ids in texts]
        scored = self.translator.score_batch(self._sources(windows), targets, max_input_length=0)
        return torch.tensor([log_prob for each in scored for log_prob in each.log_probs])

    def _sources(self, windows: Ragged) -> list[list[str]]:
        return [self._words(ids.tolist()) for ids in windows.items()]

    def _words(self, ids: Sequence[int]) -> list[str]:
        return [self.words[i] for i in ids]
