"""What the laws are tried on, by kind of data: real things that Python and its libraries ship, and tones."""

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

import raw2vec

RATE = 4000  # of the tones, in samples a second


@dataclass(frozen=True)
class Kind:
    """One kind of data: `rows` to fit on, and items of many sizes, or of the only one that there is.

    odd: items at the edge of what the kind takes. wrong: an item of another kind, or of a size it does not take.
    raw: settings that keep it small. alike: all items are of one size.
    """

    rows: Callable[[], Any]
    items: Callable[[], list[Any]]
    odd: Callable[[], list[Any]]
    wrong: Any
    raw: dict[str, Any]
    alike: bool
    columns: dict[str, str]


@cache
def functions() -> list[dict[str, str]]:
    """Functions of a few modules of the standard library: a question, the code that answers it, and its file."""
    rows = []
    for module in (ast, inspect, json, textwrap, raw2vec):
        rows += _functions(module)
    for name in ("argparse", "pathlib", "random", "statistics", "calendar"):
        rows += _functions(__import__(name))
    return rows


def _functions(module: ModuleType) -> list[dict[str, str]]:
    path = Path(inspect.getsourcefile(module) or "")
    source = path.read_text(encoding="utf-8")
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and (words := ast.get_docstring(node)):
            code = ast.get_source_segment(source, node) or ""
            found.append({"query": words.split("\n")[0], "code": code, "file": module.__name__})
    return found


@cache
def digits() -> dict[str, list[Any]]:
    """scikit-learn's handwritten digits, uint8 pictures (8, 8)."""
    loaded = load_digits()
    pictures = (loaded.images[:240] * 15).astype(np.uint8)
    return {"input": list(pictures), "label": [f"a {digit}" for digit in loaded.target[:240]]}


@cache
def wines() -> list[dict[str, Any]]:
    """scikit-learn's wines: six measurements, some of them missing, the shade as a category, and the cultivar."""
    loaded = load_wine()
    rows = []
    for number, (values, cultivar) in enumerate(zip(loaded.data, loaded.target, strict=True)):
        row: dict[str, Any] = dict(zip(loaded.feature_names[:6], map(float, values), strict=False))
        row["shade"] = ("pale", "deep", "dark")[int(values[9] > 3.5) + int(values[9] > 6)]
        row["cultivar"] = f"number {cultivar}"
        if number % 7 == 0:
            row["ash"] = None
        rows.append(row)
    return rows


@cache
def shapes_of_code() -> dict[str, list[Any]]:
    """How long the lines of each function are and how far they are indented: series (lines, 2) of 3 to 24 lines."""
    series, files = [], []
    for row in functions():
        lines = row["code"].split("\n")[:24]
        if len(lines) >= 3:
            steps = [(len(line), len(line) - len(line.lstrip())) for line in lines]
            series.append(np.array(steps, dtype=np.float32))
            files.append(row["file"])
    return {"input": series[:240], "label": files[:240]}


@cache
def tones() -> dict[str, list[Any]]:
    """Made, for no recording ships with a library: a tenth to a fifth of a second of a tone with its overtones."""
    generator = np.random.default_rng(0)
    sounds, pitches = [], []
    for number in range(180):
        pitch = (200, 330, 500)[number % 3]
        time = np.arange(int(generator.integers(RATE // 10, RATE // 5))) / RATE
        wave = sum(np.sin(2 * np.pi * pitch * k * time + generator.uniform(0, 6)) / k for k in (1, 2, 3))
        sounds.append((0.3 * wave).astype(np.float32))
        pitches.append(f"{pitch} Hz")
    return {"input": sounds, "label": pitches}


@cache
def taught(kind: str) -> Any:
    """The rows of this kind with what a teacher says of each, a vector, as the column 'teacher'."""
    rows = KINDS[kind].rows()
    if kind == "text":
        told = TruncatedSVD(24, random_state=0).fit_transform(TfidfVectorizer().fit_transform(r["code"] for r in rows))
    elif kind == "table":
        told = StandardScaler().fit_transform(load_wine().data)
    elif kind == "image":
        told = np.stack(rows["input"]).reshape(len(rows["input"]), -1) / 255
    else:
        told = StandardScaler().fit_transform([_bands(np.asarray(item, np.float64)) for item in rows["input"]])
    vectors = told.tolist()
    if isinstance(rows, list):
        return [{**row, "teacher": vector} for row, vector in zip(rows, vectors, strict=True)]
    return {"input": rows["input"], "teacher": vectors}


def _bands(item: np.ndarray) -> np.ndarray:
    """Eight numbers of a series or a sound: how loud its first channel is in as many bands of frequency."""
    first = item.reshape(len(item), -1)[:, 0]
    return np.log1p([band.mean() for band in np.array_split(np.abs(np.fft.rfft(first, 64)), 8)])


def _texts() -> list[Any]:
    return ["", "one", " \n\t", *(row["code"] for row in functions())]


def _long_and_odd_texts() -> list[Any]:
    long = " ".join(row["code"] for row in functions()[:50]) * 20
    return ["x", "a b", "é", "🙂", "\x00", long, "word " * 47, "word " * 46, "word " * 45]


def _odd_wines() -> list[Any]:
    whole = dict(wines()[1])
    return [whole, dict.fromkeys(whole), whole | {"shade": "never seen"}, whole | {"alcohol": 1e6}]


def _odd_series() -> list[Any]:
    long = np.concatenate(shapes_of_code()["input"][:40])
    return [long[:1], long[:2], long[:3], long[:400]]


def _odd_sounds() -> list[Any]:
    sound = tones()["input"][0]
    return [sound[:1], sound[:7], np.zeros(500, np.float32), np.tile(sound, 10)]


def _odd_pictures() -> list[Any]:
    return [np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8), np.eye(8, dtype=np.uint8) * 255]


PLAIN = {"input": "input", "label": "label"}
_WORDS: Sequence[Any] = ({"vocabulary": 600, "case": "lower", "words": "identifiers", "max_tokens": 48},)
KINDS: dict[str, Kind] = {
    "text": Kind(functions, _texts, _long_and_odd_texts, 7, dict(_WORDS[0]), False, {"input": "code", "label": "file"}),
    "image": Kind(
        digits, lambda: digits()["input"], _odd_pictures, np.zeros((9, 8), np.uint8), {}, True, PLAIN
    ),
    "table": Kind(wines, lambda: list(wines()), _odd_wines, 7, {}, True, {"input": "*", "label": "cultivar"}),
    "series": Kind(
        shapes_of_code, lambda: shapes_of_code()["input"], _odd_series, np.zeros((4, 3), np.float32), {}, False, PLAIN
    ),
    "audio": Kind(
        tones,
        lambda: tones()["input"],
        _odd_sounds,
        np.zeros((2, 3, 4), np.float32),
        {"rate": RATE, "n_fft": 64, "hop": 32, "mels": 8},
        False,
        PLAIN,
    ),
}  # fmt: skip
