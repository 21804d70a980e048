"""Static embeddings: a table of vectors whose mean is a text's, sentence-transformers' StaticEmbedding or model2vec's.

model2vec reads a text as sentence-transformers does not: it is cut to so many characters, then to so many tokens, and
of these the unknown ones are left out of the mean (its release 0.10).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from raw2vec.errors import BadFolder
from raw2vec.folder import Model
from raw2vec.interchange.checkpoints.base import CONFIG, read, weights
from raw2vec.interchange.checkpoints.modules import Pipeline
from raw2vec.interchange.checkpoints.texts import TABLE, model_of
from raw2vec.interchange.checkpoints.vocabulary import ENDLESS, text_of, tokenizer, without
from raw2vec.tokens.subwords import unknown_of

MODEL2VEC = "model2vec"
_MOST = 512  # tokens of a text, where model2vec's config.json does not say
_NAME, _ROWS = "embedding.weight", "embeddings"
_KNOWN = {_NAME: (_NAME,), _ROWS: (_ROWS, "weights", "mapping")}


def open_static(made: Pipeline, folder: Path) -> Model:
    """The model in a folder of either; which of them made it, its config.json says."""
    about, found = read(made.home / CONFIG), tokenizer(made.home, made.lower)
    table = _table(made.home)
    made.latent.pop("pooling", None)
    if about.get("model_type") == MODEL2VEC:
        if "normalize" in about:  # which goes before modules.json
            made.latent["normalize"] = "unit" if about["normalize"] else "none"
        settings = _as_model2vec(found, about)
        raw = text_of(found, made.home, len(table), settings["max_tokens"], bag=True, said=settings)
        if (unknown := unknown_of(found)) is not None:  # so that a text of nothing else is a vector of zeros
            table[unknown] = 0
    else:
        raw = text_of(found, made.home, len(table), ENDLESS, bag=True)
    encoder = {"name": "dense", "width": table.shape[1], "layers": 0}
    return model_of(made, folder, raw, encoder, {TABLE: without(table, raw.size)}, {TABLE: _NAME}, "static embedding")


def _table(folder: Path) -> Tensor:
    """A row for every token: of model2vec's tensors the row that stands for it, times its weight."""
    held = weights(folder, whole=(_ROWS, "mapping"))  # rows of bytes as well: their mean is one of numbers
    name = next((name for name in _KNOWN if name in held), None)
    if name is None:
        raise BadFolder(f"{folder} lacks the weight '{_NAME}' or '{_ROWS}' of a static embedding.")
    if strange := next((other for other in held if other not in _KNOWN[name]), None):
        raise BadFolder(f"{folder} holds the weight '{strange}', which a static embedding has no place for.")
    table = held[name].float()
    if table.dim() != 2:
        raise BadFolder(f"The weight '{name}' of {folder} has {table.dim()} dimensions, and is a row for each token.")
    if (mapping := held.get("mapping")) is not None:
        table = table[_rows_of(mapping, len(table), folder)]
    if (factors := held.get("weights")) is not None:
        if factors.shape != (len(table),):
            raise BadFolder(f"The weight 'weights' of {folder} is not one number for each of {len(table):,} tokens.")
        table = table * factors[:, None]
    return table


def _rows_of(mapping: Tensor, rows: int, folder: Path) -> Tensor:
    """Which row stands for each token. BadFolder where that is not one of `rows`."""
    if mapping.dim() != 1 or mapping.is_floating_point() or not len(mapping):
        raise BadFolder(f"The weight 'mapping' of {folder} is not one whole number for each token.")
    found = mapping.long()
    if int(found.min()) < 0 or int(found.max()) >= rows:
        raise BadFolder(f"The weight 'mapping' of {folder} asks for rows that '{_ROWS}' has not: it has {rows:,}.")
    return found


def _as_model2vec(found: Tokenizer, about: Mapping[str, Any]) -> dict[str, Any]:
    """How model2vec reads texts, as settings of a Text."""
    found.no_truncation()  # its own limit goes before that of tokenizer.json
    most = about.get("max_length", _MOST)
    usual = int(statistics.median(map(len, found.get_vocab(with_added_tokens=True))))
    characters = 0 if most is None else most * usual
    return {"max_tokens": most or ENDLESS, "unknown": "drop", "max_characters": characters}
