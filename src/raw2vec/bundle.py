"""A folder of files that belong together: put in place in one step, and known by a digest of each."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from raw2vec.disk import room, settled, to_disk, writing
from raw2vec.errors import BadFolder, BadInput


def found(folder: Path) -> Path:
    """Where the model of that name lies: aside, when its successor was killed just before it took the place."""
    return _aside(folder) if not folder.exists() and _aside(folder).is_dir() else folder


def bind(folder: Path, about: dict[str, Any], files: Sequence[str]) -> None:
    """Writes raw.json: what `about` says, and a digest of each of these files that is there."""
    bound = {name: _digest(folder / name) for name in files if (folder / name).exists()}
    write_json(folder / "raw.json", {**about, "files": bound})


def bound_by(folder: Path) -> dict[str, Any]:
    """What raw.json says. BadFolder where a file that it binds is not the one that was saved, or README.md lacks."""
    held = read_json(folder / "raw.json")
    with damage(folder / "raw.json"):
        bound, *_ = dict(held["files"]), held["settings"], held["weights"]
    for name in (*bound, "README.md"):
        with damage(folder / name) as path:
            if name in bound and _digest(path) != bound[name]:
                raise BadFolder(f"{path} is not the file that this folder was saved with: damaged, or another model's.")
    return held


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=8)).hexdigest()


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` when the block ends well, or is removed.

    An older model folder, or one that was exported, is replaced, by two renames: between them it waits aside, where
    `found` looks. A folder of anything else is refused.
    """
    folder = settled(folder)
    partial = folder.with_name(f".{folder.name}.partial-{uuid.uuid4().hex[:8]}")
    with writing(folder), room(folder):
        try:
            if found(folder) != folder:
                os.rename(found(folder), folder)
            refuse_foreign(folder)
            partial.mkdir()
            yield partial
            to_disk(partial)
            if folder.exists():
                old = _aside(folder)
                shutil.rmtree(old, ignore_errors=True)
                os.rename(folder, old)
                os.rename(partial, folder)
                shutil.rmtree(old, ignore_errors=True)  # the new one is in place, whatever becomes of it
            else:
                os.rename(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _aside(folder: Path) -> Path:
    """Where an older model waits while the new one takes its place."""
    return folder.with_name(f".{folder.name}.old")


def refuse_foreign(folder: Path) -> None:
    """BadInput when the folder holds anything but a model of ours, exported or not, or is the one that this runs in."""
    if folder.resolve() == Path.cwd():
        raise BadInput(f"{folder} is the folder that this runs in, and would be replaced: name one within it.")
    parent = next(p for p in [folder.absolute(), *folder.absolute().parents] if os.path.exists(p))
    if not parent.is_dir():
        what = "; give a folder to write the model to" if parent == folder.absolute() else ", and no folder"
        raise BadInput(f"{folder} cannot be written: {parent} is a file{what}.")
    if not os.access(parent, os.W_OK):
        raise BadInput(f"{folder} cannot be written: {parent} is read-only.")
    if folder.is_dir() and any(folder.iterdir()) and not ((folder / "recipe.json").exists() or _exported(folder)):
        raise BadInput(f"{folder} holds other files and no model; give a new or empty folder.")


def _exported(folder: Path) -> bool:
    """Whether its card says that we wrote it for another library: such a folder has no recipe."""
    card = folder / "README.md"
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:2] if card.is_file() else []
    return any(line.startswith("Exported by raw2vec") for line in lines)


@contextmanager
def damage(path: Path) -> Iterator[Path]:
    """Whatever goes wrong with this file becomes one sentence."""
    if not path.exists():
        raise BadFolder(f"{path.parent} has no {path.name}: the folder is not whole.")
    try:
        yield path
    except BadFolder:
        raise
    except (SafetensorError, RuntimeError, ValueError, KeyError, OSError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadFolder(f"{path} is damaged or does not belong to this folder ({reason}).") from error


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of a model folder; BadFolder where there is none."""
    with damage(path):
        held = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(held, dict):
        raise BadFolder(f"{path} is damaged: it should hold a JSON object.")
    return held


def copied(source: Path, out: Path) -> None:
    """The files of a folder and of those within it; a file that cannot be written raises its own OSError."""
    for file in source.rglob("*"):
        if file.is_file():
            (out / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, out / file.relative_to(source))
