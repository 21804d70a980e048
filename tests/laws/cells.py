"""The grid: every encoder by every objective that `build.py` knows. A new part is found here by itself."""

import ast
import inspect
import json
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import raw2vec
from raw2vec.build import DECODING, ENCODERS, OBJECTIVES
from raw2vec.recipe import Recipe
from raw2vec.system import Raw2Vec

SMALL = {
    "dense": {"width": 24, "layers": 1},
    "recurrent": {"width": 24, "layers": 1},
    "convolutional": {"width": 24, "layers": 2},
    "transformer": {"width": 24, "layers": 2, "heads": 2},
}


@dataclass(frozen=True)
class Cell:
    """One place of the grid, with a model of it fitted once on real text."""

    encoder: str
    objective: str

    def __str__(self) -> str:
        return f"{self.encoder}-{self.objective}"

    def recipe(self, **training: object) -> Recipe:
        """A small recipe of this cell; dropout is on, so that training draws."""
        budget = {"steps": 30, "learning_rate": 5e-3, "hold_out": 0.05, "checks": 2, "average": 0.9, "save_every": 1e9}
        encoder = {"name": self.encoder, **SMALL.get(self.encoder, {}), "dropout": 0.1}
        boundaries = "none" if self.encoder == "dense" else "cls-sep"
        columns = {"input": "query", "target": "code"}
        if self.objective == "supervised":
            columns = {"input": "code", "label": "file"}
        return Recipe.read(
            {
                "kind": "pairs" if "target" in columns else "text",
                "columns": columns,
                "raw": {"vocabulary": 600, "case": "lower", "words": "identifiers", "boundaries": boundaries,
                        "max_tokens": 48},
                "encoder": encoder,
                "stages": [{"objectives": [self.objective], "batch_items": 32}],
                "training": {**budget, **training},
                "seed": 7,
            }
        )  # fmt: skip

    def fitted(self) -> Raw2Vec:
        """A model of this cell, the same one for every law."""
        return _fitted(self)

    def items(self, count: int) -> list[str]:
        """Texts of very different lengths."""
        return [row["code"] for row in data()][:count]


@cache
def _fitted(cell: Cell) -> Raw2Vec:
    return Raw2Vec(recipe=cell.recipe()).fit(data())


def every_cell() -> list[Cell]:
    """Texts cannot be decoded yet: no objective that needs a decoder is among them."""
    return [Cell(encoder, objective) for encoder in ENCODERS for objective in OBJECTIVES if objective not in DECODING]


@cache
def data() -> list[dict[str, str]]:
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
