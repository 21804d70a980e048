"""A fit from beginning to end: rows and a recipe in, a trained and judged model out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import nn

from raw2vec.build import OBJECTIVES, build_model, build_objectives
from raw2vec.corpus import Corpus
from raw2vec.embedding import TokenEmbedding
from raw2vec.errors import BadInput
from raw2vec.fitting.continuing import raw_of, take_over, unread
from raw2vec.fitting.device import working_precision
from raw2vec.fitting.judging import Judge, lines
from raw2vec.fitting.reserve import pace, reserve
from raw2vec.folder import Model
from raw2vec.models import AnyModel, DualEncoder
from raw2vec.presets import Which, sides_begun
from raw2vec.ragged import Ragged
from raw2vec.raw import Raw
from raw2vec.recipe import Recipe, Role, Stage
from raw2vec.resolve import resolve
from raw2vec.rows import Filtered, Rows
from raw2vec.seeding import permutation
from raw2vec.train import checkpoint
from raw2vec.train.adapters import adapting
from raw2vec.train.base import Listener, Progress, State, Work, silent
from raw2vec.train.batches import Feed
from raw2vec.train.budget import Budget
from raw2vec.train.distributed import Group
from raw2vec.train.loop import Trainer
from raw2vec.train.metrics import Metrics
from raw2vec.train.optimizers import optimizer
from raw2vec.train.prepare import CHECKPOINT, SEEN, Data, prepare
from raw2vec.train.sharding import Whole, laid_out
from raw2vec.train.start import begin, begin_lifts
from raw2vec.unreadable import sentence

SEEN_NUMBERS = 1 << 26  # and at most so many numbers of them, half a gigabyte as baselines take them
_FEW_STEPS = 20  # fewer in a budget of minutes are told of
JUDGED = 512  # held-out items that a check's loss is of


@dataclass
class Fitted:
    """What a fit gives: the model, some held-out rows by role and some that were trained on, and how it went.

    seen: items trained on, as tensors, of arrays and where there is a way back. learnt: labelled rows trained on, by
    role; of arrays the labels of `seen`. unreadable: files that were left out (see unreadable.as_list). start: the
    model that it began from. leads: whether it is this process that saves it, of those that trained together.
    """

    model: Model
    held: dict[Role, list[Any]]
    seen: Ragged | None
    history: list[dict[str, Any]]
    steps: int
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    learnt: dict[Role, list[Any]] = field(default_factory=dict)
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    start: Model | None = None
    leads: bool = True


def fit_model(
    rows: Rows,
    recipe: Recipe,
    work: Path,
    *,
    resume: bool,
    listener: Listener,
    device: torch.device,
    start: Model | None = None,
    began: float | None = None,
) -> Fitted:
    """Trains the recipe on the rows. `work` is a folder of its own that a killed run is resumed from.

    start: the model that it begins from. began: when the run did, by `monotonic`, if not now: a budget is all of it.
    """
    began, recipe = monotonic() if began is None else began, resolve(recipe)
    if recipe.translates:
        rows = Filtered(rows, recipe.columns["input"], recipe.columns["target"], **recipe.filters)
    group = Group()
    listener = listener if group.leads else silent
    begins = sides_begun(recipe, start.recipe) if start else {}
    given = {role: raw_of(start, recipe, role, theirs) for role, theirs in begins.items()} if start else {}
    data = _prepared(group, rows, recipe, work, resume, listener, given)
    _refuse_uniform(recipe, data.corpus)
    notes = unread(start, recipe, data.corpus, data.raw)
    model, objectives = _built(recipe, data, start, begins)
    layout = laid_out(nn.ModuleDict({"model": model, "objectives": objectives}), recipe.training, device, group)
    spent, kept = group.agreed(monotonic() - began, _reserved(recipe, data, model, start))
    budget = Budget(recipe.training, spent, kept, group.clock)
    metrics = Metrics(work / "metrics.jsonl" if group.leads else Path(os.devnull), resume)
    precision = working_precision(recipe.training.precision, device)
    state = _trainer(recipe, data, layout, budget, work, group, precision, _heard(metrics, listener)).run()
    layout.finished()
    for embedding, _ in _token_tables(model, data.corpus):
        embedding.settle()
    parts = Model(recipe, data.raw, model, objectives, data.labels, metrics=metrics.close())
    return _fitted(parts, rows, data, state, budget.seconds, notes, start, group.leads)


def _reserved(recipe: Recipe, data: Data, model: AnyModel, start: Model | None) -> float:
    """Seconds of a budget in minutes that are for what comes after training."""
    if recipe.training.minutes is None:
        return 0.0
    reading = pace(model, _feed(recipe.stages[-1], recipe, data.corpus, held=False), recipe.seed)
    return reserve(recipe, data, reading, models=1 if start is None else 2)


def _heard(metrics: Metrics, listener: Listener) -> Callable[[Progress], None]:
    def heard(event: Progress) -> None:
        metrics.add(event)
        listener(event)

    return heard


def _trainer(
    recipe: Recipe,
    data: Data,
    layout: Whole,
    budget: Budget,
    work: Path,
    group: Group,
    precision: torch.dtype,
    listener: Callable[[Progress], None],
) -> Trainer:
    return Trainer(
        layout,
        [_work(place, recipe, data, layout.modules, precision) for place in range(len(recipe.stages))],
        recipe.training,
        budget,
        recipe.seed,
        checkpoints=_Checkpoints(work / CHECKPOINT, group.leads),
        listener=listener,
        precision=precision,
        group=group,
    )


def _fitted(
    parts: Model,
    rows: Rows,
    data: Data,
    state: State,
    seconds: float,
    notes: list[str],
    start: Model | None,
    leads: bool,
) -> Fitted:
    """The model with what its report has to say of the run."""
    recipe = parts.recipe
    counts = {"rows": len(data.corpus), "held_out": int(data.corpus.held.sum()), "truncated": data.truncated}
    notes = notes + [f"left out: {sentence}" for sentence in (*rows.skipped, *_halves(recipe, data.corpus))]
    if state.step < _FEW_STEPS and recipe.training.minutes is not None:
        notes.append(_hasty(recipe, state.step))
    if data.unreadable:
        notes.append(f"left out: {sentence(data.unreadable, data.raw.reads_files)}; report.json lists all")
    seen, learnt = _seen(data, recipe.returns, recipe.seed)
    told = (counts, notes, learnt, data.unreadable, start, leads)
    return Fitted(parts, data.held, seen, state.history, state.step, seconds, *told)


def _hasty(recipe: Recipe, steps: int) -> str:
    """A sentence for a budget in which hardly anything could be learned."""
    stage = recipe.stages[-1]
    name = "batch_tokens" if stage.batch_items is None else "batch_items"
    smaller = f"--set stages.{len(recipe.stages) - 1}.{name}={max((getattr(stage, name) or 32) // 8, 1)}"
    return f"steps in all: {steps}, in which next to nothing is learned: give more --minutes, or {smaller}"


def _prepared(
    group: Group, rows: Rows, recipe: Recipe, work: Path, resume: bool, listener: Listener, given: Mapping[Any, Raw]
) -> Data:
    """The data, made ready by the leader for all processes."""
    group.refuse(recipe.training.accumulate)
    if group.size > 1 and recipe.latent.name == "quantised":
        raise BadInput("The codes of a quantised latent are counted in each batch by itself: fit it in one process.")
    if group.size > 1 and recipe.training.shard and any(stage.adapters for stage in recipe.stages):
        raise BadInput(
            "Adapters come and go with a stage, and training.shard cuts up what is there all along: leave out one."
        )
    if group.leads:
        data = prepare(rows, recipe, work, resume, listener, given)
    group.wait()
    return data if group.leads else prepare(rows, recipe, work, True, listener, given)


def _built(
    recipe: Recipe, data: Data, start: Model | None, begins: Mapping[Which, Which]
) -> tuple[AnyModel, nn.ModuleDict]:
    """The model and its objectives, their weights as training begins; `begins`: which sides are which of `start`'s."""
    model = build_model(recipe, data.raw)
    task, outcomes = (data.labels.task, data.labels.outcomes) if data.labels else (None, 0)
    objectives = build_objectives(recipe, data.raw, model, task, outcomes)
    if start is not None:
        for role, theirs in begins.items():
            take_over(model.side(role), start.model.side(theirs))
    begin_lifts(objectives, data.corpus, None if start is None else start.objectives)
    known = [model.side(role).embedding for role in begins]
    for embedding, corpus in _token_tables(model, data.corpus):
        if not any(embedding is one for one in known):
            begin(embedding, corpus, recipe.training.start, recipe.seed)
    return model, objectives


def _refuse_uniform(recipe: Recipe, corpus: Corpus) -> None:
    """BadInput for pairs of which one side is the same in every row: there is nothing to be found by it."""
    roles: tuple[Role, ...] = ("input", "target") if "target" in recipe.columns and not recipe.translates else ()
    for role in roles:
        name = recipe.columns[role]
        if name in corpus.side(role).columns and corpus.side(role).uniform(name):
            raise BadInput(f"The column '{name}' holds the same {role} in every row, so that none can be found by it.")


def _halves(recipe: Recipe, corpus: Corpus) -> list[str]:
    """A sentence for the pairs of two kinds of which one side is not there."""
    if recipe.target is None:
        return []
    roles: tuple[Role, ...] = ("input", "target")
    sides = [(corpus.side(role), recipe.columns[role]) for role in roles]
    whole = np.stack([side.lengths[:, side.columns.index(name)] > 0 for side, name in sides]).all(axis=0)
    names = " or ".join(f"'{name}'" for _, name in sides)
    return [] if whole.all() else [f"{int((~whole).sum()):,} rows without anything in {names}"]


def _token_tables(model: AnyModel, corpus: Corpus) -> list[tuple[TokenEmbedding, Corpus]]:
    """The embeddings of tokens, each once, with the texts that it is for."""
    roles = ("input", "target") if isinstance(model, DualEncoder) else ("input",)
    found = [(model.side(role).embedding, corpus.side(role)) for role in roles]
    return [(embedding, side) for embedding, side in found if isinstance(embedding, TokenEmbedding)]


def _seen(data: Data, returns: bool, seed: int) -> tuple[Ragged | None, dict[Role, list[Any]]]:
    """Some of what was trained on, drawn from all of it, for baselines to learn from: items and labelled rows.

    Of texts the rows are as they were written, and the items are needed only where texts are to be brought back.
    """
    corpus = data.corpus
    if corpus.values.ndim == 1 and not returns:
        return None, data.learnt
    rows = np.flatnonzero(~corpus.held & (corpus.lengths[:, 0] > 0))
    rows = rows[permutation(len(rows), seed, "seen")[:SEEN]]
    numbers = corpus.lengths[rows, 0].cumsum() * int(np.prod(corpus.values.shape[1:]))
    rows = np.sort(rows[: max(np.searchsorted(numbers, SEEN_NUMBERS), 1)])
    if data.labels is None or corpus.labels is None:
        return corpus.gather(rows, 0), {}
    return corpus.gather(rows, 0), {"label": data.labels.words(np.asarray(corpus.labels[rows]))}


class _Checkpoints:
    """One file, written by one process and read by all, as `train/checkpoint.py` does."""

    def __init__(self, path: Path, writes: bool):
        self.path, self.writes = path, writes

    def write(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        if self.writes:
            checkpoint.write(self.path, tensors, state)

    def read(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        return checkpoint.read(self.path)


def _work(place: int, recipe: Recipe, data: Data, trained: Any, precision: torch.dtype) -> Work:
    stage, model, objectives = recipe.stages[place], trained["model"], trained["objectives"]
    chosen = {part.name: objectives[f"{place}/{part.name}"] for part in stage.objectives}
    losses = [
        (lambda batch, draws, objective=chosen[part.name]: objective(model, batch, draws), part.weight)
        for part in stage.objectives
    ]
    feed, held = _feed(stage, recipe, data.corpus, held=False), _held(stage, recipe, data.corpus)
    modules = [model, *chosen.values()]
    part = recipe.training.optimizer
    judge = None
    if held is not None:
        beside = lines(stage, recipe, held, data.raw)
        judge = Judge(model, losses, held.some(JUDGED), recipe.seed, precision, beside)
    return Work(
        "+".join(chosen),
        feed,
        losses,
        lambda: optimizer(part.name, part.settings, modules),
        stage.learning_rate or recipe.training.learning_rate,
        stage.share,
        [getattr(model, name) for name in stage.frozen],
        judge,
        *adapting(place, recipe, model),
    )


def _feed(stage: Stage, recipe: Recipe, corpus: Corpus, held: bool) -> Feed:
    needs = {OBJECTIVES[part.name].needs for part in stage.objectives}
    need = next(name for name in ("labels", "pair", "sides") if name in needs)
    return Feed(corpus, recipe.views(stage), need, held, recipe.seed, stage.batch_tokens, stage.batch_items)


def _held(stage: Stage, recipe: Recipe, corpus: Corpus) -> Feed | None:
    try:
        return _feed(stage, recipe, corpus, held=True)
    except BadInput:
        return None  # nothing held out: the last weights are kept
