"""Items as files that a person can look at or listen to: pictures, sounds, tables, texts, whole or not at all."""

from __future__ import annotations

import math
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from raw2vec.disk import replacing
from raw2vec.errors import BadInput

GAP = 2  # pixels between pictures, however much these are enlarged
WHITE = 255
EASY = 56  # pixels: up to this size small pictures on a sheet are enlarged, by a whole factor
SILENCE = 0.25  # seconds between sounds

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Shown:
    """What is to be seen: items, and beside each the `originals` it was made from, if there are any.

    columns: how many pictures stand in a row; 0: about as many as there are rows. rate: sounds' samples a second.
    """

    items: Sequence[Any]
    originals: Sequence[Any] = ()
    columns: int = 0
    rate: int = 16_000

    @property
    def named(self) -> Iterator[tuple[str, Any]]:
        """Every item with a name for its file, an original just before what was made of it."""
        for place, item in enumerate(self.items):
            if self.originals:
                yield f"{place:05d}-original", self.originals[place]
            yield f"{place:05d}", item


Writer = Callable[[Path, Shown], None]


def write(kind: str, out: str | Path, shown: Shown) -> None:
    """Writes items of a kind to a file by its suffix, or, for pictures and sounds, to a folder of files.

    image: one .png of all of them, small ones enlarged, originals above what was made of them; or a folder of .png,
    each as it is. audio: one .wav, a short silence between sounds, each original before what was made of it; or a
    folder of .wav. series: .csv or .parquet, one row a time step, or .npy. table: .csv or .parquet. text: .txt, one a
    line. Originals are written of pictures and sounds only: rows and lines are in the order of what they came from.
    Raises BadInput for a suffix that the kind has no use for, and for a folder that holds something already.
    """
    out = Path(out)
    writer = writer_for(kind, out)
    with replacing(out, folder=not out.suffix) as partial:
        writer(partial, shown)


def writer_for(kind: str, out: str | Path) -> Writer:
    """What writes items of this kind to such a place; BadInput, before anything slow begins, where nothing can."""
    out = Path(out)
    known = _WRITERS.get(kind, _WRITERS["text"])
    if out.suffix not in known:
        places = ", ".join(suffix or "a folder (a name without a suffix)" for suffix in known)
        raise BadInput(f"{out}: items of the kind '{kind}' are written to {places}.")
    if out.suffix and out.is_dir():
        raise BadInput(f"{out} is a folder; give a file, or a new folder without a suffix.")
    if not out.suffix and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} holds other files; give a new or empty --out.")
    return known[out.suffix]


def picture_grid(pictures: Sequence[Picture | None], columns: int = 0) -> Picture:
    """Pictures (H, W) or (H, W, C), of any sizes, on one white sheet, row by row: (H', W') or, if any has colour,
    (H', W', 3). Each stands in the middle of a cell as large as the largest of them; None leaves its cell empty."""
    there = [picture for picture in pictures if picture is not None]
    if not there:
        raise BadInput("There are no pictures to show.")
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    colour = any(picture.ndim == 3 and picture.shape[2] > 1 for picture in there)
    height, width = (max(picture.shape[axis] for picture in there) + GAP for axis in (0, 1))
    rows = math.ceil(len(pictures) / columns)
    sheet = np.full((rows * height - GAP, columns * width - GAP, 3 if colour else 1), WHITE, np.uint8)
    for place, picture in enumerate(pictures):
        if picture is not None:
            top = place // columns * height + (height - GAP - picture.shape[0]) // 2
            left = place % columns * width + (width - GAP - picture.shape[1]) // 2
            deep = picture if picture.ndim == 3 else picture[:, :, None]
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = deep
    return sheet if colour else sheet[:, :, 0]


def above_each_other(originals: Sequence[Any], items: Sequence[Any], columns: int) -> list[Any]:
    """Rows of `columns` originals, each row above that of what was made of them; None fills the last rows up."""
    laid: list[Any] = []
    for start in range(0, len(items), columns):
        for side in (originals, items):
            row = list(side[start : start + columns])
            laid += row + [None] * (columns - len(row))
    return laid


def _png(path: Path, shown: Shown) -> None:
    columns, items = shown.columns, list(shown.items)
    if shown.originals:
        columns = columns or min(len(items), 8)
        items = above_each_other(shown.originals, items, columns)
    factor = max(1, EASY // max(max(item.shape[:2]) for item in shown.items))
    large = [None if item is None else item.repeat(factor, axis=0).repeat(factor, axis=1) for item in items]
    _save_picture(path, picture_grid(large, columns))


def _pngs(folder: Path, shown: Shown) -> None:
    for name, item in shown.named:
        _save_picture(folder / f"{name}.png", picture_grid([item], 1))


def _save_picture(path: Path, picture: Picture) -> None:
    Image.fromarray(picture).save(path, format="PNG")


def _wav(path: Path, shown: Shown) -> None:
    silence = np.zeros(round(SILENCE * shown.rate), np.float32)
    parts = [part for _, sound in shown.named for part in (silence, np.asarray(sound, np.float32))]
    _save_sound(path, np.concatenate(parts[1:]), shown.rate)


def _wavs(folder: Path, shown: Shown) -> None:
    for name, sound in shown.named:
        _save_sound(folder / f"{name}.wav", sound, shown.rate)


def _save_sound(path: Path, sound: Any, rate: int) -> None:
    """Samples in [-1, 1], (samples,), as 16 bits each; what is louder is clipped."""
    levels = np.rint(np.clip(np.asarray(sound, np.float32), -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(levels.itemsize)
        file.setframerate(rate)
        file.writeframes(levels.tobytes())


def _npy(path: Path, shown: Shown) -> None:
    shapes = {np.shape(item) for item in shown.items}
    if len(shapes) > 1:
        raise BadInput("Series of different lengths do not fit one .npy: write them to a .csv or a .parquet file.")
    with open(path, "wb") as file:
        np.save(file, np.stack([np.asarray(item) for item in shown.items]))


def _steps(shown: Shown) -> pa.Table:
    """Series (T, C) or (T,) as rows: the item's number, the step's, and a column for each channel."""
    series = [np.asarray(item).reshape(len(item), -1) for item in shown.items]
    lengths = [len(item) for item in series]
    columns = {
        "item": np.repeat(np.arange(len(series)), lengths),
        "step": np.concatenate([np.arange(length) for length in lengths]),
    }
    values = np.concatenate(series)
    return pa.table({**columns, **{str(place): values[:, place] for place in range(values.shape[1])}})


def _rows(shown: Shown) -> pa.Table:
    """Rows of a table, mappings or tuples, as a table."""
    items = [item if isinstance(item, Mapping) else dict(enumerate(item)) for item in shown.items]
    return pa.Table.from_pylist([{str(name): value for name, value in item.items()} for item in items])


def _txt(path: Path, shown: Shown) -> None:
    lines = [" ".join(str(text).split()) for text in shown.items]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _csv(table: Callable[[Shown], pa.Table]) -> Writer:
    return lambda path, shown: pa_csv.write_csv(table(shown), path)


def _parquet(table: Callable[[Shown], pa.Table]) -> Writer:
    return lambda path, shown: pq.write_table(table(shown), path)


_WRITERS: dict[str, dict[str, Writer]] = {
    "image": {".png": _png, "": _pngs},
    "audio": {".wav": _wav, "": _wavs},
    "series": {".csv": _csv(_steps), ".parquet": _parquet(_steps), ".npy": _npy},
    "table": {".csv": _csv(_rows), ".parquet": _parquet(_rows)},
    "text": {".txt": _txt},
}
