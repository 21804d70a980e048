"""Good recipes for texts and pairs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raw2vec.presets.base import sized
from raw2vec.recipe import RETURNING

_CODE = 256  # numbers in the vector of a text that is to be had back, where nobody says
_TAUGHT = {"distillation": 256}  # and of one that is learned from a teacher's, which is rarely shorter
_WORDS = {"tiny": 2000, "small": 4000, "base": 8000}  # subwords of both languages of a translator
_DEEP = {"tiny": 2, "small": 3, "base": 6}  # layers to either side of a translator that is a transformer
_CELL = {"recurrent": {"cell": "gru"}}  # an LSTM learns half as fast here (docs/log.md)


def tree(
    kind: str,
    columns: Mapping[str, str],
    objective: str | None,
    encoder: dict[str, Any] | None,
    decoder: str | None,
    latent: int | None,
    size: str,
    views: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The recipe but for its budget. Without an objective: `supervised` where there are labels, else `contrastive`.

    Without an encoder: a bag of subwords that weighs tokens and places, which nothing beats in minutes on a CPU
    (docs/log.md); for masked prediction a transformer. `views` are further pairs of columns to learn from.
    """
    objective = objective or ("supervised" if "label" in columns else "contrastive")
    if objective == "translation":
        return _translator(encoder, decoder, latent, size)
    if objective in RETURNING:
        return _there_and_back(kind, objective, encoder, decoder, latent, size)
    part = sized(encoder or _encoder(objective), size)
    bag = part.get("name") == "dense"
    drop = {"dropout": 0.3} if bag and objective == "supervised" else {}
    return {
        "kind": kind,
        "raw": {"case": "lower", "words": "identifiers", "boundaries": "none" if bag else "cls-sep"},
        "embedding": {"weights": "learned", **drop} if bag else {},
        "encoder": {**drop, **part},
        # A head on vectors of length one is never sure of anything (docs/log.md).
        "latent": {
            "name": "point",
            "width": latent or _TAUGHT.get(objective, 0),
            "normalize": "none" if objective == "supervised" else "unit",
        },
        "stages": _stages(objective, bag, views),
        "training": _training(bag, objective),
    }


def _there_and_back(
    kind: str,
    objective: str,
    encoder: dict[str, Any] | None,
    decoder: str | None,
    latent: int | None,
    size: str,
) -> dict[str, Any]:
    """A sentence to one vector and back to the very same sentence: subwords of bytes, of which none is ever lost."""
    made: dict[str, Any] = {
        "kind": kind,
        "raw": {"tokenizer": "bpe", "vocabulary": 4000, "max_tokens": 64},
        "embedding": {"width": 256},
        "encoder": sized(encoder or {"name": "recurrent", "cell": "gru"}, size),
        "latent": {"name": "gaussian" if objective == "variational" else "point", "width": latent or _CODE},
        "decoder": sized({"name": decoder or "recurrent", **_CELL.get(decoder or "recurrent", {})}, size),
        "stages": [{"objectives": [{"name": objective}], "batch_tokens": 512}],
        "training": {"learning_rate": 3e-3, "warmup": 0.02, "decay": "cosine", "checks": 20},
    }
    return made


def _translator(encoder: dict[str, Any] | None, decoder: str | None, latent: int | None, size: str) -> dict[str, Any]:
    """A text to another, of both languages' common subwords: a transformer that looks at every state of the source."""
    reads = encoder or {"name": "transformer"}
    writes = decoder or (reads["name"] if reads["name"] != "dense" else "recurrent")
    writer = _spoken({"name": writes, "words": "tied"}, size)
    made: dict[str, Any] = {
        "kind": "pairs",
        "raw": {
            "tokenizer": "bpe",
            "vocabulary": _WORDS[size],
            "max_tokens": 128,
            "long": "chunk",
            "unknown": "copy",
        },
        "embedding": {"width": writer["width"]},
        "encoder": _spoken(reads, size),
        "latent": {"name": "point", "width": latent or 2 * writer["width"], "pooling": "mean"},
        "decoder": writer,
        "stages": [{"objectives": [{"name": "translation"}], "batch_tokens": 2048}],
        "training": {
            "optimizer": "muon",  # learns twice as much a step as AdamW here (docs/log.md)
            "learning_rate": 4e-3,
            "warmup": 0.05,
            "decay": "cosine",
            "average": 0.99,
            "checks": 20,
        },
    }
    return made


def _spoken(part: dict[str, Any], size: str) -> dict[str, Any]:
    """A translator's encoder or decoder, what was left open filled in."""
    # CTranslate2 runs these too: it knows no rotary positions in a translator, and every block there has its norms.
    usual = {"positions": "sinusoidal", "norm_order": "pre-each", "layers": _DEEP[size]}
    return {"dropout": 0.1, **sized({**(usual if part["name"] == "transformer" else {}), **part}, size)}


def _encoder(objective: str) -> dict[str, Any]:
    return {"name": "transformer"} if objective == "masked" else {"name": "dense", "positions": "learned"}


def _stages(objective: str, bag: bool, views: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    masked = {"objectives": [{"name": "masked"}], "batch_tokens": 4096}
    if objective == "masked":
        return [masked]
    if objective == "supervised":
        return [{"objectives": [{"name": "supervised", "drop": 0.2 if bag else 0.0}], "batch_tokens": 4096}]
    if objective == "distillation":
        size = {"batch_items": 1024} if bag else {"batch_tokens": 2048}
        return [{"objectives": [{"name": objective}], **size}]
    if objective != "contrastive":  # where texts have none of this name, build.py says so
        return [{"objectives": [{"name": objective}], "batch_tokens": 4096}]
    if bag:
        return [{"objectives": [{"name": "contrastive", "drop": 0.2}], "batch_items": 1024, "views": views}]
    contrastive = {"objectives": [{"name": "contrastive"}], "batch_items": 256, "views": views}
    return [{**masked, "share": 0.5}, contrastive]


def _training(bag: bool, objective: str) -> dict[str, Any]:
    if not bag:
        return {"learning_rate": 1e-3}
    optimizer = {"name": "adamw", "weight_decay": 0.0}
    if objective == "distillation":  # there is a whole vector to learn from each text
        return {"learning_rate": 5e-3, "optimizer": optimizer, "precision": "float32"}
    # A bag knows labelled texts by heart within seconds: what is dropped, and steps that are smaller where there are
    # more of them, hold it back (docs/log.md).
    rates = {"learning_rate": 3e-3, "warmup": 0.15, "full_steps": 300 if objective == "supervised" else 100}
    return {"start": "lsa", **rates, "optimizer": optimizer, "precision": "float32"}
