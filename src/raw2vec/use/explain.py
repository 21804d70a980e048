"""How a translation came about: what each written token looked at, or how the vector grew word by word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.tokens.placeholders import without_marks
from raw2vec.use.base import is_empty
from raw2vec.use.encode import encode, evaluation
from raw2vec.use.protect import protected
from raw2vec.use.translate import translate, translator
from raw2vec.use.write import Manner

BEGIN, END = "(begin)", "(end)"  # the tokens round a text, which hold nothing of it


@dataclass(frozen=True)
class Looks:
    """What a decoder looked at as it wrote: `shares` (T, S) of each written token over the source's, each row one.

    written: the T tokens as text, the end among them; source: the S tokens, with the text's begin and end. Where there
    are several heads or layers it is their mean.
    """

    translation: str
    source: list[str]
    written: list[str]
    shares: NDArray[np.float32]

    @property
    def strongest(self) -> list[tuple[str, float]]:
        """The source token that each written one looked at most, and its share."""
        places = self.shares.argmax(axis=1)
        shares = self.shares[np.arange(len(places)), places].tolist()
        return [(self.source[place], share) for place, share in zip(places.tolist(), shares, strict=True)]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {**vars(self), "shares": self.shares.round(4).tolist()}

    @property
    def picture(self) -> tuple[list[str], list[str], NDArray[np.float32]]:
        """What a heat map shows: names above its columns, names beside its rows, and its cells from 0 to 1."""
        return self.source, self.written, self.shares


@dataclass(frozen=True)
class Growth:
    """How the one vector that a decoder is told of came about: the text's beginnings, each a word longer.

    words: the last of each beginning, W of them; cosines (W, W): between the vectors of the beginnings, which are read
    anew, their tokens being those that they have in the whole. The last one is the whole text. nearest: of each
    beginning the line nearest to it, and its cosine, where there are lines to look among.
    """

    translation: str
    words: list[str]
    cosines: NDArray[np.float32]
    nearest: list[tuple[str, float]] = field(default_factory=list)

    @property
    def moved(self) -> list[float | None]:
        """How far each word moved the vector, as a cosine distance, 0 to 2; the first has none to compare with."""
        return [None, *(1 - np.diagonal(self.cosines, 1)).tolist()]

    @property
    def near(self) -> list[float]:
        """The cosine of each beginning's vector with that of the whole text."""
        return [float(cosine) for cosine in self.cosines[:, -1]]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        known: dict[str, Any] = {"translation": self.translation, "words": self.words}
        known |= {"nearest": [{"text": text, "cosine": cosine} for text, cosine in self.nearest]}
        return {**known, "moved": self.moved, "near": self.near, "cosines": self.cosines.round(4).tolist()}

    @property
    def picture(self) -> tuple[list[str], list[str], NDArray[np.float32]]:
        """What a heat map shows: how near the beginnings' vectors are to one another, from 0 to 1."""
        return self.words, self.words, self.cosines.clip(0, 1)


def explain(parts: Model, text: str, beam: int = 5, among: Sequence[str] = ()) -> Looks | Growth:
    """How one text is translated: Looks where the decoder looks at the encoder's states, Growth where it has a vector.

    among: lines, such as those learned from, of which the nearest to the vector after each word is told.
    BadInput for a model that does not translate, or whose encoder keeps no state for each token; for an empty text, and
    for one so long that it is translated part by part; for lines where there is no vector.
    """
    model, raw = translator(parts), parts.raw
    assert isinstance(raw, Text)
    if is_empty(text):
        raise BadInput("There is no text to explain: give one with a word in it.")
    found = translate(parts, [text], Manner(beam=beam))[0]
    if found.parts > 1 or found.truncated:
        raise BadInput("The text is so long that it is translated part by part: explain one of its sentences.")
    if among and not model.fixed:
        raise BadInput("This decoder looks at every word, and has no one vector that a line could be near to.")
    shown = protected(text, raw, parts.recipe)
    if is_empty(shown.text):
        raise BadInput("The model knows no character of this text, so that it is copied as it is: nothing is read.")
    pieces, device = shown.marked.pieces, model.device
    source = raw.windows([shown.text]).ragged.to(device)
    with evaluation(model):
        if model.fixed:
            words, vectors = _growth(model, raw, source, pieces)
            return Growth(found.text, words, _numbers(vectors @ vectors.T), _nearest(parts, vectors, among))
        written = Ragged.of([torch.tensor([model.beginning, *found.ids[0], model.ending], device=device)])
        shares = _looks(model, source, written)
    return Looks(found.text, _names(raw, source, pieces), _names(raw, written, pieces)[1:], shares)


def _looks(model: SequenceToSequence, source: Ragged, written: Ragged) -> NDArray[np.float32]:
    """Shares (T, S) of the source's tokens as each written token but the first is told from those before it."""
    read = model.read(source)
    assert read.memory is not None, "it looks at states"
    if read.memory.rows.shape[1] != len(source.values):
        raise BadInput(
            f"This model's encoder makes {read.memory.rows.shape[1]} states of {len(source.values)} tokens, so that "
            "none of them is a word's own: there is nothing to see of what was looked at."
        )
    return _numbers(model.looks(read, written))


def _growth(model: SequenceToSequence, raw: Text, source: Ragged, pieces: list[str]) -> tuple[list[str], Tensor]:
    """The last word of each beginning, and their vectors (W, L), of length one."""
    begin, ids, end = source.values[:1], source.values[1:-1], source.values[-1:]
    beginnings = raw.restore(Ragged.of([ids[: place + 1] for place in range(len(ids))]))
    counts = [len(text.split()) for text in beginnings]
    # A word ends where the next token begins another one; white space before the first word is none.
    ends = [place for place, count in enumerate(counts) if count and count not in counts[place + 1 : place + 2]]
    words = [without_marks(beginnings[place].split()[-1], pieces) for place in ends]
    vectors = model(Ragged.of([torch.cat((begin, ids[: place + 1], end)) for place in ends]))
    return words, normalize(vectors, dim=-1)


def _nearest(parts: Model, vectors: Tensor, among: Sequence[str]) -> list[tuple[str, float]]:
    """The line nearest to each vector, and its cosine."""
    lines = [line for line in among if not is_empty(line)]
    if not lines:
        return []
    read = torch.from_numpy(encode(parts.model, parts.raw, lines).vectors).to(vectors.device)
    cosines, places = (vectors @ normalize(read, dim=-1).T).max(dim=1)
    return [(lines[place], cosine) for place, cosine in zip(places.tolist(), cosines.tolist(), strict=True)]


def _names(raw: Text, item: Ragged, pieces: list[str]) -> list[str]:
    """What to call each token of one item: its text, with the placeholder for which a mark stands."""
    edges = {raw.start: BEGIN, raw.end: END}
    ids = item.values.tolist()
    texts = raw.restore(Ragged(item.values, torch.ones(len(ids), 1, dtype=torch.long)))
    return [edges.get(i) or without_marks(text.strip(), pieces) or "␣" for i, text in zip(ids, texts, strict=True)]


def _numbers(values: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = values.float().cpu().numpy()
    return found
