"""Small encoders of texts with weights that were drawn, of every build that a graph can be made of."""

from __future__ import annotations

from typing import Any

import torch

from raw2vec.build import build_model, build_objectives, build_raw
from raw2vec.folder import Model
from raw2vec.resolve import resolve
from small import recipe, texts
from tiny_checkpoints import drawn

BUILDS: dict[str, tuple[str, dict[str, Any]]] = {
    "modernbert": ("transformer", {"encoder__layers": 3, "encoder__window": 4, "encoder__global_every": 2}),
    "bert": (
        "transformer",
        {"encoder__norm_order": "post", "encoder__positions": "learned", "encoder__activation": "gelu"},
    ),
    "mpnet": (
        "transformer",
        {"encoder__norm_order": "post", "encoder__positions": "learned-relative", "encoder__activation": "gelu"},
    ),
    "marian": ("transformer", {"encoder__norm_order": "post-only", "encoder__positions": "sinusoidal"}),
    "plain": ("transformer", {"encoder__positions": "none", "encoder__normalization": "rms"}),
    "gated": ("transformer", {"encoder__norm_order": "pre-each", "encoder__activation": "swiglu"}),
    "bag": ("dense", {"encoder__layers": 0, "embedding__weights": "learned"}),
    "layers": ("dense", {"encoder__layers": 2, "encoder__normalization": "layer", "encoder__positions": "learned"}),
    "first": ("transformer", {"latent__pooling": "first", "latent__normalize": "unit"}),
    "last": ("transformer", {"latent__pooling": "last", "latent__width": 5, "latent__activation": "tanh"}),
    "causal": (
        "transformer",
        {"encoder__causal": True, "encoder__layers": 3, "encoder__window": 4, "latent__pooling": "last"},
    ),
    "max": ("transformer", {"latent__pooling": "max"}),
    "attention": ("transformer", {"latent__pooling": "attention"}),
    "gaussian": ("transformer", {"latent": {"name": "gaussian", "width": 6}}),
}


def made(build: str = "bert", encoder: str = "", **changes: Any) -> Model:
    """A model of this build that has learned nothing, its weights far from where they start."""
    name, settings = BUILDS[build]
    asked = resolve(recipe("contrastive", encoder or name, **(settings if not encoder else {}) | changes))
    raw = build_raw(asked)
    raw.learn(texts(60))
    torch.manual_seed(0)
    model = build_model(asked, raw)
    drawn(model)
    return Model(asked, raw, model.eval(), build_objectives(asked, raw, model, None, 0))
