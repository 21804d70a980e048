"""Files, stores and questions as the facade has them: vectors of whole files, and the rows that are nearest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raw2vec.disk import refuse_source
from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.measure import columns_of
from raw2vec.raw import Text
from raw2vec.sides import Side, column_side, likely_side, sought
from raw2vec.use.embed import Embedded, embed
from raw2vec.use.index import Indexed, Space, approximated, index, store_for
from raw2vec.use.prompt import Purpose, prompt_meant
from raw2vec.use.stores import Hit, open_store


class Searching(ABC):
    """What a model does with files of items: their vectors into files and stores, and from there to who asks."""

    fingerprint_: str
    n_features_out_: int
    seed: int

    @abstractmethod
    def _parts(self) -> Model:
        """Everything the model is made of; NotFittedError before there is one."""

    @abstractmethod
    def _counted(
        self, items: Sequence[Any], role: str = "input", purpose: Purpose | None = None, prompt: str | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The items' vectors (n, L) and how many tokens were cut off each (n,), after the purpose's prompt if any, or
        after this one."""

    def embed(
        self,
        data: Any,
        out: str | Path,
        *,
        input: str | None = None,
        side: Side | None = None,
        prompt: str | None = None,
        resume: bool = False,
        progress: Callable[[int], None] = lambda items: None,
    ) -> Embedded:
        """Writes the vectors of a file's rows to a folder of Parquet shards, or to one .npy or .parquet file.

        input: the column that is encoded. side: whose encoder reads it, of pairs whose sides have one each; none: by
        the column's name and by what is in it. prompt: what stands before every text, by the name that the model knows
        it by or in words ("query: "); none: the model's default one, if it has one.
        """
        refuse_source(out, data)
        words = None if prompt is None else prompt_meant(self._parts().recipe, prompt)
        rows, columns = columns_of(self._parts(), data, input=input)
        column, to, mark = columns["input"], Path(out), self.fingerprint_
        role = side or column_side(self._parts(), rows, column)
        if words and not isinstance(self._parts().raw.side(role), Text):
            raise BadInput(f"A prompt stands before texts, and '{column}' is read as none: leave out --prompt.")
        read, counted = self._parts().raw.side(role).read, partial(self._counted, role=role, prompt=words)
        options: dict[str, Any] = {"prompt": words, "resume": resume, "progress": progress}
        return embed(rows, column, counted, to, read=read, fingerprint=mark, **options)

    def index(
        self,
        data: Any,
        store: str | Path,
        *,
        input: str | None = None,
        side: Side | None = None,
        resume: bool = False,
        approximate: bool = False,
        progress: Callable[[int], None] = lambda items: None,
    ) -> Indexed:
        """Puts the rows' vectors and columns into a store, new or this model's own, each row once.

        input: the column that is encoded; none: of pairs the target, which queries look for, and of pairs with words
        what is no text. side: as for `embed`. resume: go on with a
        store that is there. approximate: build an approximate index as well, where there are rows enough to gain by it.
        """
        parts = self._parts()
        rows, columns = columns_of(parts, data, sought(parts), input=input)
        home = str(Path(self.source_).absolute()) if hasattr(self, "source_") else ""
        space = Space(self.n_features_out_, self.fingerprint_, home)
        column = columns["input"]
        role = side or column_side(parts, rows, column)
        read, counted = parts.raw.side(role).read, partial(self._counted, role=role, purpose="document")
        words = column if isinstance(parts.raw.side(role), Text) else None
        with store_for(store, space, words, resume) as made:
            done = index(rows, column, counted, made, read=read, progress=progress)
            return approximated(done, made, self.seed) if approximate else done

    def search(
        self,
        store: str | Path,
        queries: Any,
        k: int = 10,
        where: str | None = None,
        mode: Literal["exact", "approximate", "hybrid"] = "exact",
        side: Side | None = None,
    ) -> list[list[Hit]]:
        """The k rows of a store nearest to each query; `where` is a filter in SQL over its columns.

        side: whose encoder reads the queries, of pairs whose sides have one each; none: by what the queries are.
        """
        role = side or likely_side(self._parts(), queries)
        items = self._parts().raw.side(role).items(queries)[0]
        vectors = self._counted(items, role, "query")[0]
        return open_store(store, self.fingerprint_).search(vectors, k, where, items, mode)
