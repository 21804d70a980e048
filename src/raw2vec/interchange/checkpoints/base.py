"""The files of a checkpoint that others made: read without running anything in them, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from raw2vec.errors import BadFolder
from raw2vec.interchange.values import check

CONFIG, MODULES, WEIGHTS = "config.json", "modules.json", "model.safetensors"
READERS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""What is said of the module that reads, in the order in which sentence-transformers looks for it."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_INDEX = "model.safetensors.index.json"  # which of several files holds which tensor
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_COUNTED = "_ids"  # how the names of whole numbers end that are no weights: position_ids, token_type_ids


def read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} where there is no such file. BadFolder for what is malformed."""
    if not path.exists():
        return {}
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFolder(f"{path} cannot be read: {error}.") from None
    if not isinstance(held, dict):
        raise BadFolder(f"{path} should hold a JSON object.")
    check(held, path)
    return held


def config(folder: Path) -> dict[str, Any]:
    """config.json; BadFolder where there is none."""
    if not (folder / CONFIG).exists():
        raise BadFolder(f"{folder} has no {CONFIG}, which says what its weights are.")
    return read(folder / CONFIG)


def weights(folder: Path, whole: Collection[str] = ()) -> dict[str, Tensor]:
    """Every tensor of a folder's safetensors, float32. BadFolder for pickles, damaged files and what is not finite.

    whole: the names of those that may hold whole numbers, which others hold only where they were quantised.
    """
    found: dict[str, Tensor] = {}
    for path in _files(folder):
        if not path.exists():
            raise BadFolder(f"{folder} has no {path.name}: the checkpoint is not whole.")
        try:
            found |= load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise BadFolder(f"{path} is damaged or cut short ({error}).") from None
    for name, value in found.items():
        if value.dtype in _FLOATS:
            found[name] = value.to(torch.float32)
            if not bool(found[name].isfinite().all()):
                raise BadFolder(f"The weight '{name}' of {folder} holds numbers that are not finite (NaN or infinite).")
        elif name not in whole and not name.endswith(_COUNTED):
            raise BadFolder(
                f"The weight '{name}' of {folder} is of the type {str(value.dtype).removeprefix('torch.')}, as "
                "quantised weights are: take the checkpoint that it was made from, in float32, float16 or bfloat16."
            )
    return found


def loaded(module: nn.Module, found: dict[str, Tensor], named: Mapping[str, str], folder: Path) -> None:
    """Puts the weights found into the module; what does not fit is refused as by `compared`."""
    compared(module, found, named, folder)
    module.load_state_dict(found)


def compared(module: nn.Module, found: dict[str, Tensor], named: Mapping[str, str], folder: Path) -> None:
    """BadFolder, in the checkpoint's own names, for a weight that is not there, too many or of another shape.

    module: also one without memory of its own (of the device "meta"), before what no machine holds is built. named:
    ours ↔ theirs.
    """
    wanted = module.state_dict()
    for name, value in wanted.items():
        theirs = named.get(name, name)
        if name not in found:
            raise BadFolder(f"{folder} lacks the weight '{theirs}', which its {CONFIG} calls for.")
        if found[name].shape != value.shape:
            has, needs = (" × ".join(map(str, shape)) for shape in (found[name].shape, value.shape))
            raise BadFolder(f"The weight '{theirs}' of {folder} is {has}, and its {CONFIG} calls for {needs}.")
    if extra := next((name for name in found if name not in wanted), None):
        raise BadFolder(f"{folder} holds the weight '{named.get(extra, extra)}', which its {CONFIG} does not call for.")


def report_of(kind: str, what: str, folder: Path, notes: list[str]) -> dict[str, Any]:
    """The report of a model that was taken over from `what`."""
    told = [f"taken over from a {what}", *notes]
    report: dict[str, Any] = {"kind": kind, "task": None, "metrics": {}, "baselines": {}, "notes": told}
    return {**report, "checkpoint": folder.name}


def refuse_pickle(path: Path) -> None:
    """BadFolder for a file that runs code when it is opened, with the way to a file that does not."""
    raise BadFolder(
        f"{path} is a pickle, which can run any code when it is opened, so it is never read here. If you trust it, "
        f'convert it once: python -c "{_conversion(path)}"'
    )


def _conversion(path: Path) -> str:
    """The line of Python that makes safetensors of a pickle, by the library that knows its kind."""
    folder = path.parent
    about = read(folder / CONFIG)
    if about.get("model_type") == "model2vec":  # tensors alone, for no library opens it
        kept = "save_file as s; import torch; s(torch.load"
        return f"from safetensors.torch import {kept}('{path}', weights_only=True), '{folder / WEIGHTS}')"
    whole = next((place for place in (folder, folder.parent) if (place / MODULES).exists()), None)
    if whole is not None:
        return f"from sentence_transformers import SentenceTransformer as M; M('{whole}').save('{whole}')"
    task = "" if about.get("model_type") != "marian" else "ForSeq2SeqLM"
    if any(str(name).endswith("ForImageClassification") for name in about.get("architectures") or []):
        task = "ForImageClassification"
    return f"from transformers import AutoModel{task} as M; M.from_pretrained('{folder}').save_pretrained('{folder}')"


def _files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / _INDEX).exists():
        named = read(folder / _INDEX).get("weight_map") or {}
        return [folder / Path(str(name)).name for name in sorted(set(named.values()))]
    for path in sorted(folder.glob("*")):
        if path.suffix in PICKLES and path.name != "training_args.bin":
            refuse_pickle(path)
    raise BadFolder(f"{folder} has no {WEIGHTS}: the checkpoint is not whole.")
