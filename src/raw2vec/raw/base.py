"""What every kind of raw data is: the way from a user's items to Ragged and back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import pyarrow as pa
from torch import Tensor

from raw2vec.errors import BadFolder, BadInput
from raw2vec.ragged import Ragged

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILES_AT_ONCE = 128
"""Items that are unpacked together where they are files: how large one is shows only then."""


@dataclass(frozen=True)
class Windows:
    """Items as windows of ids, pixels, frames or columns, ready for an encoder.

    ragged: W windows. owners (W,) int64: the item each window came from, in order; W is the number of items n unless
    long ones are chunked. tokens (n,) int64: all tokens or elements of each item, boundaries not counted. truncated
    (n,) int64: how many of those are in no window.
    """

    ragged: Ragged
    owners: Tensor
    tokens: Tensor
    truncated: Tensor


@dataclass(frozen=True)
class Form:
    """What a kind's Ragged looks like, once learned: what the parts that take it and give it back need to know.

    vocabulary: how many ids there are; 0 where values are numbers. written: how many of them, the first, texts are
    written with. channels: numbers an element. dimensions: axes of an
    item's grid. shape: the grid that every item has, or None where sizes differ; usual: then, the middle one of those
    learned from, which is what a code is decoded to where nobody says. categories: of a table, how many
    values each column knows, 0 for a column of numbers. beginning and ending: the ids that begin and end an item, and
    longest: the most rows it can have, of items that tell themselves where they end; None and 0: their size has to be
    told beforehand.
    """

    vocabulary: int = 0
    written: int = 0
    channels: int = 0
    dimensions: int = 1
    shape: tuple[int, ...] | None = None
    usual: tuple[int, ...] | None = None
    categories: tuple[int, ...] = ()
    beginning: int | None = None
    ending: int | None = None
    longest: int = 0


def listed(inputs: Any) -> list[Any]:
    """The items as a list, those of a table's only column; BadInput for what holds none, such as None."""
    if isinstance(inputs, Mapping) or hasattr(inputs, "columns"):  # which would give its columns' names
        names = list(inputs if isinstance(inputs, Mapping) else getattr(inputs, "column_names", inputs.columns))
        if len(names) != 1:
            told = ", ".join(map(str, names[:20]))
            raise BadInput(f"A table with the columns {told} is given for the items: give one of them, data[NAME].")
        inputs = inputs[names[0]]
    if isinstance(inputs, pa.ChunkedArray | pa.Array):
        return list(inputs.to_pylist())
    if not isinstance(inputs, Iterable):
        raise BadInput(f"Give an item or a list of items, not {inputs!r}.")
    return list(inputs)


class Raw(ABC):
    """One kind of raw data: a user's items ⇄ Ragged.

    `settings` are the constructor's. What `learn` finds (a vocabulary, sizes, means) is written by `save` to files of
    the model folder and brought back by `load`. A missing number is NaN all the way; an infinite one is BadInput.
    An item's number in an error is its place, or its own where items are `errors.Numbered`.
    """

    settings: dict[str, Any]
    files: str = ""
    """What an item is called that may be a file, by its path or its bytes: a picture, a sound. `learn` and `windows`
    pass over one that cannot be read where the items have a place to note it (`errors.spare`)."""
    nothing: Any = None
    """What stands for an item that is not there: the empty text. None: such an item is refused by its number."""
    target: Raw | None = None
    """What reads the target of a pair, where that has a vocabulary of its own."""
    partner: Raw | None = None
    """What reads the targets of pairs, where an encoder of their own does: of any kind. It is learned and saved apart,
    in a folder of its own."""

    @property
    @abstractmethod
    def form(self) -> Form:
        """What the Ragged of this kind looks like. BadInput before `learn`."""

    @abstractmethod
    def learn(self, items: Iterable[Any]) -> None:
        """Statistics of items that stream by. BadInput, by its number, for one that is not of this kind."""

    @abstractmethod
    def windows(self, items: Iterable[Any]) -> Windows:
        """Every item as one window or more, in order. BadInput, by its number, for one that is not of this kind."""

    @abstractmethod
    def restore(self, ragged: Ragged) -> list[Any]:
        """The items that windows tell of, of the dtype, range and layout that users have them in."""

    @abstractmethod
    def column(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
        """A column of rows as items, None where nothing is."""

    @final
    def read(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
        """The same as `windows` takes them: with `nothing` for what is not there."""
        return [self.nothing if item is None else item for item in self.column(batch, name)]

    @final
    def side(self, role: str) -> Raw:
        """What reads the side of a pair that plays this role: this, but for a target of another kind or vocabulary."""
        if self.partner is not None:
            return self.partner if role in ("target", "negative") else self
        return self.target if role == "target" and self.target is not None else self

    @final
    @property
    def reads_files(self) -> str:
        """The same of either side of a pair: of the inputs or, where those are no files, of the targets."""
        return self.files or (self.partner.files if self.partner is not None else "")

    @abstractmethod
    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        """What `encode` was handed as a list of items, and whether it was a single one."""

    @abstractmethod
    def freeze(self, item: Any, number: int | None = None) -> Tensor:
        """An item as one tensor, for a safetensors file; `thaw` gives it back. BadInput, by its number if told."""

    @abstractmethod
    def thaw(self, tensor: Tensor) -> Any:
        """The item that `freeze` was given."""

    @abstractmethod
    def identity(self) -> str:
        """Everything learned, as text: two kinds with the same identity make the same Ragged of the same items."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Writes what was learned to files of the folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Self:
        """The kind with these settings, what it learned read from the folder. BadFolder where it cannot be."""


class Noted(Raw):
    """A kind that learns a few numbers of its items, and notes them in a file of JSON by the name of `note`."""

    note: ClassVar[str]

    @final
    def identity(self) -> str:
        return json.dumps({"settings": self.settings, "learned": asdict(self._learned())})

    @final
    def save(self, folder: str | Path) -> None:
        """Writes the note."""
        Path(folder, self.note).write_text(json.dumps(asdict(self._learned())) + "\n", encoding="utf-8")

    @final
    @classmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Self:
        path, made = Path(folder, cls.note), cls(**settings)
        try:
            made._recall(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise BadFolder(f"{folder} has no {cls.note}.") from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise BadFolder(f"{path} is damaged ({error}).") from None
        return made

    @abstractmethod
    def _learned(self) -> DataclassInstance:
        """What `learn` found. BadInput before that."""

    @abstractmethod
    def _recall(self, told: dict[str, Any]) -> None:
        """Takes what a note tells for what was learned; any error of Python where it tells of something else."""
