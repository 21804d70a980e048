"""A sentence-transformers folder, module by module: obeyed to the letter, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from raw2vec.errors import BadFolder
from raw2vec.interchange.checkpoints.base import CONFIG, MODULES, read, weights
from raw2vec.layers import ACTIVATIONS

_FIRST = ("Transformer", "StaticEmbedding", "CLIPModel")
_ALONE = ("vit", "marian")  # what sentence-transformers makes vectors of in ways that are not known here
_OBEYED = (*_FIRST, "Pooling", "Dense", "Normalize")
_POOLING = {"mean": "mean", "cls": "first", "lasttoken": "last", "max": "max"}
# Before version 5.7 each had a switch of its own.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_DENSE = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding", "use_residual": False}
# What a module of pictures and words may say of itself, beside options that are empty.
_PAIRS = ("clip", "siglip")
_FEATURES = {"text": "get_text_features", "image": "get_image_features"}
_PAIR = {"transformer_task": "feature-extraction", "module_output_name": "sentence_embedding"}
_READING = ("max_seq_length", "do_lower_case", "modality_config")


@dataclass
class Pipeline:
    """What a folder does with a text: `first` reads it, in the folder `home`, and the rest makes its states a vector.

    latent: settings of a Point. project: its map's weights. max_tokens: the longest text; None: not said here.
    """

    home: Path
    first: str = "Transformer"
    latent: dict[str, Any] = field(default_factory=lambda: {"pooling": "mean"})
    project: dict[str, Tensor] = field(default_factory=dict)
    max_tokens: int | None = None
    lower: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    notes: list[str] = field(default_factory=list)


def pipeline(folder: Path) -> Pipeline:
    """What modules.json says; where there is none, what sentence-transformers makes of a plain folder: the mean."""
    if not (folder / MODULES).exists():
        return Pipeline(folder)
    kinds = _kinds(folder)
    if not kinds or kinds[0][0] not in _FIRST:
        raise BadFolder(f"{folder / MODULES} does not begin with a Transformer, a StaticEmbedding or a CLIPModel.")
    first, home = kinds[0]
    kind = str(read(home / CONFIG).get("model_type"))
    first = "CLIPModel" if first == "Transformer" and kind in _PAIRS else first
    if kind in _ALONE:
        raise BadFolder(
            f"{folder / MODULES} makes vectors of a '{kind}', which is taken over alone here: take "
            f"modules.json away, and {home} opens as what it is without the modules after it."
        )
    made = Pipeline(home, first)
    _refuse_order(folder, [first, *(name for name, _ in kinds[1:])])
    _prompts(made, read(folder / "config_sentence_transformers.json"))
    if first == "CLIPModel":
        _pair(made, kind)
    for name, place in kinds[1:]:
        _OBEY[name](made, place)
    bert = read(home / "sentence_bert_config.json")
    made.max_tokens, made.lower = bert.get("max_seq_length"), bool(bert.get("do_lower_case"))
    return made


def _refuse_order(folder: Path, names: list[str]) -> None:
    """BadFolder for modules that do not follow each other as they can here."""
    first, *rest = names
    pools, maps = first == "Transformer", first != "CLIPModel"
    expected = [*["Pooling"] * pools, *["Dense"] * (rest.count("Dense") * maps), "Normalize"]
    if rest != [name for name in expected if name in rest] or (pools and "Pooling" not in rest):
        raise BadFolder(
            f"{folder / MODULES} lists {', '.join(names)}, an order that is not known here: there is "
            f"{first}{', Pooling' if pools else ''}, and perhaps {'Dense, and ' if maps else ''}Normalize once."
        )


def _pair(made: Pipeline, kind: str) -> None:
    """What SentenceTransformer makes of a model of pictures and words: the features of either, as long as they come."""
    made.latent = {"normalize": "none"}
    path = made.home / "sentence_bert_config.json"
    if kind != "clip":
        why = " fills a text up to the longest of its batch, where SigLIP's own are all of one length"
        raise BadFolder(
            f"{made.home} holds a model of the type '{kind}', and of those with pictures and words here is CLIP: "
            f"SentenceTransformer{why if kind == 'siglip' else ' opens others by code that is not known here'}."
        )
    if made.prompts:
        raise BadFolder(f"{made.home.name} has prompts, which a model of pictures and words has not here.")
    held = {name: value for name, value in read(path).items() if value and name not in _READING}
    if odd := next((name for name, value in held.items() if _PAIR.get(name) != value), None):
        raise BadFolder(f"{path} has {odd} {held[odd]!r}, which is not known here of pictures and words.")
    for side, asked in (read(path).get("modality_config") or {}).items():
        if asked != {"method": _FEATURES.get(side), "method_output_name": "pooler_output"}:
            raise BadFolder(f"{path} has the {side} read by {asked!r}, and here it is {_FEATURES}.")


def _kinds(folder: Path) -> list[tuple[str, Path]]:
    """The modules in order, each by its class and its folder."""
    try:
        listed = json.loads((folder / MODULES).read_text(encoding="utf-8"))
        kinds = [(str(module["type"]), folder / str(module["path"])) for module in listed]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadFolder(
            f"{folder / MODULES} is damaged: it should be a list of modules with a type and a path."
        ) from None
    for kind, _ in kinds:
        if not kind.startswith("sentence_transformers."):
            raise BadFolder(f"{folder / MODULES} asks for code of its own ('{kind}'), which is never run here.")
        if kind.rsplit(".", 1)[-1] not in _OBEYED:
            raise BadFolder(f"{folder / MODULES} asks for '{kind}': here there is {', '.join(_OBEYED)}.")
    return [(kind.rsplit(".", 1)[-1], place) for kind, place in kinds]


def _pooling(made: Pipeline, place: Path) -> None:
    held = read(place / "config.json")
    found = held.get("pooling_mode") or [name for switch, name in _SWITCHES.items() if held.get(switch)]
    names = [found] if isinstance(found, str) else list(found)
    if len(names) != 1 or names[0] not in _POOLING:
        raise BadFolder(
            f"{place / 'config.json'} asks for pooling {' and '.join(map(str, names)) or 'of no kind'}: here there is "
            f"{', '.join(_POOLING)}, one of them."
        )
    if made.prompts and not held.get("include_prompt", True):
        raise BadFolder(f"{place / 'config.json'} leaves prompts out of the pooling, which cannot be done here yet.")
    made.latent["pooling"] = _POOLING[names[0]]


def _dense(made: Pipeline, place: Path) -> None:
    held = read(place / "config.json")
    if other := next((name for name, usual in _DENSE.items() if (held.get(name) or usual) != usual), None):
        raise BadFolder(f"{place / 'config.json'} has {other} {held[other]!r}, which a Dense cannot have here.")
    activation = str(held.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    names = {"Identity": "identity", "NoneType": "identity", "LeakyReLU": "leaky_relu"}
    name = names.get(activation, activation.lower())
    if name not in ACTIVATIONS:
        raise BadFolder(f"{place / 'config.json'} has the activation '{activation}', which is not known here.")
    tensors = weights(place)
    if "linear.weight" not in tensors:
        raise BadFolder(f"{place} lacks the weight 'linear.weight'.")
    matrix = tensors["linear.weight"]
    bias = tensors.get("linear.bias", matrix.new_zeros(len(matrix)))
    if made.project:  # two maps in a row are one, if nothing stands between them
        if made.latent["activation"] != "identity":
            raise BadFolder(
                f"{place} follows a Dense with the activation '{made.latent['activation']}': of several, only the last "
                "has one here."
            )
        if matrix.shape[1] != len(made.project["weight"]):
            raise BadFolder(f"{place} takes {matrix.shape[1]} numbers, and is given {len(made.project['weight'])}.")
        before = {name: value.double() for name, value in made.project.items()}
        bias = (matrix.double() @ before["bias"] + bias).float()
        matrix = (matrix.double() @ before["weight"]).float()
    made.project = {"weight": matrix, "bias": bias}
    made.latent |= {"width": len(matrix), "activation": name}


def _normalize(made: Pipeline, place: Path) -> None:
    made.latent["normalize"] = "unit"


_OBEY = {"Pooling": _pooling, "Dense": _dense, "Normalize": _normalize}


def _prompts(made: Pipeline, held: Mapping[str, Any]) -> None:
    made.prompts = {str(name): str(text) for name, text in (held.get("prompts") or {}).items() if text}
    default = held.get("default_prompt_name")
    made.default_prompt = default if default in made.prompts else None
    if held.get("similarity_fn_name") not in (None, "cosine"):
        told = (
            f"its authors compare vectors by {held['similarity_fn_name']}; search and evaluate compare by cosine here"
        )
        made.notes.append(told)
