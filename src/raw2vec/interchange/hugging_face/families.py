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
_SEES: dict[str, Any] = {
    "encoder.name": "transformer",
    "encoder.positions": "learned",
    "encoder.normalization": "layer",
    "encoder.biases": "all",
    "encoder.window": 0,
    "encoder.causal": False,
    "embedding.missing": "none",
    "embedding.activation": "identity",
}
_UNIT = {"latent.name": "point", "latent.activation": "identity", "latent.normalize": "unit"}
_READS = {
    **{name: value for name, value in _SEES.items() if name.startswith("encoder.")},
    **_UNIT,
    "encoder.norm_order": "pre-only",
    "encoder.class_tokens": 0,
    "latent.pooling": "last",
}
_CLASS_TOKEN = {"encoder.norm_order": "pre-each", "encoder.class_tokens": 1, "latent.pooling": "first"}
_PROBE = {"encoder.norm_order": "pre-only", "encoder.class_tokens": 0, "latent.pooling": "probe", "latent.width": 0}
_PROBE |= {"encoder.activation": "gelu_tanh", "encoder.epsilon": 1e-6}
VIT = {**_SEES, "encoder.norm_order": "pre-only", "encoder.class_tokens": 1}
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clip": ({**_SEES, **_UNIT, **_CLASS_TOKEN}, {**_READS, "encoder.causal": True, "embedding.filled": 0}),
    "siglip": ({**_SEES, **_UNIT, **_PROBE}, _READS),
}
"""What each asks of the side that sees and of the one that reads, by the path of a setting."""
_GATED = ("nomic_bert", "modernbert")
_NAMES = {"bert": "BERT", "mpnet": "MPNet", "nomic_bert": "NomicBERT", "modernbert": "ModernBERT"}
_NAMES |= {"vit": "ViT", "clip": "CLIP", "siglip": "SigLIP"}
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


def visual_family(pictures: Mapping[str, Any], words: Mapping[str, Any] | None, prefix: str = "") -> str:
    """Which of theirs an encoder of pictures is, with one of words or alone: "vit", "clip" or "siglip".

    Settings by their paths ("encoder.width"). prefix: "target." where pictures are the targets. BadInput as `family`.
    """
    if words is None:
        missed = {"vit": _unlike(pictures, VIT, prefix)}
    else:
        other = "" if prefix else "target."
        missed = {
            kind: _unlike(pictures, sees, prefix) + _unlike(words, reads, other)
            for kind, (sees, reads) in PAIRS.items()
        }
    kind = min(missed, key=lambda each: len(missed[each]))
    if missed[kind]:
        raise BadInput(
            f"An encoder with these settings is none of transformers' models; the nearest, {_NAMES[kind]}, has "
            f"{' and '.join(missed[kind])}."
        )
    return kind


def _unlike(held: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str) -> list[str]:
    """The settings that are otherwise than wanted, in words."""
    odd = {path: value for path, value in wanted.items() if held.get(path, value) != value}
    found = [f"{prefix}{path} {_said(value)}, not {_said(held[path])}" for path, value in odd.items()]
    plain = held.get("encoder.activation", "gelu")
    return found if plain in ACTIVATIONS else [*found, f"{prefix}encoder.activation gelu or another, not {plain}"]


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
