"""The grid: every kind of data by every encoder by every objective that `build.py` knows; new ones are found here."""

import contextlib
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any

from real import KINDS, taught

from raw2vec.build import ENCODERS, OBJECTIVES, WRITERS, objective_called
from raw2vec.errors import BadInput
from raw2vec.presets import recipe as preset
from raw2vec.recipe import RETURNING, Recipe
from raw2vec.system import Raw2Vec

SMALL = {
    "dense": {"width": 24, "layers": 1},
    "recurrent": {"width": 24, "layers": 1},
    "convolutional": {"width": 24, "layers": 2},
    "transformer": {"width": 24, "layers": 2, "heads": 2},
}


@dataclass(frozen=True)
class Cell:
    """One place of the grid, with a model of it fitted once on the kind's data."""

    kind: str
    encoder: str
    objective: str
    latent: str = ""
    bridge: str = ""
    vocabularies: str = ""
    partner: str = ""
    writer: str = ""
    look: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = (self.kind, self.encoder, self.objective, self.latent, self.bridge, self.vocabularies, self.partner)
        return "-".join(filter(None, (*parts, self.writer, *self.look)))

    @property
    def decodes(self) -> bool:
        return self.objective in RETURNING

    @property
    def data(self) -> Any:
        return taught(self.kind) if self.objective == "distillation" else KINDS[self.kind].rows()

    def recipe(self, **training: object) -> Recipe:
        """A small recipe of this cell; dropout is on, so that training draws."""
        return self._texts(training) if self.kind == "text" else self._arrays(training)

    def _arrays(self, training: dict[str, object]) -> Recipe:
        kind = KINDS[self.kind]
        columns = dict(kind.columns)
        if self.partner:
            columns["target"] = columns.pop("label")
        elif self.objective == "distillation":
            columns["label"] = "teacher"
        elif self.objective != "supervised" and self.kind != "table":
            del columns["label"]  # a table's is left out of its rows all the same
        encoder = {"name": self.encoder, **SMALL.get(self.encoder, {}), "dropout": 0.1}
        sides = (self.kind, self.partner) if self.partner else None
        made = preset(self.kind, columns, objective=self.objective, encoder=encoder, latent=6, steps=1, seed=7,
                      alike=kind.alike, sides=sides, shapes={"input": (8, 8)})  # fmt: skip
        budget = {"steps": 12, "learning_rate": 5e-3, "hold_out": 0.2, "checks": 2, "average": 0.9, "save_every": 1e9}
        changes: dict[str, Any] = {f"training.{name}": value for name, value in {**budget, **training}.items()}
        changes |= {f"raw.{name}": value for name, value in kind.raw.items()} | {"stages.0.batch_items": 24}
        if self.partner:
            changes |= {"target.encoder.width": 24, "target.encoder.dropout": 0.1}
        if self.latent:
            changes |= {"latent": {"name": self.latent, "width": 6, "codes": 8, "groups": 3}}
        return made.changed(changes)

    def _texts(self, training: dict[str, object]) -> Recipe:
        budget = {"steps": 30, "learning_rate": 5e-3, "hold_out": 0.05, "checks": 2, "average": 0.9, "save_every": 1e9}
        encoder = {"name": self.encoder, **SMALL.get(self.encoder, {}), "dropout": 0.1}
        columns = {"input": "query", "target": "code"}
        if self.objective == "supervised" or self.decodes:
            columns = dict(KINDS["text"].columns)
        if self.objective == "distillation":
            columns = {"input": "code", "label": "teacher"}
        whole = self.decodes or self.encoder != "dense" or self.objective == "translation"
        tree: dict[str, Any] = {
            "kind": "pairs" if "target" in columns else "text",
            "columns": columns,
            "raw": {**KINDS["text"].raw, "boundaries": "cls-sep" if whole else "none"},
            "encoder": encoder,
            "stages": [{"objectives": [self.objective], "batch_items": 32}],
            "training": {**budget, **training},
            "seed": 7,
        }
        if self.objective == "translation":
            writes = self.writer or (self.encoder if self.encoder in WRITERS else "recurrent")
            tree["decoder"] = {"name": writes, **SMALL[writes], "dropout": 0.1, "words": "tied"}
            tree |= {"latent": {"name": "point", "width": 6}, "embedding": {"width": 24}}
            # A function is longer than what its docstring says of it, and holds its words.
            tree["filters"] = {"ratio": 1000.0, "copies": 1.0}
            look = {name: name == "coverage" or value for name, _, value in (each.partition("=") for each in self.look)}
            tree |= {"bridge": {"name": self.bridge, **look}} if self.bridge else {}
            tree["raw"] |= {"vocabularies": self.vocabularies} if self.vocabularies else {}
        if self.decodes:
            tree["decoder"] = {"name": "recurrent", "width": 24, "cell": "gru"}
            tree["latent"] = {"name": "gaussian" if self.objective == "variational" else "point", "width": 6}
        return Recipe.read(tree)

    def fitted(self) -> Raw2Vec:
        """A model of this cell, the same one for every law."""
        return _fitted(self)

    def items(self, count: int) -> list[Any]:
        """Items of very different sizes, where the kind has such."""
        return KINDS[self.kind].items()[3 : count + 3]


@cache
def _fitted(cell: Cell) -> Raw2Vec:
    return Raw2Vec(recipe=cell.recipe()).fit(cell.data)


NONSENSE = (Cell("series", "dense", "contrastive"),)
"""What claims not to exist: series are told apart moment by moment, of which a bag knows nothing."""


def every_cell() -> list[Cell]:
    """All that claim to exist, and one of the latent that no other cell has; sounds, which are grids as pictures are,
    by one cell of each encoder and each objective."""
    found = []
    for kind in KINDS:
        for objective in OBJECTIVES:
            with contextlib.suppress(BadInput):  # what makes no sense for a kind says so: tests/test_build.py
                objective_called(objective, kind)
                found += [Cell(kind, encoder, objective) for encoder in ENCODERS]
    sounds = [cell for cell in found if cell.kind == "audio"]
    fewer = [cell for cell in found if cell.kind != "audio" and cell not in NONSENSE]
    return [
        *fewer,
        *_one_of_each(sounds),
        Cell("image", "dense", "variational", "quantised"),
        *_translators(),
        *_dual(),
    ]


def _translators() -> list[Cell]:
    """By every writer and every bridge that it knows beside its usual one, after every other encoder of sequences; one
    with two vocabularies; and attention that is scored in the other way, and minds what it has looked at."""
    others = [(name, bridge) for name, made in WRITERS.items() for bridge in made.bridges[1:]]
    bridged = [Cell("text", name, "translation", bridge=bridge) for name, bridge in others]
    mixed = [Cell("text", reads, "translation", writer=writes) for reads, writes in permutations(WRITERS, 2)]
    looks = [("score=multiplicative",), ("coverage",)]
    looking = [Cell("text", "recurrent", "translation", bridge="attention", look=look) for look in looks]
    return [*bridged, *mixed, *looking, Cell("text", "recurrent", "translation", vocabularies="separate")]


def _dual() -> list[Cell]:
    """Pairs with words, each side by its own encoder: pictures by every one, the other kinds by one."""
    pictures = [Cell("image", encoder, "contrastive", partner="text") for encoder in ENCODERS]
    others = (("audio", "convolutional"), ("series", "recurrent"), ("table", "transformer"))
    return [*pictures, *(Cell(kind, encoder, "contrastive", partner="text") for kind, encoder in others)]


def one_of_each() -> list[Cell]:
    """For laws that take a fit of their own: of each kind each encoder and each objective, of texts more."""
    cells = every_cell()
    texts = [cell for cell in cells if cell.kind == "text" and not cell.decodes]
    return [*texts, *_one_of_each([cell for cell in cells if cell not in texts])]


def _one_of_each(cells: list[Cell]) -> list[Cell]:
    """As few as show every encoder and every objective of their kind: the nth encoder with the nth objective first."""
    kept, seen = [], set()
    order = {name: place for place, name in enumerate(ENCODERS)}
    for cell in sorted(cells, key=lambda cell: (cell.kind, (order[cell.encoder] - len(cell.objective)) % 4 > 0)):
        marks = {(cell.kind, cell.encoder), (cell.kind, cell.objective, cell.latent, cell.partner)}
        if not marks <= seen:
            kept.append(cell)
            seen |= marks
    return kept
