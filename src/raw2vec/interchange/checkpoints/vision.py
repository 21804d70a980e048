"""Checkpoints that see: ViT as a model of pictures, with its classes if it has some; CLIP and SigLIP as pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from raw2vec.build import build_model, build_objectives
from raw2vec.errors import BadFolder
from raw2vec.folder import Model
from raw2vec.interchange.checkpoints.base import loaded, read, report_of, weights
from raw2vec.interchange.checkpoints.modules import Pipeline
from raw2vec.interchange.hugging_face import layers_of, matched, named_rows
from raw2vec.interchange.hugging_face.base import Family
from raw2vec.interchange.hugging_face.vision import PAIRS, VIT_FAMILY, Pair, laid_out, patches
from raw2vec.labels import Labels
from raw2vec.raw import Image, Text
from raw2vec.raw.pixels import RESAMPLINGS
from raw2vec.recipe import Recipe
from raw2vec.resolve import reads

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_NAMES = {"vit": "ViT", "clip_vision_model": "CLIP", "siglip_vision_model": "Siglip"}
_SUFFIXES = ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor")
# What each processor does where its file does not say.
_HALVES: dict[str, Any] = {"resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_USUAL: dict[str, dict[str, Any]] = {
    "ViT": {**_HALVES, "resample": 2},
    "CLIP": {
        "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "do_center_crop": True,
        "crop_size": 224,
    },
    "Siglip": _HALVES,
}
_OBEYED = (
    *("do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_pad"),
    *("do_normalize", "image_mean", "image_std"),
)
# What says nothing of the numbers that pictures become.
_SILENT = (
    *("image_processor_type", "feature_extractor_type", "processor_class", "_valid_processor_keys", "device"),
    *("do_convert_rgb", "default_to_square", "data_format", "input_data_format", "return_tensors", "disable_grouping"),
)
_RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's numbers
_TABLE = "target.embedding.table.weight"
_ASIDE = ("pooler.", "embeddings.mask_token", "decoder.")
_SCALES = ("logit_scale", "logit_bias")
_LEAST = 0.01  # the least temperature that InfoNCE has


def open_image(folder: Path, about: Mapping[str, Any]) -> Model:
    """A ViT. Its vector is the class token's; a classifier becomes labels, so that the model predicts."""
    held = {name.removeprefix("vit."): value for name, value in weights(folder).items()}
    head = {name: held.pop(f"classifier.{name}", None) for name in ("weight", "bias")}
    notes = ["its pooler, a layer after the class token, is left out"] if "pooler.dense.weight" in held else []
    held = laid_out({name: value for name, value in held.items() if not name.startswith(_ASIDE)})
    raw, embedding = _pictures(folder, about)
    labels = _labels(about, head["weight"])
    tree = _side(raw, embedding, VIT_FAMILY, about) | {"latent": {"name": "point", "pooling": "first"}}
    tree |= {"stages": [{"objectives": ["supervised"]}]} if labels else {}
    recipe = _recipe(tree)
    model = build_model(recipe, raw)
    layers = layers_of(about)
    ours, named = matched(held, VIT_FAMILY, layers, "vit"), named_rows(VIT_FAMILY, layers)
    loaded(model, ours, named, folder)
    outcomes, task = (labels.outcomes, labels.task) if labels else (0, None)
    objectives = build_objectives(recipe, raw, model, task, outcomes)
    if labels:
        ours = {f"0/supervised.readout.linear.{name}": value for name, value in head.items() if value is not None}
        named = {f"0/supervised.readout.linear.{name}": f"classifier.{name}" for name in head}
        loaded(objectives, ours, named, folder)
    report = report_of("image", "vit checkpoint, with its own weights", folder, notes)
    return Model(recipe, raw, model.eval(), objectives.eval(), labels, report=report)


def open_pair(pipe: Pipeline, whole: Path, about: Mapping[str, Any], words: Text) -> Model:
    """CLIP or SigLIP: pictures are the input, words the target.

    pipe: where its files are, and whether its vectors are brought to length one. whole: the folder that was asked for.
    words: what reads these.
    """
    kind, folder = str(about["model_type"]), pipe.home
    made, held = PAIRS[kind], weights(folder)
    configs = {
        role: dict(about.get(f"{name}_config") or {}) for role, name in (("input", "vision"), ("target", "text"))
    }
    configs["input"]["model_type"] = f"{kind}_vision_model"
    raw, embedding = _pictures(folder, configs["input"])
    raw.partner = words
    filled = {"filled": words.max_tokens, "filler": _filler(folder, words, configs["target"])} if made.filled else {}
    sides = {
        "input": _side(raw, embedding, made.pictures, configs["input"]),
        "target": _side(words, filled, made.words, configs["target"]),
    }
    ours, named = _weights(held, made, {role: side["encoder"]["layers"] for role, side in sides.items()}, kind)
    if _TABLE in ours:  # without the rows that fill it up
        ours[_TABLE] = ours[_TABLE][: words.size].contiguous()
    _latents(sides, made.pooling, pipe.latent["normalize"], ours)
    loss = "sigmoid" if "logit_bias" in held else "softmax"
    scale = _number(held, "logit_scale", folder)
    objective = {"name": "contrastive", "loss": loss, "temperature": max(float((-scale).exp()), _LEAST)}
    recipe = _recipe({**sides["input"], "target": sides["target"], "stages": [{"objectives": [objective]}]})
    model = build_model(recipe, raw)
    _refuse_strange(held, kind)
    loaded(model, ours, named, folder)
    objectives = build_objectives(recipe, raw, model, None, 0)
    for own, theirs in zip(("log_scale", "bias"), _SCALES, strict=True):
        if theirs in held:
            objectives.get_parameter(f"0/contrastive.{own}").data.copy_(_number(held, theirs, folder))
    report = report_of("image", f"{kind} checkpoint, with its own tokenizer and weights", whole, pipe.notes)
    return Model(recipe, raw, model.eval(), objectives.eval(), report=report)


def first_picture() -> np.ndarray[Any, Any]:
    """A picture without any file: colours that run, of a shape that is no square."""
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 5, columns * 4, (rows * columns) % 251], axis=2).astype(np.uint8)


def _side(raw: Image | Text, embedding: Mapping[str, Any], family: Family, config: Mapping[str, Any]) -> dict[str, Any]:
    encoder = {"name": "transformer", **family.settings(config)}
    kind = "image" if isinstance(raw, Image) else "text"
    return {"kind": kind, "raw": raw.settings, "embedding": dict(embedding), "encoder": encoder}


def _weights(
    held: Mapping[str, Tensor], made: Pair, layers: Mapping[str, int], kind: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights of both sides under our names, and what they are called there. layers: of each side."""
    ours: dict[str, Tensor] = {}
    named: dict[str, str] = {}
    for role, family, seen in (("input", made.pictures, "vision_model."), ("target", made.words, "text_model.")):
        own = laid_out(made.side(held, words=role == "target"))
        own = {name: value for name, value in own.items() if name != "embeddings.position_ids"}
        ours |= {f"{role}.{name}": value for name, value in matched(own, family, layers[role], kind).items()}
        named |= {f"{role}.{name}": told for name, told in named_rows(family, layers[role], seen).items()}
    return ours, named


def _latents(sides: dict[str, Any], pooling: tuple[str, str], normalize: str, ours: Mapping[str, Tensor]) -> None:
    """How each side's states become a vector, projected where the checkpoint has such a map."""
    for role, way in zip(("input", "target"), pooling, strict=True):
        project = ours.get(f"{role}.latent.project.weight")
        latent: dict[str, Any] = {"name": "point", "pooling": way, "normalize": normalize}
        latent |= {"width": len(project)} if project is not None else {}
        if way == "probe":
            encoder = sides[role]["encoder"]
            latent |= {"heads": encoder["heads"], "feed_forward": encoder["feed_forward"]}
        sides[role]["latent"] = latent


def _recipe(tree: Mapping[str, Any]) -> Recipe:
    recipe = Recipe.read(tree)
    target = {} if recipe.target is None else {"target": recipe.target.model_copy(update=reads(recipe.target))}
    return recipe.model_copy(update={**reads(recipe), **target})


def _filler(folder: Path, words: Text, config: Mapping[str, Any]) -> int:
    """The token that short texts are filled up with."""
    name = read(folder / "tokenizer_config.json").get("pad_token")
    name = name.get("content") if isinstance(name, Mapping) else name
    return words.pieces.index(name) if name in words.pieces else int(config.get("pad_token_id", 1))


def _number(held: Mapping[str, Tensor], name: str, folder: Path) -> Tensor:
    if name not in held or held[name].numel() != 1:
        raise BadFolder(f"{folder} lacks the weight '{name}', one number.")
    return held[name].reshape(())


def _refuse_strange(held: Mapping[str, Tensor], kind: str) -> None:
    known = ("vision_model.", "text_model.", "visual_projection.", "text_projection.", *_SCALES)
    if strange := next((name for name in held if not name.startswith(known)), None):
        raise BadFolder(f"The checkpoint holds a weight that {kind} as we know it has no place for: '{strange}'.")


def _labels(about: Mapping[str, Any], weight: Tensor | None) -> Labels | None:
    """The classes that a classifier tells, by their numbers."""
    if weight is None:
        return None
    if len(weight) < 2 or about.get("problem_type") == "regression":
        raise BadFolder(
            "The checkpoint's classifier tells a number, which cannot be taken over: take one with classes."
        )
    names = {int(number): str(name) for number, name in (about.get("id2label") or {}).items()}
    told = [names.get(place, f"LABEL_{place}") for place in range(len(weight))]
    return Labels("labels" if about.get("problem_type") == "multi_label_classification" else "classes", told)


def _pictures(folder: Path, config: Mapping[str, Any]) -> tuple[Image, dict[str, Any]]:
    """What reads the pictures as the checkpoint's processor does, and the settings of the embedding that follow.

    BadFolder for what is not done here to the letter.
    """
    name, said = _processor(folder)
    where = f"{folder / name}"
    held = {**_USUAL[_processor_of(said, str(config.get("model_type")), where)], **said}
    for key in ("do_resize", "do_rescale"):
        if not held.get(key, True):
            raise BadFolder(
                f"{where} has {key} false: here pictures are brought to the checkpoint's size and to 255ths."
            )
    if abs(held.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise BadFolder(f"{where} has a rescale_factor of {held['rescale_factor']}, which is only 1/255 here.")
    if held.get("do_pad"):
        raise BadFolder(f"{where} has do_pad, which is not done here.")
    size, patch = patches(config)
    shorter = _shorter(held, size, where)
    number = held["resample"]
    if number not in range(len(_RESAMPLING)) or _RESAMPLING[number] not in RESAMPLINGS:
        raise BadFolder(f"{where} has the resampling {number!r}, which is not one of Pillow's.")
    channels = int(config.get("num_channels", 3))
    if channels not in (1, 3):
        raise BadFolder(f"The checkpoint's pictures have {channels} channels, and here they have 1 or 3.")
    raw = Image(size, "rgb" if channels == 3 else "grey", shorter, _RESAMPLING[number])  # type: ignore[arg-type]
    raw.learn([np.zeros((*size, channels), np.uint8)])
    embedding: dict[str, Any] = {"patch": list(patch)}
    if held.get("do_normalize", True):
        embedding |= {"mean": held["image_mean"], "deviation": held["image_std"]}
    return raw, embedding


def _processor_of(said: Mapping[str, Any], kind: str, where: str) -> str:
    """Which of the processors that are known here a file is of: what it names, else the family's own.

    BadFolder for another, and for what is not known of it.
    """
    named = said.get("image_processor_type") or said.get("feature_extractor_type") or f"{_NAMES[kind]}ImageProcessor"
    found = next((own for own in _USUAL if named in [own + suffix for suffix in _SUFFIXES]), None)
    if found is None:
        known = ", ".join(f"{own}ImageProcessor" for own in _USUAL)
        raise BadFolder(f"{where} has pictures read by {named}, and those that are known here are {known}.")
    if odd := next((name for name, value in said.items() if value and name not in (*_OBEYED, *_SILENT)), None):
        raise BadFolder(f"{where} has {odd} {said[odd]!r}, which is not known here.")
    return found


def _processor(folder: Path) -> tuple[str, dict[str, Any]]:
    for name in _PROCESSORS:
        if held := read(folder / name):
            return name, held.get("image_processor", held)
    raise BadFolder(
        f"{folder} has no {_PROCESSORS[0]}, which says how pictures become numbers: copy it from where the checkpoint "
        "came from."
    )


def _shorter(held: Mapping[str, Any], size: tuple[int, int], where: str) -> int:
    """The length of the shorter edge of what is cut from the middle; 0: whole pictures are resized."""
    asked, crop = held.get("size"), held.get("crop_size")
    asked = {"shortest_edge" if held.get("do_center_crop") else "square": asked} if isinstance(asked, int) else asked
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    if not isinstance(asked, Mapping):
        raise BadFolder(f"{where} does not say the size of pictures.")
    cut = (crop["height"], crop["width"]) if held.get("do_center_crop") and crop else None
    if set(asked) == {"shortest_edge"} and cut == size and asked["shortest_edge"] >= max(size):
        return int(asked["shortest_edge"])
    whole = (asked.get("height", asked.get("square")), asked.get("width", asked.get("square")))
    if whole == size and cut in (None, size):
        return 0
    told = ", ".join(f"{key} {value}" for key, value in asked.items()) + (f", cut to {cut}" if cut else "")
    raise BadFolder(f"{where} brings pictures to {told}, and the checkpoint's are of {size}: this is not known here.")
