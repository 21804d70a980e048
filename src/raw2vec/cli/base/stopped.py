"""What a run that was stopped has left to go on with, by the files that `--resume` would look for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from raw2vec.disk import settled


def begun(words: Sequence[str]) -> bool:
    """Whether the command of these words, fit, distill, embed or index, has something to go on with."""
    command, place = words[0], _place(words)
    if place is None or "://" in place:  # nobody has to wait for a server to stop
        return place is not None
    out = settled(Path(place))
    if command == "index":
        return (out / "store.json").exists()
    if command == "embed":
        shards = out.with_name(f"{out.name}.partial") if out.suffix in (".npy", ".parquet") else out
        return (shards / "_manifest.json").exists()
    return out.with_name(f"{out.name}.training").exists()


def _place(words: Sequence[str]) -> str | None:
    """Where it writes: the last of --out or --store that was given."""
    places = [after for word, after in pairwise(words) if word in ("--out", "--store")]
    places += [word.split("=", 1)[1] for word in words if word.startswith(("--out=", "--store="))]
    return places[-1] if places else None
