"""How near another library comes to a model, and that library, without its noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from raw2vec.errors import MissingExtra
from raw2vec.ragged import Ragged
from raw2vec.raw import Raw

PROBES = ["a", "Two words.", "A longer text, with a comma: 12.5 and more.", "déjà vu, 数据", "word " * 40]
"""Texts that are tried beside the model's golden ones."""


@dataclass(frozen=True)
class Agreement:
    """How near a library's numbers are to the model's own, of some texts.

    family: the model's class there. difference: the most that a number of a vector is off, in lengths of the largest;
    logits: the same of what its head tells, where that went along: words in masked places, classes, how well pictures
    and words belong together. note: what did not.
    """

    family: str
    items: int
    difference: float
    logits: float | None = None
    note: str | None = None

    def noted(self, note: str | None) -> Agreement:
        return replace(self, note=note)


def library(name: str) -> Any:
    """transformers or sentence-transformers; MissingExtra where it is not installed."""
    try:
        return import_module(name.replace("-", "_"))
    except ImportError as error:
        raise MissingExtra(
            name, "peers", f"a folder for {name}, which is tried there before it is called good"
        ) from error


def off(theirs: Tensor, ours: Tensor) -> float:
    """The most that a number is off, in lengths of the largest of ours, or of 1."""
    return float((theirs - ours).abs().max() / ours.abs().max().clamp(min=1.0))


def worst(*differences: float | None) -> float:
    """The largest of those there are; NaN where one is, which Python's own max may pass over."""
    known = [difference for difference in differences if difference is not None]
    return float(torch.tensor(known, dtype=torch.float64).max())


@contextmanager
def quiet() -> Iterator[Any]:
    """transformers without its bars and warnings: of weights that the folder rightly has not, such as a pooler."""
    transformers = library("transformers")
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_windows(raw: Raw, texts: list[str]) -> Ragged:
    """The first window of each text: what truncation leaves of it."""
    windows = raw.windows(texts)
    first = [windows.owners.tolist().index(place) for place in range(len(texts))]
    return windows.ragged.take(torch.tensor(first))
