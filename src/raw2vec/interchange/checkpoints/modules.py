"""A sentence-transformers folder, module by module: obeyed to the letter, or refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raw2vec.errors import BadFolder, nearest
from raw2vec.interchange.checkpoints.base import CONFIG, MODULES, READERS, read
from raw2vec.interchange.checkpoints.dense import Map, dense_in, unchanged

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
# What a module of pictures and words may say of itself, beside options that are empty.
_PAIRS = ("clip", "siglip")
_FEATURES = {"text": "get_text_features", "image": "get_image_features"}
_PAIR = {"transformer_task": "feature-extraction", "module_output_name": "sentence_embedding"}
_READING = ("max_seq_length", "do_lower_case", "modality_config")
_WHOLE = "config_sentence_transformers.json"
_PURPOSES = ("query", "document")  # whose prompts are empty there where none are told


@dataclass
class Pipeline:
    """What a folder does with a text: `first` reads it, in the folder `home`, and the rest makes its states a vector.

    latent: settings of a Point. project: its map. takes: how many numbers modules say that states have, by the
    beginning of a sentence that tells so. cut: how many of a vector's numbers are kept; None: all. max_tokens: the
    longest text; None: not said here.
    """

    home: Path
    first: str = "Transformer"
    latent: dict[str, Any] = field(default_factory=lambda: {"pooling": "mean"})
    project: Map | None = None
    takes: dict[str, int] = field(default_factory=dict)
    cut: int | None = None
    max_tokens: int | None = None
    lower: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    notes: list[str] = field(default_factory=list)

    def fit(self, width: int) -> None:
        """Sets the vector's map, for states of this width. BadFolder where the modules are made for other states."""
        for told, numbers in self.takes.items():
            if numbers != width:
                raise BadFolder(f"{told} {numbers} numbers, and the states that come before it have {width}.")
        whole = width if self.project is None else len(self.project.weight)
        if self.cut is not None and self.cut < whole:
            if self.latent.get("normalize") == "unit":
                raise BadFolder(
                    f"{_WHOLE} of {self.home} cuts vectors to {self.cut} numbers (truncate_dim) after Normalize, which "
                    "cannot be done here: take truncate_dim away, and encode or embed with one (--truncate "
                    f"{self.cut})."
                )
            self.project = (self.project or unchanged(width)).first(self.cut)
        if self.project is not None:
            self.latent |= {"width": len(self.project.weight), "activation": self.project.activation}


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
    _whole(made, folder / _WHOLE)
    if first == "CLIPModel":
        _pair(made, kind)
    for name, place in kinds[1:]:
        _OBEY[name](made, place)
    _, said = reader(home)
    made.max_tokens, made.lower = said.get("max_seq_length"), bool(said.get("do_lower_case"))
    return made


def reader(home: Path) -> tuple[Path, dict[str, Any]]:
    """What is said of the module that reads, and where: in the first of the files that says something."""
    found = ((home / name, read(home / name)) for name in READERS)
    return next(((path, held) for path, held in found if held), (home / READERS[0], {}))


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
    path, said = reader(made.home)
    if kind != "clip":
        why = " fills a text up to the longest of its batch, where SigLIP's own are all of one length"
        raise BadFolder(
            f"{made.home} holds a model of the type '{kind}', and of those with pictures and words here is CLIP: "
            f"SentenceTransformer{why if kind == 'siglip' else ' opens others by code that is not known here'}."
        )
    if made.prompts:
        raise BadFolder(f"{made.home.name} has prompts, which a model of pictures and words has not here.")
    if made.cut is not None:
        raise BadFolder(
            f"{made.home.name} cuts vectors short (truncate_dim), which is not done here of pictures and words."
        )
    held = {name: value for name, value in said.items() if value and name not in _READING}
    if odd := next((name for name, value in held.items() if _PAIR.get(name) != value), None):
        raise BadFolder(f"{path} has {odd} {held[odd]!r}, which is not known here of pictures and words.")
    for side, asked in (said.get("modality_config") or {}).items():
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
    held = read(place / CONFIG)
    found = held.get("pooling_mode") or [name for switch, name in _SWITCHES.items() if held.get(switch)]
    names = [found] if isinstance(found, str) else list(found)
    if len(names) != 1 or names[0] not in _POOLING:
        raise BadFolder(
            f"{place / CONFIG} asks for pooling {' and '.join(map(str, names)) or 'of no kind'}: here there is "
            f"{', '.join(_POOLING)}, one of them."
        )
    if made.prompts and not held.get("include_prompt", True):
        raise BadFolder(f"{place / CONFIG} leaves prompts out of the pooling, which cannot be done here yet.")
    made.latent["pooling"] = _POOLING[names[0]]
    for name in ("embedding_dimension", "word_embedding_dimension"):
        if name in held:
            made.takes[f"{place / CONFIG} has, as its {name},"] = held[name]


def _dense(made: Pipeline, place: Path) -> None:
    found = dense_in(place, made.project)
    if made.project is None:
        made.takes[f"The weight 'linear.weight' of {place} takes"] = found.weight.shape[1]
    made.project = found


def _normalize(made: Pipeline, place: Path) -> None:
    made.latent["normalize"] = "unit"


_OBEY = {"Pooling": _pooling, "Dense": _dense, "Normalize": _normalize}


def _whole(made: Pipeline, path: Path) -> None:
    """What is said of the whole: its prompts, the numbers of a vector that are kept, how vectors are compared."""
    held = read(path)
    prompts = {**dict.fromkeys(_PURPOSES), **(held.get("prompts") or {})}
    default = held.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise BadFolder(
            f"{path} has the default_prompt_name '{default}', and its prompts are {', '.join(prompts)}."
            f"{nearest(str(default), prompts)}"
        )
    if any(prompts.values()):
        made.prompts = {name: text or "" for name, text in prompts.items()}
        made.default_prompt = default
    if lone := next((name for name in ("passage", "corpus") if prompts.get(name) and not prompts["document"]), None):
        made.notes.append(
            f"its prompt '{lone}' stands before no document unless it is named (embed --prompt {lone}), as in "
            "sentence-transformers 6: its prompt 'document' is empty"
        )
    made.cut = held.get("truncate_dim")
    if held.get("similarity_fn_name") not in (None, "cosine"):
        told = (
            f"its authors compare vectors by {held['similarity_fn_name']}; search and evaluate compare by cosine here"
        )
        made.notes.append(told)
