"""Raw2Vec: the whole system behind one name. Raw data in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError

from raw2vec import bundle, folder, presets
from raw2vec.engines import Engine
from raw2vec.errors import BadFolder, TruncationWarning
from raw2vec.evaluate import Report
from raw2vec.fitting.continuing import start_of
from raw2vec.fitting.device import device_called
from raw2vec.fitting.fit import fit_model
from raw2vec.fitting.report import judged
from raw2vec.fitting.runs import begun, finished
from raw2vec.interchange import add_golden, card_of, dialect_of, model_at, write_extras
from raw2vec.measure import columns_of, inspected, measure, refuse_unread
from raw2vec.packaged import packaged
from raw2vec.recipe import Recipe, Role
from raw2vec.rows import WithHeldOut, open_rows
from raw2vec.sides import likely_side
from raw2vec.system.decoding import Decoding
from raw2vec.system.encoding import Encoding
from raw2vec.system.searching import Searching
from raw2vec.system.surveying import Surveying
from raw2vec.train.base import FINISHED, Listener
from raw2vec.use.classify import heads, predicted, supervised
from raw2vec.use.detect import flags
from raw2vec.use.encode import encode
from raw2vec.use.index import model_of, usual_mode
from raw2vec.use.inspect import Inspection
from raw2vec.use.prompt import Purpose, prompt_for, prompted
from raw2vec.use.zero_shot import PLAIN, Classes, classes

SEEKING = ("retrieval", "cross-retrieval")  # protocols in which an input asks and a target is found
TOLERANCE = 1e-4  # how far a golden vector may be off on other hardware
__all__ = ["Raw2Vec", "TruncationWarning", "fit", "load", "model_of", "usual_mode"]


class Raw2Vec(
    Decoding,
    Searching,
    Surveying,
    Encoding,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """An encoder of your own data, as a scikit-learn estimator with sentence-transformers' habits.

    objective: contrastive, masked, supervised, reconstruction or variational; none: by what the data hold.
    encoder: dense, recurrent, convolutional or transformer, or a mapping with its settings; none: by the objective.
    decoder: the way back, one of the same four; none: the encoder's mirror, for the two objectives that need one.
    latent: numbers in a vector; none: the encoder's width. size: tiny, small or base.
    minutes, steps: the budget of `fit`, one of them; none: five minutes.
    kind: text, pairs, image, audio, series or table; none: by the data.
    recipe: a recipe or its file, instead of all of the above. settings: changes by dotted key: {"encoder.layers": 2}.
    contamination: the share of items that count as anomalies, above 0 and at most 0.5; none: the recipe's, or a tenth.
    checkpoint: whose weights training begins from: a model folder, a checkpoint of others, or its name ("minilm").
    seed: same seed, data, machine and steps, same weights. device: none for a GPU where there is one, else the CPU.
    """

    def __init__(
        self,
        objective: str | None = None,
        encoder: str | Mapping[str, Any] | None = None,
        decoder: str | None = None,
        latent: int | None = None,
        size: str = "small",
        minutes: float | None = None,
        steps: int | None = None,
        kind: str | None = None,
        recipe: Recipe | str | Path | Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str | None = None,
        contamination: float | None = None,
        checkpoint: str | Path | None = None,
    ):
        self.objective, self.encoder, self.decoder, self.latent, self.size = objective, encoder, decoder, latent, size
        self.minutes, self.steps, self.kind, self.recipe = minutes, steps, kind, recipe
        self.settings, self.seed, self.device, self.contamination = settings, seed, device, contamination
        self.checkpoint = checkpoint

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        input: str | None = None,
        target: str | None = None,
        label: str | None = None,
        dev: Any = None,
        out: str | Path | None = None,
        resume: bool = False,
        listener: Listener = lambda event: None,
    ) -> Self:
        """Learns from texts, pairs of texts, a table of either, or a path to them.

        y: labels (n,), for supervised learning. input, target, label: the columns that play these roles. dev: rows of
        the same columns to judge by, instead of a part of X that is held out.
        out: the folder to save to; a run that is killed leaves `OUT.training` beside it, which `resume` goes on from.
        Raises BadInput for data that cannot be used, with the place and the reason.
        """
        self._device()  # a wrong one is refused before anything is read
        if out is not None:
            bundle.refuse_foreign(Path(out))
        wanted = [name for name in (input, target, label) if name is not None]
        rows = open_rows({"input": list(X), "label": list(y)} if y is not None else X, wanted, kind=self.kind)
        if dev is not None:
            rows = WithHeldOut(rows, open_rows(dev, wanted, kind=self.kind))
        asked: dict[Role, str | None] = {"input": input, "target": target, "label": "label" if y is not None else label}
        start = None if self.checkpoint is None else model_at(self.checkpoint)
        recipe = presets.chosen(rows, asked, self.get_params(), start_of(start))
        if start is None and recipe.checkpoint is not None:
            start = model_at(recipe.checkpoint)
        rows = presets.opened(rows, recipe)
        if out is not None and resume and finished(Path(out), recipe, rows.fingerprint()):
            listener(FINISHED)
            return self._opened(folder.load(Path(out), dialect_of), Path(out))
        with begun(None if out is None else Path(out), resume) as work:
            options: dict[str, Any] = {"resume": resume, "listener": listener, "device": self._device()}
            fitted = fit_model(rows, recipe, work, start=start, **options)
            self.__dict__.pop("source_", None)  # an older model's folder is no longer this one's
            self._adopt(fitted.model)
            self._card = judged(fitted, self._encode, rows.fingerprint())
            if out is not None and fitted.leads:
                self.save(out)
                self.source_ = str(out)
        return self

    def _adopt(self, parts: folder.Model) -> None:
        self.parts_ = parts
        self.fingerprint_ = folder.fingerprint(parts)
        self.n_features_out_ = self._n_features_out = parts.model.latent.width

    def predict(
        self, X: Sequence[Any], labels: Sequence[str] | None = None, templates: Sequence[str] = PLAIN
    ) -> NDArray[Any]:
        """What the supervised head says of each item, or, of a decoder without one: 1 normal, -1 an anomaly.

        labels: names to choose from instead, the nearest in meaning (zero-shot), of a model that reads words; each is
        told by these `templates` ("an icon of {}").
        """
        if labels is not None:
            role = likely_side(self._parts(), X)
            items = self._parts().raw.side(role).items(X)[0]
            return self.classes(labels, templates).predicted(self.encoded(items, side=role).vectors).labels
        if self._parts().recipe.returns and not heads(self._parts()):
            return flags(self.decision_function(X))
        return predicted(self._parts(), self.transform(X)).labels

    def classes(self, labels: Sequence[str], templates: Sequence[str] = PLAIN) -> Classes:
        """Classes by their names alone, to be told from vectors; see `predict`."""
        return classes(self._parts(), labels, self._encode, templates)

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities (n, C) of the classes in `classes_`."""
        return predicted(self._parts(), self.transform(X)).probabilities

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes that `predict` chooses from."""
        return np.array(supervised(self._parts())[1].names)

    def evaluate(
        self,
        data: Any,
        protocol: str | None = None,
        *,
        input: str | None = None,
        target: str | None = None,
        label: str | None = None,
        seed: int = 0,
        samples: int | None = None,
        train: Any = None,
        beam: int | None = None,
        progress: Callable[[int], None] = lambda items: None,
    ) -> Report:
        """The model beside its baselines by a named protocol; none: the one that the columns call for.

        train: labelled data for knn and linear-probe, or pairs for translation's baselines. samples: codes an item for
        likelihood. beam: drafts that a translator follows (5). progress: hears how many.
        """
        parts, asked = self._parts(), {"input": input, "target": target, "label": label}
        rows, columns = columns_of(parts, data, **asked)
        refuse_unread(parts, protocol, columns, asked)
        other = columns_of(parts, train, **asked) if train is not None else None
        encode = self._found if protocol in (None, *SEEKING) and "label" not in columns else self._encode
        return measure(parts, encode, rows, columns, protocol, seed, samples, progress, other, beam)

    def inspect(
        self, data: Any = None, *, input: str | None = None, target: str | None = None, label: str | None = None
    ) -> Inspection:
        """The parts' shapes and states for one batch, and one backward pass; without data, on the golden inputs."""
        parts = self._parts()
        data = parts.golden[0] if data is None and parts.golden else data
        return inspected(parts, *columns_of(parts, data, input=input, target=target, label=label))

    def save(self, out: str | Path) -> None:
        """Writes the model folder whole, in one step."""
        parts = self._parts()
        folder.save(Path(out), parts, self._card, dialect_of(parts.recipe), lambda place: write_extras(place, parts))

    @classmethod
    def load(cls, source: str | Path, device: str | None = None) -> Self:
        """The model of a folder, its golden vectors checked; or a checkpoint, of its folder or by name ("minilm").

        BadFolder where it is damaged, not a model, or a checkpoint that is not known in every detail.
        """
        parts = model_at(source)
        made = cls(recipe=parts.recipe, kind=parts.recipe.kind, seed=parts.recipe.seed, device=device)
        return made._opened(parts, Path(source))

    def _opened(self, parts: folder.Model, source: Path) -> Self:
        self._adopt(parts)
        self.source_ = str(source := packaged(source) or bundle.found(source))
        if not parts.recipe.learned:
            self._card = card_of(parts)
            add_golden(parts, self._encode)
        else:
            self._card = (source / "README.md").read_text(encoding="utf-8")
        for role, golden in (("input", parts.golden), ("target", parts.golden_targets)):
            error = 0.0 if golden is None else float(np.abs(self._encode(golden[0], role) - golden[1]).max())
            if not error <= TOLERANCE:
                raise BadFolder(
                    f"{source} misses its own golden vectors by {error:.2g}: its files do not belong together."
                )
        return self

    @property
    def report(self) -> dict[str, Any]:
        """report.json: held-out metrics, baselines, the space's health, and how the model was made."""
        return self._parts().report

    def _parts(self) -> folder.Model:
        if not hasattr(self, "parts_"):
            raise NotFittedError("This Raw2Vec is not fitted yet: call fit(…), or raw2vec.load(folder).")
        return self.parts_

    def _encode(self, items: Sequence[Any], role: str = "input") -> NDArray[np.float32]:
        return self._counted(items, role)[0]

    def _found(self, items: Sequence[Any], role: str = "input") -> NDArray[np.float32]:
        return self._counted(items, role, "query" if role == "input" else "document")[0]

    def _counted(
        self,
        items: Sequence[Any],
        role: str = "input",
        purpose: Purpose | None = None,
        prompt: str | None = None,
        engine: Engine | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        parts = self._parts()
        items = prompted(items, prompt_for(parts.recipe, purpose) if prompt is None else prompt)
        found = encode(parts.model.to(self._device()).side(role), parts.raw.side(role), items, engine=engine)
        return found.vectors, found.truncated

    def _device(self, asked: str | None = None) -> torch.device:
        return device_called(asked or self.device)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "parts_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags


def fit(
    data: Any, *, input: str | None = None, target: str | None = None, label: str | None = None, **options: Any
) -> Raw2Vec:
    """A model of the data by a good default recipe; `options` are Raw2Vec's own."""
    return Raw2Vec(**options).fit(data, input=input, target=target, label=label)


load = Raw2Vec.load
