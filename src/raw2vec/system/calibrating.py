"""A model's own ranges, found in items of one's own: its numbers', and those that int8 arithmetic is given."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raw2vec import bundle
from raw2vec.calibration import Calibration, Ranges, calibrated, first_numbers
from raw2vec.engines import Engine, watched
from raw2vec.errors import BadInput
from raw2vec.folder import Model, keep_ranges
from raw2vec.levels import Levels
from raw2vec.measure import columns_of
from raw2vec.raw import Text
from raw2vec.sides import Side, column_side
from raw2vec.use.base import Encode, first
from raw2vec.use.compact import CALIBRATED_ON, read_ranges, refuse_looking, unit
from raw2vec.use.prompt import Purpose, prompt_meant


class Calibrating(ABC):
    """What a model learns of its numbers after it was fitted, so that they fit 8 bits."""

    fingerprint_: str
    source_: str
    n_features_out_: int
    seed: int

    @abstractmethod
    def _parts(self) -> Model:
        """Everything the model is made of; NotFittedError before there is one."""

    @abstractmethod
    def _counted(
        self,
        items: Sequence[Any],
        role: str = "input",
        purpose: Purpose | None = None,
        prompt: str | None = None,
        engine: Engine | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The items' vectors (n, L) and how many tokens were cut off each (n,), after the purpose's prompt if any, or
        after this one.

        engine: one of `_engine`'s.
        """

    @abstractmethod
    def save(self, out: str | Path) -> None:
        """Writes the model folder whole, in one step."""

    def first_items(self, data: Any, count: int, *, input: str | None = None, side: Side | None = None) -> list[Any]:
        """The first items of a file's column, as many as there are up to `count`, as this side's encoder reads them."""
        rows, columns = columns_of(self._parts(), data, input=input)
        raw = self._parts().raw
        return first(rows, columns["input"], (raw.side(side) if side else raw).read, count)

    def calibrate(
        self,
        data: Any,
        *,
        input: str | None = None,
        side: Side | None = None,
        prompt: str | None = None,
        items: int = CALIBRATED_ON,
        out: str | Path | None = None,
    ) -> Calibration:
        """Finds the ranges of int8, and keeps them in the model: `embed` and `encode` take them, `save` writes them. Of
        encoders of texts the levels of PyTorch's int8 arithmetic as well, so that precision="int8" starts at once.

        In the first `items` of the data's column, for the side that reads it, for whole vectors and for such as are cut
        to any number of their first. input, side, prompt: as for `embed`. out: where to write them as well: the model's
        own folder, whose other files stay as they are, or one that is to be a copy of it. BadInput for a checkpoint of
        others, which gets no files of ours.
        """
        parts, home = self._parts(), bundle.found(Path(self.source_)) if hasattr(self, "source_") else None
        ours = home is not None and (home / "raw.json").is_file()
        if home is not None and out is not None and not ours and Path(out) == home:
            raise BadInput("The folder of a checkpoint stays as it is: give --out DIR for the model with its ranges.")
        if out is not None and Path(out) != home and bundle.found(Path(out)).exists() and any(Path(out).iterdir()):
            raise BadInput(f"{out} holds a model already: give another --out, or remove it.")
        refuse_looking(parts)
        words = None if prompt is None else prompt_meant(parts.recipe, prompt)
        rows, columns = columns_of(parts, data, input=input)
        role = side or column_side(parts, rows, columns["input"])
        held = first(rows, columns["input"], parts.raw.side(role).read, items)
        told = f"{len(held):,} items of {rows.name}"
        with watched(parts.model.side(role)) as seen:
            vectors = self._counted(held, role=role, prompt=words)[0]
        found = Calibration.found(vectors, self._unit, told)
        parts.ranges[role] = found
        if seen and isinstance(parts.raw.side(role), Text):
            found = replace(found, maps=len(seen))
            ends = {name: each.cpu().numpy() for name, each in seen.items()}
            parts.levels[role] = Levels(ends, self.fingerprint_, told)
        self.__dict__.pop("_engines", None)
        parts.report["ranges"] = {side: each.told for side, each in parts.ranges.items()}
        if out is not None and home is not None and ours:
            keep_ranges(home, parts.ranges, Path(out), parts.levels)
        elif out is not None:
            self.save(out)
        return found

    def _ranges(
        self,
        calibrate: Any,
        numbers: int | None,
        own: Callable[[], list[Any]],
        encode: Encode,
        input: str | None,
        side: Side,
    ) -> tuple[Ranges, str]:
        """The ranges of int8, and what they were found in: those in a file, or those of the first items of other data,
        else the model's, else those of one's `own` items."""
        if isinstance(calibrate, str | Path) and str(calibrate).endswith(".npy"):
            return read_ranges(Path(calibrate), numbers or self.n_features_out_), f"the ranges of {calibrate}"
        if calibrate is None and (kept := self._parts().ranges.get(side)):
            return kept.of(numbers), f"the model's own ranges, of {kept.told}"
        items = own() if calibrate is None else self.first_items(calibrate, CALIBRATED_ON, input=input, side=side)
        named = "" if calibrate is None else f" of {calibrate if isinstance(calibrate, str | Path) else 'others'}"
        told = f"the ranges of the first {len(items):,} items{named}"
        return calibrated(first_numbers(encode(items)[0], numbers, self._unit)), told

    @property
    def _unit(self) -> bool:
        """Whether the model's vectors are of length one, and are to be so when they are cut."""
        return unit(self._parts())

    def _levels(self, role: str) -> Levels | None:
        """What `calibrate` found for int8 arithmetic; none, with a warning, where it was for other weights."""
        kept = self._parts().levels.get(role)
        if kept is None or kept.model == self.fingerprint_:
            return kept
        warnings.warn(
            f"The levels of int8 that the model keeps, of {kept.told}, were found for other weights, and are left out: "
            "find them anew with raw2vec calibrate MODEL DATA.",
            stacklevel=5,
        )
        return None
