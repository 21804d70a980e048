"""What another library makes of a folder of texts' encoder, beside what the model makes of the same texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from raw2vec.errors import Raw2VecError
from raw2vec.folder import Model
from raw2vec.interchange.outward.base import PROBES, Agreement, first_windows, library, off, quiet, worst
from raw2vec.models import Embedder
from raw2vec.readout import Words


@torch.inference_mode()
def as_transformers(folder: Path, parts: Model, model: Embedder, head: Words | None) -> Agreement:
    """AutoModel and AutoTokenizer on the folder: their states through our latent, beside our own vectors."""
    texts = _texts(parts)
    with quiet() as transformers:
        options: dict[str, Any] = {"local_files_only": True, "dtype": torch.float32}
        theirs, told = transformers.AutoModel.from_pretrained(folder, output_loading_info=True, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        fills = transformers.AutoModelForMaskedLM.from_pretrained(folder, **options).eval() if head else None
    if missing := [name for name in told["missing_keys"] if "pooler" not in name]:
        raise Raw2VecError(f"{type(theirs).__name__} lacks '{missing[0]}' in what was written, so nothing is kept.")
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    ids, inside = first_windows(parts.raw, texts), batch["attention_mask"].bool()
    if [item.tolist() for item in ids.items()] != [
        row[own].tolist() for row, own in zip(batch["input_ids"], inside, strict=True)
    ]:
        raise Raw2VecError("AutoTokenizer does not read texts as the model's own tokenizer does, so nothing is kept.")
    given = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    states = theirs.eval()(**given).last_hidden_state[inside]
    own = model.contextual(ids)
    difference = off(model.latent(own.replace(states)), model.latent(own))
    logits = off(fills(**given).logits[inside], head.logits(own.values, model.table)) if head and fills else None
    return Agreement(type(theirs).__name__, len(texts), worst(difference, off(states, own.values)), logits)


def as_sentence_transformers(folder: Path, parts: Model, model: Embedder) -> Agreement:
    """SentenceTransformer on the folder, beside our own vectors."""
    texts = _texts(parts)
    made = library("sentence-transformers")
    with quiet():
        theirs = made.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        found = theirs.encode(texts, prompt="", show_progress_bar=False)
    with torch.inference_mode():
        own = model(first_windows(parts.raw, texts))
    return Agreement("SentenceTransformer", len(texts), off(torch.from_numpy(np.asarray(found)), own))


def _texts(parts: Model) -> list[str]:
    """The golden texts and some more, none of them without a token."""
    golden = list(parts.golden[0]) if parts.golden else []
    texts = [*golden, *PROBES]
    bare = parts.raw.settings["boundaries"] == "none"
    lengths = parts.raw.windows(texts).tokens.tolist() if bare else [1] * len(texts)
    return [text for text, length in zip(texts, lengths, strict=True) if length]
