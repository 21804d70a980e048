"""A file surveyed as the facade has it: a map of its items, near-duplicates and clusters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raw2vec.disk import refuse_source
from raw2vec.folder import Model
from raw2vec.measure import columns_of
from raw2vec.recipe import TEXTS, Role
from raw2vec.rows import Rows
from raw2vec.sides import Side, column_side, told
from raw2vec.use.base import blocks
from raw2vec.use.encode import features
from raw2vec.use.group import Groups, group
from raw2vec.use.map import Mapped, Seen, map_of

ALIKE = 0.97  # cosine of near-duplicates, where nobody says


class Surveying(ABC):
    """What a model shows of a whole file."""

    seed: int

    @abstractmethod
    def _parts(self) -> Model:
        """Everything the model is made of; NotFittedError before there is one."""

    @abstractmethod
    def _counted(self, items: Sequence[Any], role: str = "input") -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The items' vectors (n, L) and how many tokens were cut off each (n,)."""

    def features(self, items: Any, layer: int = -1) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """The states of one layer, (T, D) for each text's T tokens; layer 0 is the encoder's input, -1 its output."""
        parts = self._parts()
        several, single = parts.raw.items(items)
        found = features(parts.model, parts.raw, several, layer)
        return found[0] if single else found

    def map(
        self,
        data: Any,
        out: str | Path,
        *,
        input: str | None = None,
        label: str | None = None,
        side: Side | None = None,
        projection: str = "auto",
        most: int = 50_000,
        progress: Callable[[int], None] = lambda items: None,
    ) -> Mapped:
        """One page, in a file of its own that needs no network: every item a point, near what is like it.

        input: the column that is encoded. label: the column to colour by. projection: pca, tsne, umap or auto, see
        `use.map.projection`. most: of more rows a sample is shown.
        """
        refuse_source(out, data)
        seen, role = self._seen(data, input, label, side)
        name = getattr(self, "source_", None)
        title = f"{Path(seen.rows.name).name}" + (f", as {Path(name).name} sees it" if name else "")
        options: dict[str, Any] = {"projection": projection, "most": most, "seed": self.seed, "progress": progress}
        return map_of(seen, partial(self._counted, role=role), Path(out), title=title, **options)

    def group(
        self,
        data: Any,
        *,
        input: str | None = None,
        side: Side | None = None,
        threshold: float = ALIKE,
        clusters: int | None = None,
        progress: Callable[[int], None] = lambda items: None,
    ) -> Groups:
        """Near-duplicates, items whose cosine is at least `threshold`, linked; and clusters; see `use.group`."""
        seen, role = self._seen(data, input, None, side)
        found = []
        for _, items, _ in blocks(seen.rows, seen.column, seen.raw.read):
            found.append(self._counted(items, role)[0])
            progress(len(items))
        return group(np.concatenate(found), threshold, clusters, self.seed)

    def _seen(self, data: Any, input: str | None, label: str | None, side: Side | None) -> tuple[Seen, Side]:
        """The data as a survey reads them, and the side that does."""
        parts = self._parts()
        rows, columns = columns_of(parts, data, told(parts), input=input, label=label)
        role = side or column_side(parts, rows, columns["input"])
        recipe = parts.recipe
        kind = recipe.kind if recipe.target is None or role == "input" else recipe.target.kind
        caption = _caption(parts, rows, columns["input"])
        return Seen(rows, columns["input"], kind, parts.raw.side(role), caption, columns.get("label")), role


def _caption(parts: Model, rows: Rows, column: str) -> str | None:
    """The column of words beside the one that is encoded, where pairs have such and it is there."""
    recipe = parts.recipe
    if recipe.target is None:
        return None
    sides: tuple[tuple[Role, str], ...] = (("input", recipe.kind), ("target", recipe.target.kind))
    kinds = {recipe.columns[role]: kind for role, kind in sides if role in recipe.columns}  # a checkpoint names none
    return next(
        (name for name, kind in kinds.items() if kind in TEXTS and name in rows.columns and name != column), None
    )
