"""Which of transformers' encoders of texts the settings of our Transformer are; or what keeps it from the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.interchange.hugging_face.base import ACTIVATIONS
from raw2vec.layers import GATES

_SHARED: dict[str, Any] = {"normalization": "layer", "causal": False, "class_tokens": 0}
_WANTED: dict[str, dict[str, Any]] = {
    "bert": {"norm_order": "post", "positions": "learned", "biases": "usual", "window": 0},
    "mpnet": {"norm_order": "post", "positions": "learned-relative", "biases": "usual", "window": 0},
    "nomic_bert": {"norm_order": "post", "positions": "rotary", "biases": "norms", "window": 0},
    "modernbert": {"norm_order": "pre", "positions": "rotary", "biases": "usual"},
}
"""Settings by family, that nearest to most of them first."""
_GATED = ("nomic_bert", "modernbert")
_NAMES = {"bert": "BERT", "mpnet": "MPNet", "nomic_bert": "NomicBERT", "modernbert": "ModernBERT"}
_USUAL = {"causal": False, "class_tokens": 0, "biases": "usual"}


def family(settings: Mapping[str, Any]) -> str:
    """Which of theirs a Transformer with these settings is. BadInput names the nearest, and what it has otherwise."""
    missed = {kind: _misfits(kind, settings) for kind in _WANTED}
    kind = min(missed, key=lambda each: len(missed[each]))
    if not missed[kind]:
        return kind
    told = " and ".join(f"encoder.{name} {wanted}, not {has}" for name, (has, wanted) in missed[kind].items())
    raise BadInput(
        f"A transformer with these settings is none of transformers' models; the nearest, {_NAMES[kind]}, has {told}."
    )


def _misfits(kind: str, settings: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The settings that a family has otherwise: as they are, and as they would have to be."""
    held = {**_USUAL, **settings}
    wanted = {**_WANTED[kind], **_SHARED}
    found = {name: (_said(held[name]), _said(value)) for name, value in wanted.items() if held[name] != value}
    own = settings["activation"]
    if (own in GATES) != (kind in _GATED):
        found["activation"] = (own, "geglu or another gate" if kind in _GATED else "gelu or another plain one")
    elif GATES.get(own, own) not in ACTIVATIONS:
        found["activation"] = (own, "gelu or another that transformers knows")
    return found


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
