"""What a store says of itself, as JSON wherever it is kept: whose vectors, how wide, which column is text."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from raw2vec.errors import BadFolder, BadInput, WrongSpace
from raw2vec.use.stores.base import Home

_FORMAT = 1
_TYPES = {
    "format": int,
    "id": str,
    "width": int,
    "fingerprint": str,
    "model": str,
    "text": str | None,
    "approximate": dict | None,
}
_LATER = {"vectors": "float32", "sources": {}, "names": {}}  # entries that stores of before lack, and what those are


def new(width: int, fingerprint: str, model: str, text: str | None, vectors: str = "float32") -> dict[str, Any]:
    """What a new store will say of itself; the id tells its files from another store's."""
    if width < 1:
        raise BadInput(f"A store's vectors have at least one number, not {width}.")
    return {
        "format": _FORMAT,
        "id": uuid.uuid4().hex,
        "width": width,
        "fingerprint": fingerprint,
        "model": model,
        "text": text,
        "approximate": None,
        "vectors": vectors,
        "sources": {},
        "names": {},
    }


def read(home: Home) -> dict[str, Any]:
    """What the store there says, or BadFolder."""
    try:
        told = home.told()
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadFolder(f"The store {home} is damaged: what it says of itself cannot be read ({error}).") from error
    if told is None:
        raise BadFolder(f"{home} is not a store: nothing there says whose vectors it holds.")
    return parsed(told, home)


def write(home: Home, known: dict[str, Any]) -> None:
    """Replaces it in one step."""
    home.tell(worded(known))


def worded(known: dict[str, Any]) -> str:
    return json.dumps(known, indent=2, ensure_ascii=False)


def parsed(told: str, store: object) -> dict[str, Any]:
    """What the store says, or BadFolder where it is not whole or a newer raw2vec's."""
    try:
        known = json.loads(told)
    except ValueError as error:
        raise BadFolder(f"The store {store} is damaged: what it says of itself is no JSON ({error}).") from error
    if not isinstance(known, dict) or not all(key in known and isinstance(known[key], _TYPES[key]) for key in _TYPES):
        raise BadFolder(f"The store {store} is damaged: what it says of itself lacks entries. Index the data again.")
    if known["format"] > _FORMAT:
        raise BadFolder(f"The store {store} was written by a newer raw2vec (format {known['format']}). Upgrade it.")
    return _LATER | known


def settled(
    known: dict[str, Any], source: str, reading: str, name: str, count: Callable[[str], int], store: object
) -> dict[str, Any] | None:
    """The same with a note of how a source is read, and under which `name` if any; None where rows of it are there.

    count: how many rows of a source there are. BadInput where those of this one were read otherwise, or where others
    came under its name before: it has changed since, and what has stayed as it was would be there twice.
    """
    noted, before = known["sources"].get(source), known["names"].get(name)
    if rows := count(source):
        if noted not in (None, reading):
            raise BadInput(
                f"The store {store} has {rows:,} rows of this data by {noted}, and these are by {reading}: "
                "name another --store for them."
            )
        return None
    if before not in (None, source) and (rows := count(before)):
        raise BadInput(
            f"{name} has changed since {rows:,} of its rows went into the store {store}: those that are in it still "
            "would be there twice. Name another --store, or give rows that are new a file of their own."
        )
    names = {name: source} if name else {}
    return known | {"sources": known["sources"] | {source: reading}, "names": known["names"] | names}


def refuse_other(known: dict[str, Any], fingerprint: str | None, store: object) -> None:
    """WrongSpace when the store holds another model's vectors than the one with this fingerprint, if any."""
    if fingerprint is not None and fingerprint != known["fingerprint"]:
        whose = f"of '{known['model']}', " if known["model"] else "of the model "
        raise WrongSpace(
            f"The store {store} holds vectors {whose}with fingerprint {known['fingerprint']}; this model's is "
            f"{fingerprint}. Search with the model that filled it, or index the data again into a new store."
        )
