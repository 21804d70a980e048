"""The way back as the facade has it: codes to items, new items, items between items, and how normal an item is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from raw2vec.errors import BadInput, NumberedList
from raw2vec.folder import Model
from raw2vec.seeding import Draws
from raw2vec.use import classify, detect, generate
from raw2vec.use.encode import encode
from raw2vec.use.speak import Side, spoken
from raw2vec.use.translate import rounded, translate
from raw2vec.use.write import Manner, beam_for


class Decoding(ABC):
    """What a model with a decoder can do beyond encoding. Every method of one without raises BadInput.

    Items come as users have them, but of one type a kind: pictures as uint8 arrays from 0 to 255, series as float32,
    sounds as float32 at the model's rate (`parts_.raw.rate`; 16 kHz unless raw.rate says another), rows of a table as
    dicts, which pandas.DataFrame(…) makes a frame of. Several are one array where they are arrays of one shape, else a
    list.
    """

    @abstractmethod
    def _parts(self) -> Model:
        """Everything the model is made of; NotFittedError before there is one."""

    @abstractmethod
    def _device(self) -> torch.device:
        """Where to work."""

    def decode(self, Z: ArrayLike, sizes: ArrayLike | None = None, *, side: Side = "target", beam: int = 5) -> Any:
        """The items that codes (n, L) stand for, of the types that `Decoding` tells; a code (L,) gives a single item.

        sizes: how large the items are to be, where the model was trained on several sizes: (height, width) of pictures,
        the length of sequences, one for all or one for each; none: of the middle size of those trained on. side, beam:
        of a translator, in which language to write (the input's own is learned by `autoencode`), and how.
        """
        codes = Z if isinstance(Z, torch.Tensor) else np.asarray(Z)
        single = codes.ndim == 1 and len(codes) > 0
        parts, several = self._placed(), codes[None] if single else codes
        if parts.recipe.translates:
            items: list[Any] = list(spoken(parts, several, side, Manner(beam)))
        else:
            items = generate.decode(parts, several, sizes)
        return items[0] if single else _stacked(items)

    def inverse_transform(self, X: ArrayLike) -> Any:
        """scikit-learn's name for `decode`."""
        return self.decode(X)

    def reconstruct(self, X: Any) -> Any:
        """Each item through its own code and back; a single item gives a single one."""
        parts = self._placed()
        items, single = parts.raw.items(X)
        made = generate.reconstruct(parts, items)
        return made[0] if single else _stacked(made)

    def sample(self, n: int = 1, seed: int = 0, like: Any = None, sizes: ArrayLike | None = None) -> Any:
        """n items that nobody has seen: same seed, same items.

        Codes are drawn from the latent's prior, or, with `like`, from a mixture of Gaussians fitted to the codes of
        these items; a latent without a prior needs it. sizes: as in `decode`; none: where sizes differ, those of items
        of `like`, drawn as well, or the middle one.
        """
        parts = self._placed()
        if like is None:
            return _stacked(generate.sample(parts, n, seed, shapes=sizes))
        items, _ = parts.raw.items(like)
        codes = encode(parts.model, parts.raw, items).vectors
        if sizes is None and parts.raw.form.shape is None and items:
            sizes = _drawn_sizes(parts, items, n, seed)
        return _stacked(generate.sample(parts, n, seed, codes=codes, shapes=sizes))

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> Any:
        """`steps` items on the line from a's code to b's, their own reconstructions at its ends."""
        parts = self._placed()
        return _stacked(generate.interpolate(parts, _one(parts, a), _one(parts, b), steps))

    def translate(
        self,
        X: str | Sequence[str],
        beam: int | None = None,
        *,
        best: int = 1,
        length_penalty: float = 1.0,
        temperature: float = 0.0,
        seed: int = 0,
        begin: str | None = None,
        coverage_penalty: float = 0.0,
        beside: Sequence[Decoding] = (),
        precision: Literal["float32", "int8"] = "float32",
    ) -> Any:
        """The translation of each text; a single text gives a single one, an empty one an empty one.

        beam: drafts that are followed at a time; none: 5, or as many as are to be given, and 1 of drawn tokens. best:
        above 1, so many drafts of each, a list of (text, score).
        length_penalty, temperature, seed, coverage_penalty: see use.write.Manner. begin: how every translation begins.
        beside: translators of the same vocabulary that write together with this one, an ensemble. precision: "int8" is
        about 1.4 times as fast on CPUs that multiply whole numbers fast (VNNI), and a little off.
        """
        parts = self._placed()
        texts, single = parts.raw.items(X)
        beam = beam_for(best, temperature) if beam is None else beam
        manner = Manner(beam, length_penalty, best, temperature, seed, coverage_penalty=coverage_penalty)
        prefixes = None if begin is None else [begin] * len(texts)
        first, *others = [_precisely(each, precision) for each in (parts, *(other._placed() for other in beside))]
        found = translate(first, texts, manner, prefixes, beside=others)
        made: list[Any] = [
            each.text if best == 1 else list(zip(each.texts, each.scores, strict=True)) for each in found
        ]
        return made[0] if single else made

    def score_samples(self, X: Any, samples: int = 1, seed: int = 0) -> NDArray[np.float64]:
        """How normal each item is, (n,) nats, higher is more so: its log-likelihood given its code, or, for a latent
        that is a distribution, the evidence lower bound, the mean over `samples` draws. It is the whole item's where
        all items are of one size, and nats an element (pixel, frame, token) where sizes differ."""
        parts = self._placed()
        items = X if isinstance(X, NumberedList) else parts.raw.items(X)[0]
        return detect.score_samples(parts, items, samples, seed)

    def score(self, X: Any, y: Any = None) -> float:
        """What scikit-learn's searches make as large as they can: with labels y, of a model trained on such, the share
        told right, or R² of numbers; else the mean of `score_samples`."""
        parts = self._parts()
        if y is not None and classify.heads(parts):
            vectors = encode(parts.model, parts.raw, parts.raw.items(X)[0]).vectors
            return classify.score(parts, vectors, list(y))
        if not (scores := self.score_samples(X)).size:
            raise BadInput("There are no items to score: hand in at least one.")
        return float(scores.mean())

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Scores above the threshold, (n,): an item below zero counts as an anomaly."""
        return self.score_samples(X) - self.threshold_

    @property
    def threshold_(self) -> float:
        """The score below which an item counts as an anomaly, found while fitting."""
        line = self._parts().report.get("threshold")
        if line is None:
            raise BadInput(
                "This model knows no threshold between normal items and anomalies. Take one from items of your own: "
                "raw2vec.use.detect.threshold(model.score_samples(items), contamination=0.1)."
            )
        return float(line)

    def _placed(self) -> Model:
        parts = self._parts()
        parts.model.to(self._device())
        return parts


def _precisely(parts: Model, precision: str) -> Model:
    if precision not in ("float32", "int8"):
        raise BadInput(f"Translations are made in float32 or int8, not in '{precision}'.")
    return rounded(parts) if precision == "int8" else parts


def _one(parts: Model, given: Any) -> Any:
    items, _ = parts.raw.items(given)
    if len(items) != 1:
        raise BadInput(f"A line runs from one item to one other, but an end of it holds {len(items)}.")
    return items[0]


def _drawn_sizes(parts: Model, items: Sequence[Any], count: int, seed: int) -> NDArray[np.int64]:
    """The grids (count, k) of items drawn by the seed."""
    shapes = parts.raw.windows(items).ragged.shapes
    luck = Draws(seed).uniform("size", torch.arange(count))
    return np.asarray(shapes[(luck * len(shapes)).long()])


def _stacked(items: list[Any]) -> Any:
    """One array (n, …) where the items are arrays of one shape, else the list as it is."""
    same = items and all(isinstance(item, np.ndarray) and item.shape == items[0].shape for item in items)
    return np.stack(items) if same else items
