"""Exported: a folder that `raw2vec export` wrote for OpenVINO or ONNX, at work as a model is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.calibration import first_numbers
from raw2vec.engines import Engine
from raw2vec.engines.exports import Opened
from raw2vec.folder import Model, keep_ranges
from raw2vec.system.searching import Searching
from raw2vec.use.base import Small
from raw2vec.use.compact import Dtype, as_dtype, ranges_for
from raw2vec.use.encode import encode, warn
from raw2vec.use.prompt import Purpose, prompt_for, prompted


class Exported(Searching):
    """An encoder that another engine runs: it gives vectors of texts, of files, and of questions to a store.

    In float32 its vectors are the model's own, so that it adds to the model's stores and searches them.
    """

    def __init__(self, folder: str | Path):
        """BadFolder for a folder that is damaged or no export."""
        self.opened = Opened(Path(folder))
        self.fingerprint_, self.source_ = self.opened.space, str(folder)
        self.n_features_out_, self.seed = self.opened.parts.model.latent.width, self.opened.parts.recipe.seed

    def encode(
        self,
        inputs: Any,
        purpose: Purpose | None = None,
        precision: str | None = None,
        truncate_dim: int | None = None,
        output_dtype: Dtype = "float32",
    ) -> Small:
        """Vectors (n, L) of n texts, or (L,) of one. purpose: whose prompt stands before them, query or document.

        truncate_dim, output_dtype: as for a model's own `encode`.
        """
        raw, ranges = self.opened.parts.raw, ranges_for(self.opened.parts, "input", output_dtype, truncate_dim)
        items, single = raw.items(inputs)
        items = list(prompted(items, prompt_for(self.opened.parts.recipe, purpose)))
        found = encode(self.opened.parts.model, raw, items, engine=self._engine("input", None, precision))
        warn(found, raw)
        small = as_dtype(first_numbers(found.vectors, truncate_dim, self._unit), output_dtype, ranges)
        return small[0] if single else small

    def save(self, out: str | Path) -> None:
        """A copy of the folder, with the ranges that were found since."""
        keep_ranges(Path(self.source_), self.opened.parts.ranges, Path(out))

    def _parts(self) -> Model:
        return self.opened.parts

    def _counted(
        self,
        items: Sequence[Any],
        role: str = "input",
        purpose: Purpose | None = None,
        prompt: str | None = None,
        engine: Engine | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        parts = self.opened.parts
        items = prompted(items, prompt_for(parts.recipe, purpose) if prompt is None else prompt)
        found = encode(parts.model, parts.raw, items, engine=engine or self._engine(role, None, None))
        return found.vectors, found.truncated

    def _device(self, asked: str | None = None) -> torch.device:
        return torch.device("cpu")

    def _engine(self, role: str, name: str | None, precision: str | None, device: torch.device | None = None) -> Engine:
        held = self.__dict__.setdefault("_engines", {})
        if (name, precision) not in held:
            held[name, precision] = self.opened.engine(name, precision)
        found: Engine = held[name, precision]
        return found
