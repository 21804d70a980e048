"""How a text is translated, for a terminal and as a picture. It needs PyTorch and Pillow: see `base.heavy`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from raw2vec.cli.base import Answer, console, grid, one_line
from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.use.explain import Growth, Looks, explain
from raw2vec.use.heat_map import heat_map


def explained(model: Raw2Vec, text: str, beam: int, out: str | None, among: Sequence[str]) -> Answer:
    """What the decoder looked at, or how its vector grew; with `out` as a picture, too. BadInput unless a .png.

    among: lines of which the nearest to a vector are told.
    """
    if out is not None and Path(out).suffix.lower() != ".png":
        raise BadInput(f"{out}: what --explain shows is a picture: give a file that ends in .png.")
    found = explain(model.parts_, text, beam, among)
    if out is not None:
        heat_map(out, *found.picture)
    shown: list[RenderableType] = [Text(one_line(found.translation), style="bold"), Text()]
    shown += _looks(found) if isinstance(found, Looks) else _growth(found)
    shown += [Text(f"\n{out}: the same as a picture")] if out is not None else []
    return Answer({"items": 1, "out": out, **found.as_dict()}, shown)


def _looks(found: Looks) -> list[RenderableType]:
    """The whole table where the terminal has room for it, else the source's token that each one looked at most."""
    heading = ["", *found.source]
    rows = [
        [name, *(f"{100 * share:.0f}" for share in shares)]
        for name, shares in zip(found.written, found.shares.tolist(), strict=True)
    ]
    if sum(max(map(len, column)) + 3 for column in zip(heading, *rows, strict=True)) <= console().width:
        told = "How each written token (down) shared out its looks among those of the source (across), in %:"
        return [Text(told), Text(), grid([heading, *rows], strong=0)]
    body = [[name, best, f"{share:.0%}"] for name, (best, share) in zip(found.written, found.strongest, strict=True)]
    told = "The token of the source that each written one looked at most, and the share of its looks:"
    return [Text(told), Text(), grid([["written", "source", "share"], *body], strong=0)]


def _growth(found: Growth) -> list[RenderableType]:
    told = "All that the decoder is told is one vector. How far each word moved it (a cosine distance), and how near "
    told += "it was then to that of the whole text (a cosine):"
    moved = ["–" if far is None else f"{far:.3f}" for far in found.moved]
    body = [[word, far, f"{near:.3f}"] for word, far, near in zip(found.words, moved, found.near, strict=True)]
    heading = ["word", "moved", "near the whole"]
    if found.nearest:
        heading.append("nearest line")
        body = [
            [*row, f"{cosine:.3f} {one_line(line)}"] for row, (line, cosine) in zip(body, found.nearest, strict=True)
        ]
    return [Text(told), Text(), grid([heading, *body], strong=0)]
