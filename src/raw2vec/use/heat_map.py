"""Shares as a picture: a cell each, the darker the more, with names above the columns and beside the rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from raw2vec.disk import replacing

CELL, GAP, EDGE = 40, 1, 12  # pixels: a cell's side, between cells, round the whole
LETTERS, FIGURES = 15, 12  # pixels: the heights of the type
LONGEST = 28  # letters of a name
TOLD = 0.095  # shares from here on stand in their cells in percent
WHITE, DARK = (255, 255, 255), (16, 58, 122)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def heat_map(path: str | Path, across: Sequence[str], down: Sequence[str], shares: NDArray[np.float32]) -> None:
    """Writes a PNG of shares (T, S) from 0 to 1: `across` names the S columns, `down` the T rows."""
    names, figures = _font(LETTERS), _font(FIGURES)
    above, beside = [_label(name, names) for name in across], [_label(name, names) for name in down]
    left = EDGE + max(label.width for label in beside) + 8
    top = EDGE + max(label.width for label in above) + 8
    side = CELL + GAP
    sheet = Image.new("RGB", (left + side * len(across) + EDGE, top + side * len(down) + EDGE), WHITE)
    for place, label in enumerate(above):
        upright = label.rotate(90, expand=True)
        sheet.paste(upright, (left + side * place + (CELL - upright.width) // 2, top - 8 - upright.height))
    pen = ImageDraw.Draw(sheet)
    for row, label in enumerate(beside):
        sheet.paste(label, (left - 8 - label.width, top + side * row + (CELL - label.height) // 2))
        for column, share in enumerate(shares[row].tolist()):
            corner = (left + side * column, top + side * row)
            pen.rectangle((*corner, corner[0] + CELL - 1, corner[1] + CELL - 1), fill=_shade(share))
            if share >= TOLD:
                middle, ink = (corner[0] + CELL // 2, corner[1] + CELL // 2), WHITE if share > 0.45 else DARK
                pen.text(middle, f"{100 * share:.0f}", fill=ink, font=figures, anchor="mm")
    with replacing(Path(path)) as partial:
        sheet.save(partial, format="PNG")


def _label(name: str, font: Font) -> Image.Image:
    """A name as a strip just large enough, black on white."""
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    left, top, _, bottom = font.getbbox("Ág" + short)  # of one height, whatever the letters
    width = int(font.getlength(short)) + 2
    strip = Image.new("RGB", (max(width, 1), int(bottom - top) + 2), WHITE)
    ImageDraw.Draw(strip).text((1 - min(left, 0), 1 - top), short, fill=(0, 0, 0), font=font)
    return strip


def _shade(share: float) -> tuple[int, int, int]:
    """From nearly white to dark: the root, so that small shares can be told apart."""
    depth = 0.03 + 0.97 * min(max(share, 0.0), 1.0) ** 0.7
    red, green, blue = (round(light + (dark - light) * depth) for light, dark in zip(WHITE, DARK, strict=True))
    return red, green, blue


def _font(size: int) -> Font:
    """A font that knows most alphabets where the machine has one, else Pillow's own, which knows Europe's."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
