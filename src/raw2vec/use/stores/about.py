"""What a store is, told by the `store.json` in its folder: whose vectors, how wide, which column is text."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from raw2vec.errors import BadFolder, BadInput
from raw2vec.use.stores.base import write_json

_NAME = "store.json"
_FORMAT = 1
_OURS = {"rows.lance", "writer.lock", "vectors.f32", "vectors.json", "vectors.lock"} | {
    "ranges.npy",
    "small.binary",
    "small.int8",
    "small.json",
    "small.lock",
}
_TYPES = {
    "format": int,
    "id": str,
    "width": int,
    "fingerprint": str,
    "model": str,
    "text": str | None,
    "approximate": dict | None,
}
_LATER = {"vectors": "float32"}  # entries that stores of before lack, and what those are


def new(width: int, fingerprint: str, model: str, text: str | None, vectors: str = "float32") -> dict[str, Any]:
    """What a new store will say of itself; the id tells its files from another store's."""
    return {
        "format": _FORMAT,
        "id": uuid.uuid4().hex,
        "width": width,
        "fingerprint": fingerprint,
        "model": model,
        "text": text,
        "approximate": None,
        "vectors": vectors,
    }


def write(folder: Path, known: dict[str, Any]) -> None:
    """Replaces `store.json` in one step."""
    write_json(folder / _NAME, known)


def read(folder: Path) -> dict[str, Any]:
    """What `store.json` says, or BadFolder."""
    try:
        known = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise BadFolder(f"{folder} is not a store: it has no {_NAME}.") from None
    except (OSError, ValueError) as error:
        raise BadFolder(f"The store {folder} is damaged: its {_NAME} cannot be read ({error}).") from error
    if not isinstance(known, dict) or not all(key in known and isinstance(known[key], _TYPES[key]) for key in _TYPES):
        raise BadFolder(f"The store {folder} is damaged: its {_NAME} lacks entries. Index the data again.")
    if known["format"] > _FORMAT:
        raise BadFolder(f"The store {folder} was written by a newer raw2vec (format {known['format']}). Upgrade it.")
    return _LATER | known


def discard(folder: Path) -> None:
    """Removes all that a store keeps in its folder, and what a creation that was cut short left there."""
    shutil.rmtree(folder / "rows.lance", ignore_errors=True)
    for name in (*_OURS - {"rows.lance"}, _NAME + ".tmp", _NAME):
        (folder / name).unlink(missing_ok=True)


def refuse_occupied(folder: Path) -> None:
    """BadInput unless the folder is empty, or holds no more than a creation that was cut short left there."""
    if (folder / _NAME).exists():
        raise BadInput(f"{folder} is a store already. Open it, or name another folder.")
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in {*_OURS, _NAME + ".tmp"})
    if strangers:
        raise BadInput(f"{folder} is not empty (it holds {strangers[0]}). A store needs a folder of its own.")
