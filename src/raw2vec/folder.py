"""A model folder: JSON, safetensors and tokenizer files, nothing executable, put in place in one step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from raw2vec import calibration
from raw2vec import levels as int8
from raw2vec.build import build_model, build_objectives, build_raw
from raw2vec.bundle import bind, bound_by, copied, damage, found, read_json, replacing, write_json
from raw2vec.errors import BadFolder
from raw2vec.labels import Labels
from raw2vec.models import AnyModel, Autoencoder, DualEncoder, Embedder
from raw2vec.raw import Raw
from raw2vec.recipe import Recipe

Rename = Callable[[dict[str, Tensor]], dict[str, Tensor]]
# The files that belong together: raw.json holds a digest of each.
_LEARNED = ("tokenizer.json", "image.json", "audio.json", "series.json", "table.json")
_WEIGHTS = ("model.safetensors", "decoder.safetensors", "heads.safetensors", "golden.safetensors")
_TARGETS = tuple(f"target/{name}" for name in _LEARNED)
_BOUND = ("recipe.json", *_LEARNED, "target_tokenizer.json", *_TARGETS, *_WEIGHTS, calibration.FILE, int8.FILE)
Golden = tuple[list[Any], NDArray[np.float32]]
"""Items, and the vectors (g, L) that a model must give of them."""
EXPORTED = "ctranslate2"
"""What raw.json calls the weights of a folder that another engine runs, and this one cannot."""
GRAPHS = ("openvino", "onnx")
"""The same where it gives vectors."""


@dataclass
class Model:
    """Everything that a folder holds, in memory.

    `golden` is a few inputs with the vectors they must give, (g, L), `golden_targets` the same of targets that have an
    encoder of their own; `metrics` the run as metrics.jsonl tells it. `ranges` and `levels`: of each side that was
    calibrated.
    """

    recipe: Recipe
    raw: Raw
    model: AnyModel
    objectives: nn.ModuleDict
    labels: Labels | None = None
    report: dict[str, Any] = field(default_factory=dict)
    golden: Golden | None = None
    golden_targets: Golden | None = None
    metrics: str = ""
    ranges: dict[str, calibration.Calibration] = field(default_factory=dict)
    levels: dict[str, int8.Levels] = field(default_factory=dict)


@dataclass(frozen=True)
class Dialect:
    """Other names for the same weights, so that another library opens the very same file."""

    name: str
    write: Rename
    read: Rename


def save(folder: Path, parts: Model, card: str, dialect: Dialect | None, extra: Callable[[Path], None]) -> None:
    """Writes the folder whole, in one step. `extra` adds what other libraries need beside our own files."""
    with replacing(folder) as partial:
        (partial / "recipe.json").write_text(parts.recipe.json_text(), encoding="utf-8")
        (partial / "README.md").write_text(card, encoding="utf-8")
        weights = _weights(embedder(parts.model))
        save_file(dialect.write(weights) if dialect else weights, partial / "model.safetensors", {"format": "pt"})
        if isinstance(parts.model, Autoencoder):
            save_file(_weights(way_back(parts.model)), partial / "decoder.safetensors")
        save_file(_weights(parts.objectives), partial / "heads.safetensors")
        read = save_raw(parts.raw, partial)
        write_json(partial / "report.json", parts.report)
        (partial / "metrics.jsonl").write_text(parts.metrics, encoding="utf-8")
        if parts.golden is not None:
            save_file(_frozen(parts), partial / "golden.safetensors")
        calibration.write(partial, parts.ranges)
        int8.write(partial, parts.levels)
        extra(partial)
        raw: dict[str, Any] = {**read, "weights": dialect.name if dialect else "raw2vec"}
        raw |= {"labels": parts.labels.as_dict() if parts.labels else None}
        bind(partial, raw, _BOUND)


def load(folder: Path, dialect_of: Callable[[Recipe], Dialect | None]) -> Model:
    """The model in a folder. BadFolder says which file is missing, damaged or of another kind."""
    folder = found(folder)
    if not folder.is_dir():
        raise BadFolder(f"There is no model folder {folder}.")
    if not (folder / "recipe.json").exists():
        raise BadFolder(f"{folder} holds no recipe.json, so it is not a raw2vec model folder.")
    held = bound_by(folder)
    if held["weights"] == EXPORTED:
        raise BadFolder(f"{folder} was exported and only translates: raw2vec translate {folder} FILE.")
    if held["weights"] in GRAPHS:
        raise BadFolder(f"{folder} was exported and gives vectors alone: raw2vec embed {folder} DATA --out OUT.")
    with damage(folder / "raw.json"):
        labels = Labels(**held["labels"]) if held["labels"] else None
        bound, dialect_name = dict(held["files"]), held["weights"]
    with damage(folder / "recipe.json") as path:
        recipe = Recipe.read(path)
    learned = next((name for name in bound if name in _LEARNED), "tokenizer.json")
    with damage(folder / learned):
        raw = load_raw(recipe, folder, held)
    model = build_model(recipe, raw)
    task, outcomes = (labels.task, labels.outcomes) if labels else (None, 0)
    objectives = build_objectives(recipe, raw, model, task, outcomes)
    with damage(folder / "model.safetensors") as path:
        weights = load_file(path)
        dialect = dialect_of(recipe) if dialect_name != "raw2vec" else None
        embedder(model).load_state_dict(dialect.read(weights) if dialect else weights)
    if isinstance(model, Autoencoder):
        with damage(folder / "decoder.safetensors") as path:
            way_back(model).load_state_dict(load_file(path))
    with damage(folder / "heads.safetensors") as path:
        objectives.load_state_dict(load_file(path))
    golden = targets = None
    if "golden.safetensors" in bound:
        with damage(folder / "golden.safetensors") as path:
            golden, targets = _thawed(raw, load_file(path))
    model.eval()
    objectives.eval()
    with damage(folder / "metrics.jsonl") as path:
        metrics = path.read_text(encoding="utf-8")
    report = read_json(folder / "report.json")
    kept = ranges_in(folder, held), _levels_in(folder, held)
    return Model(recipe, raw, model, objectives, labels, report, golden, targets, metrics, *kept)


def ranges_in(folder: Path, held: dict[str, Any]) -> dict[str, calibration.Calibration]:
    """The ranges that a folder keeps, by side; `held` is what `bound_by` found."""
    if calibration.FILE not in held["files"]:
        return {}
    with damage(folder / calibration.FILE) as path:
        return calibration.read(path)


def _levels_in(folder: Path, held: dict[str, Any]) -> dict[str, int8.Levels]:
    if int8.FILE not in held["files"]:
        return {}
    with damage(folder / int8.FILE) as path:
        return int8.read(path)


def keep_ranges(
    folder: Path,
    ranges: Mapping[str, calibration.Calibration],
    out: Path,
    levels: Mapping[str, int8.Levels] | None = None,
) -> None:
    """Puts ranges and levels into a model's folder, where `out` is the same, or a copy of it.

    Its other files stay as they are.
    """
    source = found(folder)
    held = bound_by(source)
    bound = [*held.pop("files"), calibration.FILE, int8.FILE]
    with replacing(out) as partial:
        copied(source, partial)
        calibration.write(partial, ranges)
        int8.write(partial, levels or {})
        told = {side: each.told for side, each in ranges.items()}
        write_json(partial / "report.json", {**read_json(partial / "report.json"), "ranges": told})
        bind(partial, held, bound)


def _frozen(parts: Model) -> dict[str, Tensor]:
    """The golden items and their vectors by name."""
    found: dict[str, Tensor] = {}
    for role, prefix, golden in (("input", "", parts.golden), ("target", "target_", parts.golden_targets)):
        items, vectors = golden or ([], None)
        raw = parts.raw.side(role)
        found |= {f"{role}s.{place}": raw.freeze(item) for place, item in enumerate(items)}
        found |= {} if vectors is None else {f"{prefix}vectors": torch.from_numpy(vectors)}
    return found


def _thawed(raw: Raw, held: dict[str, Tensor]) -> tuple[Golden, Golden | None]:
    """What `_frozen` made, of both sides."""

    def golden(role: str, vectors: NDArray[np.float32]) -> Golden:
        return [raw.side(role).thaw(held[f"{role}s.{place}"]) for place in range(len(vectors))], vectors

    targets = golden("target", held["target_vectors"].numpy()) if "target_vectors" in held else None
    return golden("input", held["vectors"].numpy()), targets


def save_raw(raw: Raw, folder: Path) -> dict[str, Any]:
    """Writes what a kind has learned, its partner's in a folder of its own; what `load_raw` needs to know of it."""
    raw.save(folder)
    if raw.partner is None:
        return {"settings": raw.settings}
    (folder / "target").mkdir(exist_ok=True)
    raw.partner.save(folder / "target")
    return {"settings": raw.settings, "target_settings": raw.partner.settings}


def load_raw(recipe: Recipe, folder: Path, held: dict[str, Any]) -> Raw:
    """The kind of data that `save_raw` wrote; BadFolder where it cannot be read."""
    made = build_raw(recipe)
    raw = made.load(folder, held["settings"])
    if made.partner is not None:
        raw.partner = made.partner.load(folder / "target", held["target_settings"])
    return raw


def embedder(model: AnyModel) -> Embedder | DualEncoder:
    """The part of a model that gives vectors."""
    return model.embedder if isinstance(model, Autoencoder) else model


def way_back(model: Autoencoder) -> nn.ModuleDict:
    """The parts that lead from a vector back to the item."""
    return nn.ModuleDict({"decoder": model.decoder, "readout": model.readout})


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in module.state_dict().items()}


def card_lines(title: str, *about: str) -> list[str]:
    """How the card of every model begins: what it is, and how to use it."""
    return [
        "---",
        "library_name: raw2vec",
        "tags: [raw2vec, sentence-similarity, feature-extraction]",
        "---",
        "",
        f"# {title}",
        "",
        *about,
        "",
        "```python",
        "import raw2vec",
        "",
        'model = raw2vec.load("this/folder")',
        'vectors = model.encode(["a text", "another"])',
        "```",
    ]


def fingerprint(parts: Model) -> str:
    """What two models that give the same vectors share, and no others: 16 hex digits over weights and settings."""
    digest = blake2b(digest_size=8)
    for name, value in sorted(embedder(parts.model).state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    shaping = {"raw", "encoder", "latent"} | ({"target"} if parts.recipe.target else set())
    if any(parts.recipe.embedding.get(name) for name in ("mean", "filled")):
        shaping.add("embedding")  # older folders have neither, and keep the fingerprints by which stores know them
    digest.update(json.dumps(parts.recipe.model_dump(mode="json", include=shaping)).encode())
    for raw in (parts.raw, parts.raw.partner):
        digest.update(raw.identity().encode() if raw else b"")
    return digest.hexdigest()
