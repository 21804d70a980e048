"""What a run is: every choice that shapes a model, typed and documented field by field. An unknown key fails.

A recipe names its parts (`encoder: transformer`) and gives their settings beside the name; which names and settings
exist is what `build.py` knows. A recipe is plain JSON, and a model folder holds the one it was made with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from raw2vec.errors import BadInput, nearest, plainly

Role = Literal["input", "target", "negative", "label"]
SIDES: tuple[Role, ...] = ("input", "target", "negative")
TEXTS = ("text", "pairs")
"""Kinds whose items are texts."""
RETURNING = ("reconstruction", "variational")
"""Objectives that bring back what they are given."""
_BUDGETS = ("training.minutes", "training.steps")


class Part(BaseModel):
    """A part by its name, with its settings beside it: {"name": "transformer", "layers": 4}, or just "transformer"."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def settings(self) -> dict[str, Any]:
        """Everything beside the name."""
        return dict(self.model_extra or {})


class Objective(Part):
    """An objective and its weight in the sum of losses."""

    weight: float = Field(1.0, gt=0)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class View(_Strict):
    """One way to read a row: which column plays which role. Rows that lack one of its columns are not in it."""

    columns: dict[Role, str]
    weight: float = Field(1.0, gt=0, le=1, description="share of its rows that an epoch draws")


class Side(_Strict):
    """What reads the targets of pairs, where they are of another kind than the inputs or have an encoder of their own.

    Its parts are a recipe's own, one by one; the vectors of both sides are as wide.
    """

    kind: str = Field("text", description="what the targets are")
    raw: dict[str, Any] = Field(default_factory=dict, description="settings of the raw kind")
    embedding: dict[str, Any] = Field(default_factory=dict, description="settings of the embedding")
    encoder: Part = Part(name="transformer")
    latent: Part = Part(name="point")


class Adapters(_Strict):
    """Low-rank adapters beside the encoder's linear maps: they alone learn of it, and are worked into it after the
    stage, so that a model folder knows nothing of them (LoRA; Hu et al. 2022)."""

    rank: int = Field(8, ge=1, description="of the change to a map: rank · (inputs + outputs) numbers learn")
    alpha: float = Field(16.0, gt=0, description="the change counts alpha / rank times")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of what adapters take that is left out")
    rate: float = Field(10.0, gt=0, description="times the learning rate: they begin from nothing")


class Stage(_Strict):
    """One stretch of training: what is minimised, on which columns, with how much of the budget."""

    objectives: tuple[Objective, ...] = Field(min_length=1)
    share: float = Field(1.0, gt=0, description="of the budget, relative to the other stages' shares")
    views: tuple[View, ...] = Field((), description="ways to read a row, mixed; none: the recipe's own columns")
    batch_tokens: int | None = Field(None, ge=1, description="at most this many tokens a batch, items of like length")
    batch_items: int | None = Field(None, ge=1, description="at most this many items a batch, drawn at random")
    learning_rate: float | None = Field(None, gt=0, description="peak; none: the training's own")
    frozen: tuple[Literal["embedding", "encoder", "latent", "decoder", "input", "target"], ...] = Field(
        (), description="parts left alone; input, target: the whole of a side that has an encoder of its own"
    )
    adapters: Adapters | None = Field(None, description="beside the encoder's maps, left alone; none: the maps learn")

    @model_validator(mode="after")
    def _adapters_change_what_learns(self) -> Self:
        if self.adapters is not None and "encoder" in self.frozen:
            raise ValueError("its adapters change the encoder, which is among its frozen parts: leave out one of them")
        return self

    @model_validator(mode="after")
    def _each_objective_once(self) -> Self:
        names = [part.name for part in self.objectives]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the objective '{twice}' stands in one stage more than once; name it once, with a weight")
        return self


class Training(_Strict):
    """How the parts are fitted, whatever the objective."""

    minutes: float | None = Field(None, gt=0, description="wall-clock budget of the whole fit; this or `steps`")
    steps: int | None = Field(None, ge=1, description="optimiser steps over all stages")
    start: Literal["random", "lsa"] = Field("random", description="embeddings: drawn, or from tokens' company")
    optimizer: Part = Part(name="adamw")
    learning_rate: float = Field(1e-3, gt=0, description="peak, reached after the warm-up")
    warmup: float = Field(0.05, ge=0, le=1, description="share of a stage in which the rate rises from zero")
    full_steps: int | None = Field(None, ge=1, description="a stage of more steps takes smaller ones, to go as far")
    decay: Literal["cosine", "linear", "none"] = Field("linear", description="how the rate falls after the warm-up")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient over all weights")
    accumulate: int = Field(1, ge=1, description="batches whose gradients make one step")
    shard: bool = Field(False, description="of several processes each keeps a share of every weight (FSDP), not all")
    average: float = Field(0.0, ge=0, lt=1, description="decay of the weights' moving average (EMA); 0: none")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: bfloat16 where it is quick")
    hold_out: float = Field(0.05, ge=0, lt=1, description="share of the items kept from training, to judge by")
    hold_out_seed: int | None = Field(None, ge=0, description="which they are is drawn by this; none: by the seed")
    checks: int = Field(10, ge=1, description="how often a stage is judged on the held-out items; the best is kept")
    judged_by: Literal["loss", "bleu", "chrf"] = Field(
        "loss", description="what the best weights are best in; bleu, chrf: a translator's, of held-out lines"
    )
    patience: int = Field(0, ge=0, description="stop a stage after this many checks without a gain; 0: never")
    contamination: float = Field(0.1, gt=0, le=0.5, description="share of items to call anomalies, with a way back")
    save_every: float = Field(30.0, gt=0, description="seconds between checkpoints")

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.steps is not None:
            raise ValueError(f"a budget is minutes or steps, not both (given: {self.minutes:g} and {self.steps})")
        return self


class Recipe(_Strict):
    """A whole run. `raw`, `encoder`, `latent` and the objectives are parts that `build.py` knows by name."""

    version: Literal[1] = 1
    kind: str = Field("text", description="what the raw data are")
    columns: dict[Role, str] = Field(default_factory=dict, description="the columns by the role they play")
    raw: dict[str, Any] = Field(default_factory=dict, description="settings of the raw kind, such as the tokenizer's")
    embedding: dict[str, Any] = Field(default_factory=dict, description="settings of the embedding; `width` among them")
    encoder: Part = Part(name="transformer")
    latent: Part = Part(name="point")
    target: Side | None = Field(None, description="what reads the targets of pairs; none: the same as the inputs")
    decoder: Part | None = Field(None, description="the way back from a vector; none: there is none")
    bridge: Part | None = Field(None, description="what a decoder of texts is told: the vector alone, or every state")
    likelihood: Part | None = Field(None, description="how decoded numbers are told; none: by the kind of data")
    stages: tuple[Stage, ...] = Field((), description="what is learned; without a budget, what a checkpoint knew")
    training: Training = Training()
    checkpoint: str | None = Field(None, description="whose weights training begins from: a folder, or a known name")
    prompts: dict[str, str] = Field(
        default_factory=dict, description="what stands before a text by its purpose, such as query and document"
    )
    default_prompt: str | None = Field(None, description="the prompt before a text of which no purpose is told")
    filters: dict[str, Any] = Field(default_factory=dict, description="which pairs a translator is not to learn from")
    placeholders: Literal["protect"] | None = Field(
        None, description="%s, {name} and <b> in pairs to translate: protect them from the model; none: as they stand"
    )
    seed: int = Field(0, ge=0)

    @classmethod
    def read(cls, source: Mapping[str, Any] | str | Path) -> Self:
        """A recipe from its JSON file or from what such a file holds; BadInput names the key that is wrong."""
        name = "the recipe"
        if isinstance(source, str | Path):
            name = str(source)
            try:
                source = json.loads(Path(source).read_text(encoding="utf-8"))
            except OSError as error:
                raise BadInput(f"{name} cannot be read: {error.strerror}.") from None
            except ValueError as error:
                raise BadInput(f"{name} is not JSON: {error}.") from None
        try:
            return cls.model_validate(source)
        except ValidationError as error:
            raise BadInput(sentence(error, name)) from None

    @property
    def learned(self) -> bool:
        """Whether anything was learned by it: a checkpoint that was taken over as it is has no budget."""
        return self.training.minutes is not None or self.training.steps is not None

    @property
    def returns(self) -> bool:
        """Whether items come back from their vectors: an autoencoder's do."""
        return any(part.name in RETURNING for part in self.objectives)

    @property
    def translates(self) -> bool:
        """Whether texts are written as other texts."""
        return any(part.name == "translation" for part in self.objectives)

    @property
    def objectives(self) -> list[Objective]:
        """Those of all stages, in order."""
        return [part for stage in self.stages for part in stage.objectives]

    @property
    def texts(self) -> bool:
        """Whether all items are texts, which are told apart by what they say."""
        return self.kind in TEXTS and (self.target is None or self.target.kind in TEXTS)

    def side_of(self, column: str) -> Role:
        """What a column is read as: as a target where it is translated into or the targets' encoder reads it."""
        if self.target is None:
            return "target" if column in self.translated("target") else "input"
        views = [view for stage in self.stages for view in self.views(stage)]
        found = any(view.columns.get(role) == column for view in views for role in ("target", "negative"))
        return "target" if found else "input"

    def translated(self, role: Role) -> set[str]:
        """The columns that play this role where translating is learned."""
        stages = [stage for stage in self.stages if any(part.name == "translation" for part in stage.objectives)]
        return {view.columns[role] for stage in stages for view in self.views(stage) if role in view.columns}

    def views(self, stage: Stage) -> tuple[View, ...]:
        """How this stage reads a row."""
        return stage.views or (View(columns=self.columns),)

    def json_text(self) -> str:
        """The recipe as the JSON that `read` takes."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=2) + "\n"

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The recipe with these changes, by dotted key: {"encoder.layers": 6, "stages.0.share": 0.5}.

        A budget takes the place of the one that was there, be it in minutes or in steps; a likelihood of another name,
        to which the settings of the one before mean nothing, that of the whole part.
        """
        if any(changes.get(key) is not None for key in _BUDGETS):
            changes = {**dict.fromkeys(_BUDGETS), **changes}
        tree = self.model_dump(mode="json")
        if self.likelihood and changes.get("likelihood.name", self.likelihood.name) != self.likelihood.name:
            tree["likelihood"] = {}
        for key, value in changes.items():
            *path, last = key.split(".")
            place: Any = tree
            for step in path:
                place = _child(place, step, key)
            if isinstance(place, list):
                _child(place, last, key)
                place[int(last)] = value
            elif isinstance(value, str) and isinstance(place.get(last), dict) and "name" in place[last]:
                place[last] = {"name": value}
            elif isinstance(place, dict):
                place[last] = value
            else:
                raise BadInput(f"The recipe has no '{key}': '{'.'.join(path)}' is {place!r}, which has no parts.")
        return self.read(tree)


def sentence(error: ValidationError, where: str) -> str:
    """Pydantic's first complaint as one sentence, with the nearest known key where a key is unknown."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _siblings(error, first["loc"])
        return f"{where} has no setting '{key}'.{nearest(str(first['loc'][-1]), known)} It knows: {', '.join(known)}."
    if first["type"] == "value_error":  # one of our own, a sentence already
        return f"{where}: '{key}': {first['ctx']['error']}."
    message = plainly(first["msg"][0].lower() + first["msg"][1:])
    given = first["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
    return f"{where}: '{key}': {message}{shown}."


def _siblings(error: ValidationError, path: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {"Recipe": Recipe}
    model: type[BaseModel] | None = models.get(error.title)
    if "training" in path[:-1]:
        model = Training
    elif "views" in path[:-1]:
        model = View
    elif "adapters" in path[:-1]:
        model = Adapters
    elif "stages" in path[:-1]:
        model = Stage
    elif "target" in path[:-1]:
        model = Side
    return list(model.model_fields) if model else []


def _child(place: Any, step: str, key: str) -> Any:
    if isinstance(place, list) and step.isdigit() and int(step) < len(place):
        return place[int(step)]
    if isinstance(place, dict) and step in place:
        if place[step] is None:
            place[step] = {}
        return place[step]
    known = [str(n) for n in range(len(place))] if isinstance(place, list) else list(place or {})
    raise BadInput(f"The recipe has no '{key}': '{step}' is not one of {', '.join(known)}.{nearest(step, known)}")
