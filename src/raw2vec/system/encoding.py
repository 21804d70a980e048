"""Items to vectors as the facade has it, with sentence-transformers' habits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partialmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raw2vec.calibration import first_numbers, unit_length
from raw2vec.engines import Engine, PyTorch
from raw2vec.errors import BadInput
from raw2vec.fitting.device import working_precision
from raw2vec.folder import Model
from raw2vec.sides import Side, likely_side
from raw2vec.use.base import Small
from raw2vec.use.compact import Dtype, as_dtype, ranges_for, unit
from raw2vec.use.encode import Encoded, encode, warn
from raw2vec.use.progress import bar
from raw2vec.use.prompt import Purpose, prompt_called, prompt_for, prompted


class Encoding(ABC):
    """What a model does with items in memory."""

    @abstractmethod
    def _parts(self) -> Model:
        """Everything the model is made of; NotFittedError before there is one."""

    @abstractmethod
    def _device(self, asked: str | None = None) -> torch.device:
        """Where the model runs."""

    @abstractmethod
    def _engine(
        self, role: str, name: str | None, precision: str | None, device: torch.device | None = None
    ) -> Engine | None:
        """The engine of this name; None: PyTorch in float32."""

    def encode(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: str = "sentence_embedding",
        precision: str | None = None,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        side: Side | None = None,
        purpose: Purpose | None = None,
        engine: str | None = None,
        output_dtype: Dtype = "float32",
    ) -> Small | Tensor | list[Tensor]:
        """Vectors (n, L) float32 of n items, or (L,) of a single one. The arguments are sentence-transformers'.

        precision: of the arithmetic inside: float32, bfloat16 or int8 (sentence-transformers calls what output_dtype is
        here so); none: float32, or what `auto` finds as near. engine: torch, openvino or onnx; auto: the
        fastest that is here and near float32 (cosine 0.9999 where it is tried); none: torch. batch_size: at most so
        many items at a time; none: as many as the token budget allows. truncate_dim: only the first numbers of each
        vector (Matryoshka). side: input or target, whose encoder reads them where each has its own; none: by what they
        are. prompt: words before every item; prompt_name: those that the model knows so; purpose: a query's or
        document's. output_dtype: what the numbers are given as: float16; int8 or uint8,
        within the ranges that `calibrate` has found; binary or ubinary, a bit each.
        """
        if output_value != "sentence_embedding":
            raise BadInput(f"encode gives output_value='sentence_embedding', not '{output_value}'; see features().")
        recipe = self._parts().recipe
        if prompt is None:
            prompt = prompt_called(recipe, prompt_name) if prompt_name else prompt_for(recipe, purpose)
        side = side or likely_side(self._parts(), inputs)
        items, single = self._parts().raw.side(side).items(inputs)
        items = list(prompted(items, prompt, self._parts().raw.side(side)))
        ranges = ranges_for(self._parts(), side, output_dtype, truncate_dim)
        if ranges is not None and normalize_embeddings and not unit(self._parts()):
            raise BadInput("The ranges are of vectors as the model gives them: leave out normalize_embeddings.")
        found = self.encoded(
            items,
            batch_size=batch_size,
            precision=precision,
            device=device,
            show_progress_bar=show_progress_bar,
            side=side,
            engine=engine,
        )
        vectors = first_numbers(found.vectors, truncate_dim, unit(self._parts()))
        vectors = unit_length(vectors) if normalize_embeddings else vectors
        small = as_dtype(vectors, output_dtype, ranges)
        given = torch.from_numpy(small) if convert_to_tensor or not convert_to_numpy else small
        return given[0] if single else given

    def encoded(
        self,
        items: Sequence[Any],
        *,
        batch_size: int | None = None,
        precision: str | None = None,
        device: str | None = None,
        show_progress_bar: bool | None = None,
        side: Side | None = None,
        engine: str | None = None,
    ) -> Encoded:
        """The items' vectors with the tokens of each and how many were cut off. Warns of what was cut."""
        parts, role = self._parts(), side or likely_side(self._parts(), items)
        place = self._device(device)
        model, raw = parts.model.to(place).side(role), parts.raw.side(role)
        known = engine is None and precision in (None, "float32", "bfloat16", "auto")
        plain = known and PyTorch(model, working_precision(precision or "float32", place))
        by = plain or self._engine(role, engine, precision, place)
        with bar(bool(show_progress_bar)) as progress:
            found = encode(model, raw, items, batch_size=batch_size, engine=by, progress=progress)
        warn(found, raw)
        return found

    # sentence-transformers' names for the two sides of a search.
    encode_query, encode_document = partialmethod(encode, purpose="query"), partialmethod(encode, purpose="document")

    def transform(self, X: Any) -> NDArray[np.float32]:
        """scikit-learn's name for `encode`: (n, L) float32."""
        return self.encoded(self._parts().raw.items(X)[0]).vectors
