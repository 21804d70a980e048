"""What makes a model folder one of sentence-transformers' as well: its own modules beside our files, nothing of ours.

Since version 6 it refuses module classes outside its namespace, so a model is lowered to Transformer, StaticEmbedding,
Pooling, Dense, LayerNorm and Normalize, or `refusal` says in a sentence why it cannot be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from raw2vec.folder import Model
from raw2vec.latents import Gaussian
from raw2vec.recipe import Recipe, Side

_POOLING = {"mean": "mean", "first": "cls", "last": "lasttoken", "max": "max"}
_HOME = "sentence_transformers.models."


def refusal(recipe: Recipe) -> str | None:
    """Why this recipe cannot be opened by sentence-transformers, or None when it can."""
    encoder, after = recipe.encoder.settings, recipe.latent.settings.get("activation")
    if after in ("gelu_tanh", "relu_squared", "quick_gelu"):
        return f"sentence-transformers has no '{after}' activation"
    if recipe.latent.name not in ("point", "gaussian"):
        return f"sentence-transformers has no {recipe.latent.name} latent"
    if recipe.encoder.name not in ("dense", "transformer"):
        return f"sentence-transformers has no {recipe.encoder.name} encoder like this one"
    if recipe.encoder.name == "dense":
        if recipe.raw["boundaries"] != "none":
            return "a static embedding in sentence-transformers takes no boundary tokens (raw.boundaries is not none)"
        if recipe.raw.get("unknown") == "drop":
            return "a static embedding in sentence-transformers reads unknown tokens as well (raw.unknown is drop)"
        if encoder["positions"] != "none":
            return "a static embedding in sentence-transformers weighs no places (encoder.positions is not none)"
        if encoder["normalization"] not in ("none", "layer"):
            return f"sentence-transformers has no '{encoder['normalization']}' normalization"
        if encoder["activation"] in ("gelu_tanh", "relu_squared", "quick_gelu"):
            return f"sentence-transformers has no '{encoder['activation']}' activation"
        return None
    if recipe.latent.settings["pooling"] not in _POOLING:
        return f"sentence-transformers has no {recipe.latent.settings['pooling']} pooling"
    return None


def pair_refusal(kind: str, sides: Mapping[Any, Recipe | Side]) -> str | None:
    """Why a model of pictures and words, built as transformers' `kind`, cannot be opened; None when it can."""
    if kind != "clip":
        return (
            "it is built as SigLIP, whose texts are filled up to one length, and SentenceTransformer fills them up to "
            "the longest of a batch; --to transformers takes it"
        )
    if len({str(side.latent.settings["normalize"]) for side in sides.values()}) > 1:
        return "one side's vectors are of length one and the other's are not (latent.normalize of both)"
    return None


def write_pair(folder: Path, parts: Model) -> None:
    """Makes transformers' folder of a CLIP one of sentence-transformers' as well."""
    names = ["CLIPModel", *["Normalize"] * (parts.recipe.latent.settings["normalize"] == "unit")]
    kinds = [(f"{place}_{name}" if place else "", name) for place, name in enumerate(names)]
    for path, _ in kinds[1:]:
        (folder / path).mkdir()
        _write_json(folder / path / "config.json", {})
    _list(folder, kinds, {})


def write(folder: Path, parts: Model) -> None:
    """Adds modules.json and what it names. The encoder's weights stay in the folder's one model.safetensors."""
    kinds: list[tuple[str, str]] = []

    def add(kind: str, config: dict[str, Any] | None = None, layer: nn.Module | None = None) -> None:
        path = f"{len(kinds)}_{kind}" if kinds else ""
        kinds.append((path, kind))
        if config is not None:
            (folder / path).mkdir(exist_ok=True)
            _write_json(folder / path / "config.json", config)
        if layer is not None:
            prefix = "linear" if kind == "Dense" else "norm"
            weights = {f"{prefix}.{name}": value.contiguous() for name, value in layer.state_dict().items()}
            save_file(weights, folder / path / "model.safetensors")

    (_dense if parts.recipe.encoder.name == "dense" else _transformer)(folder, parts, add)
    code = _code_of(parts.model.latent)
    if isinstance(code, nn.Linear):
        after = getattr(parts.model.latent, "activation", nn.Identity())
        add("Dense", _dense_config(code, after), code)
    if parts.recipe.latent.settings.get("normalize") == "unit":
        add("Normalize", {})
    recipe = parts.recipe
    _list(folder, kinds, {"prompts": recipe.prompts, "default_prompt_name": recipe.default_prompt})


def _list(folder: Path, kinds: Sequence[tuple[str, str]], prompts: dict[str, Any]) -> None:
    """modules.json, of folders and classes, and what else is said of the whole."""
    modules = [{"idx": n, "name": str(n), "path": path, "type": _HOME + kind} for n, (path, kind) in enumerate(kinds)]
    _write_json(folder / "modules.json", modules)
    prompts = {**prompts, "similarity_fn_name": "cosine"}
    _write_json(folder / "config_sentence_transformers.json", {"model_type": "SentenceTransformer", **prompts})


def _dense(folder: Path, parts: Model, add: Any) -> None:
    add("StaticEmbedding")
    limit = parts.raw.settings["max_tokens"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)  # their static embedding has no limit of its own
    tokenizer.save(str(folder / "tokenizer.json"))
    for layer in parts.model.encoder.layers:
        linear, *after = cast(nn.Sequential, layer)
        add("Dense", _dense_config(linear, after[0] if after else nn.Identity()), linear)
        for norm in after:
            if isinstance(norm, nn.LayerNorm):
                add("LayerNorm", {"dimension": linear.out_features}, norm)


def _transformer(folder: Path, parts: Model, add: Any) -> None:
    add("Transformer")
    limit = parts.raw.settings["max_tokens"]
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    pooling = {"embedding_dimension": parts.model.encoder.width, "include_prompt": True}
    add("Pooling", {**pooling, "pooling_mode": _POOLING[parts.recipe.latent.settings["pooling"]]})


def _code_of(latent: nn.Module) -> nn.Module:
    """The map from pooled states to the code: a point's own, and of a Gaussian's the half that gives the mean."""
    project = latent.project
    if not isinstance(latent, Gaussian):
        return cast(nn.Module, project)
    assert isinstance(project, nn.Linear)
    mean = nn.Linear(project.in_features, latent.width)
    mean.load_state_dict({name: value[: latent.width] for name, value in project.state_dict().items()})
    return mean


def _dense_config(linear: nn.Module, activation: nn.Module) -> dict[str, Any]:
    assert isinstance(linear, nn.Linear)
    name = f"{type(activation).__module__}.{type(activation).__name__}"
    sizes = {"in_features": linear.in_features, "out_features": linear.out_features}
    return {**sizes, "bias": linear.bias is not None, "activation_function": name}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
