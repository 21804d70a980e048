"""What another library makes of a folder, beside what the model makes of the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raw2vec.errors import MissingExtra, Raw2VecError
from raw2vec.folder import Model
from raw2vec.models import Embedder
from raw2vec.ragged import Ragged
from raw2vec.readout import Words

_PROBES = ["a", "Two words.", "A longer text, with a comma: 12.5 and more.", "déjà vu, 数据", "word " * 40]


@dataclass(frozen=True)
class Agreement:
    """How near a library's numbers are to the model's own, of some texts.

    family: the model's class there. difference: the most that a number of a vector is off, in lengths of the largest;
    logits: the same of the words that masked places are told as, where that head went along. note: what did not.
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


@torch.inference_mode()
def as_transformers(folder: Path, parts: Model, model: Embedder, head: Words | None) -> Agreement:
    """AutoModel and AutoTokenizer on the folder: their states through our latent, beside our own vectors."""
    texts = _texts(parts)
    with _quiet() as transformers:
        options: dict[str, Any] = {"local_files_only": True, "dtype": torch.float32}
        theirs, told = transformers.AutoModel.from_pretrained(folder, output_loading_info=True, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        fills = transformers.AutoModelForMaskedLM.from_pretrained(folder, **options).eval() if head else None
    if missing := [name for name in told["missing_keys"] if "pooler" not in name]:
        raise Raw2VecError(f"{type(theirs).__name__} lacks '{missing[0]}' in what was written, so nothing is kept.")
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    ids, inside = _read(parts, texts), batch["attention_mask"].bool()
    if [item.tolist() for item in ids.items()] != [
        row[own].tolist() for row, own in zip(batch["input_ids"], inside, strict=True)
    ]:
        raise Raw2VecError("AutoTokenizer does not read texts as the model's own tokenizer does, so nothing is kept.")
    given = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    states = theirs.eval()(**given).last_hidden_state[inside]
    own = model.contextual(ids)
    difference = _off(model.latent(own.replace(states)), model.latent(own))
    logits = _off(fills(**given).logits[inside], head.logits(own.values, model.table)) if head and fills else None
    return Agreement(type(theirs).__name__, len(texts), float(np.max([difference, _off(states, own.values)])), logits)


def as_sentence_transformers(folder: Path, parts: Model, model: Embedder) -> Agreement:
    """SentenceTransformer on the folder, beside our own vectors."""
    texts = _texts(parts)
    made = library("sentence-transformers")
    with _quiet():
        theirs = made.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        found = theirs.encode(texts, prompt="", show_progress_bar=False)
    with torch.inference_mode():
        own = model(_read(parts, texts))
    return Agreement("SentenceTransformer", len(texts), _off(torch.from_numpy(np.asarray(found)), own))


def _texts(parts: Model) -> list[str]:
    """The golden texts and some more, none of them without a token."""
    golden = list(parts.golden[0]) if parts.golden else []
    texts = [*golden, *_PROBES]
    bare = parts.raw.settings["boundaries"] == "none"
    lengths = parts.raw.windows(texts).tokens.tolist() if bare else [1] * len(texts)
    return [text for text, length in zip(texts, lengths, strict=True) if length]


def _read(parts: Model, texts: list[str]) -> Ragged:
    """The first window of each text: what truncation leaves of it."""
    windows = parts.raw.windows(texts)
    first = [windows.owners.tolist().index(place) for place in range(len(texts))]
    return windows.ragged.take(torch.tensor(first))


def _off(theirs: Tensor, ours: Tensor) -> float:
    return float((theirs - ours).abs().max() / ours.abs().max().clamp(min=1.0))


@contextmanager
def _quiet() -> Iterator[Any]:
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
