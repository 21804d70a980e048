"""Icons and their names in one space: words find drawings that were never seen, and drawings find their words.

An icon font names every drawing in it. qtawesome, a package of such fonts, brings some 17,000 of them; of each font
that it has twice, the newer version is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sklearn.feature_extraction.text import TfidfVectorizer

from raw2vec.errors import BadInput, MissingExtra
from raw2vec.evaluate import CROSS_RETRIEVAL, Report
from raw2vec.seeding import key
from raw2vec.system import Raw2Vec
from raw2vec.train.base import Listener, Phase
from raw2vec.use.show import Shown, write

FONTS = ("codicon", "elusiveicons", "fontawesome6-brands", "fontawesome6-regular", "fontawesome6-solid",
         "materialdesignicons6", "phosphor", "remixicon")  # fmt: skip
MANNERS = frozenset({"outline", "outlined", "bold", "thin", "light", "fill", "duotone", "line", "solid", "regular",
                     "variant"})  # fmt: skip
"""Words that tell how something is drawn, and not what it is."""
SIDE, DRAWN, MARGIN = 32, 110, 2  # pixels of a picture, of the letter it is drawn from, and left free around it
HELD = 1000
MINUTES = 5.0
LIKE = 5  # drawings, found by their names, that the baseline compares with
FOUND, MAP, SHOWN = "found.png", "map.html", 12
QUERIES = ("heart", "house", "star", "music", "car", "cloud with rain", "arrow to the left", "a person running")

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Icons:
    """n drawings (n, 32, 32), dark on white; their names in words; and which are variants of one drawing."""

    pictures: Pictures
    names: list[str]
    groups: list[str]

    def some(self, places: Sequence[int]) -> dict[str, Any]:
        """These of them, as columns."""
        return {"image": self.pictures[list(places)], "name": [self.names[place] for place in places]}


def icons(out: Path, minutes: float | None, seed: int, console: Console, listener: Listener) -> dict[str, Any]:
    """Icons and words in one space, fitted here and now: search drawings that were never seen by what they show."""
    strange = [name for name in (FOUND, MAP, "model") if (out / name).exists()]
    if strange:
        raise BadInput(f"{out} holds {strange[0]} already; give a new --out, or remove it.")
    listener(Phase("Drawing the icons"))
    known = drawn()
    train, held = split(known, seed)
    console.print(
        f"{len(known.names):,} icons of {len(FONTS)} fonts: {len(train):,} to learn from, and {len(held):,} to judge\n"
        "by, of which no variant was learned from.\n"
    )
    model = Raw2Vec(minutes=minutes or MINUTES, seed=seed)
    model.fit(known.some(train), input="image", target="name", out=out / "model", listener=listener)
    listener(Phase("Measuring"))
    found = measured(model, known, train, held, seed)
    tell(found, model, console)
    listener(Phase("Drawing what is found"))
    draw(model, known, held, out / FOUND)
    listener(Phase("Drawing the map"))
    model.map(known.some(held), out / MAP, input="image")
    console.print(Text(f"\nIn {out / FOUND}, a row each: {', '.join(QUERIES)}."))
    console.print(
        Text(f"In {out / MAP}, all that it was judged by: open it in a browser. The same for your own pictures:")
    )
    for line in (
        "fit pairs.csv --kind pairs --input picture --target caption --out clip",
        "index clip pictures/ --store pictures.store",
        'search pictures.store "a red heart"',
        'predict clip pictures/ --labels "a heart, a house, a star"',
        "map clip pictures/ --out map.html",
    ):
        console.print(Text(f"  raw2vec {line}", style="bold"))
    return {**found.as_dict(), "fit": {name: model.report[name] for name in ("steps", "seconds", "items")}}


def drawn() -> Icons:
    """All icons of the fonts. MissingExtra where qtawesome is not installed."""
    spec = find_spec("qtawesome")  # only found: importing it would need Qt
    if spec is None or spec.origin is None:
        raise MissingExtra("qtawesome", "demo", "The demo of icons")
    rows = [row for font in FONTS for row in _of_font(Path(spec.origin).parent / "fonts", font)]
    pictures, names, groups = zip(*rows, strict=True)
    return Icons(np.stack(pictures), list(names), list(groups))


def _of_font(fonts: Path, prefix: str) -> Iterator[tuple[Pictures, str, str]]:
    letters, names = next(fonts.glob(f"{prefix}*.ttf")), next(fonts.glob(f"{prefix}*charmap*.json"))
    font = ImageFont.truetype(str(letters), DRAWN)
    for name, code in json.loads(names.read_text(encoding="utf-8")).items():
        words = re.split(r"[-_ ]+", name)
        picture = _picture(font, chr(int(code, 16)))
        if picture is not None:
            what = "-".join(word for word in words if word not in MANNERS) or name
            yield picture, " ".join(words), f"{prefix.split('-')[0]}/{what}"


def _picture(font: ImageFont.FreeTypeFont, letter: str) -> Pictures | None:
    """A letter as a picture (32, 32), as large as there is room, in the middle; None where there is no ink."""
    left, top, right, bottom = font.getbbox(letter)
    if right <= left or bottom <= top:
        return None
    mask = font.getmask(letter, mode="L")
    ink = np.asarray(mask, np.uint8).reshape(mask.size[::-1])
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), np.uint8)
    above, beside = (side - height) // 2, (side - width) // 2
    square[above : above + height, beside : beside + width] = ink
    inner = SIDE - 2 * MARGIN
    small = Image.fromarray(square).resize((inner, inner), Image.Resampling.BOX)
    return np.asarray(255 - np.pad(np.asarray(small), MARGIN), np.uint8)


def split(known: Icons, seed: int) -> tuple[list[int], list[int]]:
    """The places to learn from and to judge by: all variants of a drawing (bold, filled) fall on one side, and of
    those to judge by one is taken."""
    groups = sorted(set(known.groups), key=lambda group: key(seed, "demo", group))
    kept, first = set(groups[:HELD]), dict[str, int]()
    for place in sorted(range(len(known.groups)), key=lambda place: key(seed, "variant", place)):
        first.setdefault(known.groups[place], place)
    train = [place for place, group in enumerate(known.groups) if group not in kept]
    return train, sorted(first[group] for group in kept)


def measured(model: Raw2Vec, known: Icons, train: list[int], held: list[int], seed: int) -> Report:
    """Names look for held-out drawings, and drawings for names, beside chance and a search without understanding."""
    rows = known.some(held)
    columns = {"input": list(rows["image"]), "target": rows["name"]}

    def encode(items: Sequence[Any], role: str) -> Any:
        return model.encode(items, side="target" if role == "target" else "input")

    found = CROSS_RETRIEVAL.run(encode, columns, seed)
    lexical = CROSS_RETRIEVAL.run(_by_names(known, train), columns, seed)
    found.baselines["names, then pixels"] = lexical.metrics
    return found


def _by_names(known: Icons, train: list[int]) -> Any:
    """Words as the mean of the drawings whose names are most like them (TF-IDF), drawings as their pixels."""
    seen = known.some(train)
    pixels = seen["image"].reshape(len(train), -1) / np.float32(255)
    middle = pixels.mean(axis=0)
    names = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
    table = names.fit_transform(seen["name"])

    def encode(items: Sequence[Any], role: str) -> NDArray[np.float32]:
        if role == "input":
            return np.stack(items).reshape(len(items), -1) / np.float32(255) - middle
        scores = (names.transform(items) @ table.T).toarray()
        best = np.argsort(-scores, axis=1, kind="stable")[:, :LIKE]
        return np.asarray(pixels[best].mean(axis=1) - middle)

    return encode


def tell(found: Report, model: Raw2Vec, console: Console) -> None:
    """A table: the model above what it has to beat."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), header_style="dim")
    table.add_column(f"{found.items:,} names look for their drawing, and drawings for their name")
    columns = {"recall@1": "first", "recall@10": "among ten", "reverse_recall@1": "name first",
               "reverse_recall@10": "name among ten"}  # fmt: skip
    for title in columns.values():
        table.add_column(title, justify="right")
    for who, metrics in {"raw2vec": found.metrics, **found.baselines}.items():
        style = "bold green" if metrics is found.metrics else ""
        table.add_row(who, *(f"{metrics[column]:.3f}" for column in columns), style=style)
    console.print(table)
    console.print(f"\n{model.report['steps']:,} steps in {model.report['seconds']:.0f} s.")


def draw(model: Raw2Vec, known: Icons, held: list[int], out: Path) -> None:
    """A row of held-out drawings for each of a few questions, the nearest first."""
    pictures = known.pictures[held]
    scores = model.similarity(model.encode(list(QUERIES), side="target"), model.encode(list(pictures), side="input"))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN]
    write("image", out, Shown(list(pictures[best.ravel()]), columns=SHOWN))
