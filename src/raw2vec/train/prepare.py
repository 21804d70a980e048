"""Before training: statistics and labels learned, every item made a tensor; kept for a run that resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from raw2vec.build import build_raw
from raw2vec.corpus import Corpus, Writer
from raw2vec.errors import BadInput, Numbered, Unreadable
from raw2vec.folder import load_raw, save_raw
from raw2vec.labels import Labels, cells
from raw2vec.ragged import Ragged
from raw2vec.raw import FILES_AT_ONCE, Raw, Text
from raw2vec.recipe import SIDES, Recipe, Role
from raw2vec.rows import Rows, Typed, text_column
from raw2vec.seeding import key
from raw2vec.tokens.placeholders import marked_pair
from raw2vec.train.base import Listener, Phase
from raw2vec.train.origin import difference
from raw2vec.train.reservoir import Reservoir
from raw2vec.unreadable import as_list, refuse_most

PREPARED = "prepared.json"  # in a run's folder: all that `prepare` did is there
CHECKPOINT = "checkpoint.safetensors"  # in a run's folder: training has begun
SHOWN = 1000  # held-out rows kept as they are, for the report at the end
SEEN = 5000  # rows trained on from which the report's baselines learn


@dataclass
class Data:
    """What training starts from; `truncated` is how many items were cut.

    held: some held-out rows by role. learnt: some labelled texts to train on, by role, as they were written.
    unreadable: files that are left out (see unreadable.as_list).
    """

    raw: Raw
    corpus: Corpus
    labels: Labels | None
    held: dict[Role, list[Any]]
    truncated: int
    learnt: dict[Role, list[Any]] = field(default_factory=dict)
    unreadable: list[dict[str, Any]] = field(default_factory=list)


def prepare(
    rows: Rows, recipe: Recipe, work: Path, resume: bool, listener: Listener, given: Mapping[str, Raw] | None = None
) -> Data:
    """Learns statistics and labels and writes the corpus, or takes those of the run that is resumed.

    given: what reads the inputs or the targets, where its statistics are a checkpoint's.
    """
    note = work / PREPARED
    origin = {"recipe": json.loads(recipe.json_text()), "data": rows.fingerprint()}
    if resume and note.exists():
        held = json.loads(note.read_text())
        if held["origin"] != origin:
            raise BadInput(f"The run in {work} {difference(held['origin'], origin)}; it cannot be resumed as another.")
        raw = load_raw(recipe, work, held)
        labels = Labels(**held["labels"]) if held["labels"] else None
        shown, learnt = (_back(work / f"{name}.safetensors", held[name], raw) for name in ("held", "learnt"))
        return Data(
            raw, Corpus.open(work / "corpus"), labels, shown, held["truncated"], learnt, held.get("unreadable", [])
        )
    work.mkdir(parents=True, exist_ok=True)
    for kept in (note, work / CHECKPOINT):  # of a run before: no longer true from here on
        kept.unlink(missing_ok=True)
    given = given or {}
    raw = _raw(recipe, given)
    if rows.written and recipe.kind == "table":
        rows = Typed(rows, texts=[recipe.columns[role] for role in ("target", "label") if role in recipe.columns])
    if "input" not in given or raw.partner is not None:
        listener(Phase("Learning the vocabulary" if isinstance(raw, Text) else "Learning the statistics"))
        _learn(raw, rows, recipe, given)
    labels = _labels(rows, recipe, raw)
    listener(Phase("Tokenizing" if isinstance(raw, Text) else "Reading"))
    data = _write_corpus(rows, recipe, raw, labels, work)
    made: dict[str, Any] = {"origin": origin, "labels": labels.as_dict() if labels else None, **save_raw(raw, work)}
    partial = note.with_suffix(".partial")
    made |= {"held": _keep(work / "held.safetensors", data.held, raw), "truncated": data.truncated}
    made |= {"learnt": _keep(work / "learnt.safetensors", data.learnt, raw), "unreadable": data.unreadable}
    partial.write_text(json.dumps(made))
    partial.replace(note)
    return data


def _keep(path: Path, held: dict[Role, list[Any]], raw: Raw) -> dict[str, Any]:
    """Labels go to the note, sides to a file of tensors beside it: what is not there was missing."""
    sides = {
        f"{role}/{row}": raw.side(role).freeze(item)
        for role, items in held.items()
        if role in SIDES
        for row, item in enumerate(items)
        if item is not None
    }
    save_file(sides, path)
    return {role: len(items) if role in SIDES else items for role, items in held.items()}


def _back(path: Path, note: dict[Role, Any], raw: Raw) -> dict[Role, list[Any]]:
    sides = load_file(path)
    found: dict[Role, list[Any]] = {}
    for role, kept in note.items():
        if role not in SIDES:
            found[role] = kept
            continue
        names = [f"{role}/{row}" for row in range(kept)]
        found[role] = [raw.side(role).thaw(sides[name]) if name in sides else None for name in names]
    return found


class _Block(NamedTuple):
    """A record batch, its columns as items, which of its rows are held out, and the rows' numbers."""

    batch: pa.RecordBatch
    items: dict[str, list[Any]]
    held: NDArray[np.bool_]
    numbers: range


def _blocks(rows: Rows, recipe: Recipe, raw: Raw) -> Iterator[_Block]:
    """All rows. Whole groups of them are held out together, unless the rows themselves tell which are."""
    columns = columns_of(recipe)
    seed, share = recipe.training.hold_out_seed, recipe.training.hold_out
    seed = recipe.seed if seed is None else seed
    start = 0
    for batch in rows.batches(FILES_AT_ONCE if raw.reads_files else 1024):
        items = {name: raw.side(recipe.side_of(name)).column(batch, name) for name in columns}
        numbers = range(start, start + len(batch))
        start = numbers.stop
        if rows.held_from is not None:
            yield _Block(batch, items, np.arange(numbers.start, numbers.stop) >= rows.held_from, numbers)
            continue
        groups: list[Any] = [_group(item, number, raw) for number, item in zip(numbers, items[columns[0]], strict=True)]
        if rows.group is not None:
            groups = text_column(batch, rows.group)
        held = np.array([key(seed, "held out", group) < share * 2**63 for group in groups], np.bool_)
        yield _Block(batch, items, held, numbers)


def _group(item: Any, number: int, raw: Raw) -> Any:
    """What makes two rows the same: equal ones are held out together."""
    if item is None or (isinstance(item, str) and not raw.files):
        return item
    try:
        content = raw.freeze(item, number).numpy().tobytes()
    except Unreadable:
        return number
    return blake2b(content).digest() if isinstance(item, str | bytes | Mapping) else content


def _raw(recipe: Recipe, given: Mapping[str, Raw]) -> Raw:
    """What reads the inputs, and by it the targets."""
    made = build_raw(recipe)
    raw = given.get("input", made)
    raw.partner = given.get("target", made.partner)
    return raw


def _learn(raw: Raw, rows: Rows, recipe: Recipe, given: Mapping[str, Raw]) -> None:
    """From all columns together, or from each side's own where it has a vocabulary or an encoder of its own."""
    columns = columns_of(recipe)
    sides = [[name for name in columns if recipe.side_of(name) == role] for role in ("input", "target")]
    if raw.partner is not None:
        for role, reader, side in zip(("input", "target"), (raw, raw.partner), sides, strict=True):
            if role not in given:
                reader.learn(_training_items(rows, recipe, raw, side))
        return
    sides = sides if recipe.raw.get("vocabularies") == "separate" else [columns]
    raw.learn(*(_training_items(rows, recipe, raw, side) for side in sides))


def _training_items(rows: Rows, recipe: Recipe, raw: Raw, columns: list[str]) -> Numbered:
    """Every item of these columns to learn from, after its row's number; with a place for files that are damaged."""
    unreadable: dict[int, Unreadable] = {}
    return Numbered(_numbered_items(rows, recipe, raw, columns, unreadable), unreadable)


def _numbered_items(
    rows: Rows, recipe: Recipe, raw: Raw, columns: list[str], unreadable: dict[int, Unreadable]
) -> Iterator[tuple[int, Any]]:
    held, found = False, 0
    for block in _blocks(rows, recipe, raw):
        met = _met(block.items, recipe)
        for column in columns:
            for number, item, out in zip(block.numbers, met[column], block.held, strict=True):
                if _there(item) and out:
                    held = True
                elif _there(item):
                    found += 1
                    yield number, item
    refuse_most(unreadable, found, raw.side(recipe.side_of(columns[0])).files, rows.name)
    if held and not found:
        raise BadInput(
            f"{rows.name} has no row left to learn from: all are held out to judge by. Give more rows, or "
            "--set training.hold_out=0."
        )
    if not found:
        what = "text" if isinstance(raw, Text) else "item"
        raise BadInput(f"{rows.name} has no {what} to learn from in {' or '.join(map(repr, columns))}.")


def _met(items: dict[str, list[Any]], recipe: Recipe) -> dict[str, list[Any]]:
    """The columns as the model meets them: with marks for the placeholders that both sides of a pair have."""
    if not recipe.placeholders:
        return items
    sides = [recipe.columns["input"], recipe.columns["target"]]
    rows = zip(*(items[name] for name in sides), strict=True)
    pairs = [marked_pair(*row) if all(map(_there, row)) else row for row in rows]
    return items | dict(zip(sides, map(list, zip(*pairs, strict=True)), strict=True))


def _there(item: Any) -> bool:
    return item is not None and not (isinstance(item, str) and not item)


def _labels(rows: Rows, recipe: Recipe, raw: Raw) -> Labels | None:
    """Classes are known from all rows; the scale of numbers is the training rows' own."""
    column = recipe.columns.get("label")
    if column is None:
        return None
    values = [value for batch in rows.batches() for value in cells(batch.column(column))]
    labels = Labels.learn(values, column)
    if labels.task == "numbers":
        held = np.concatenate([block.held for block in _blocks(rows, recipe, raw)])
        labels = labels.scaled((value for value, out in zip(values, held, strict=True) if not out), column)
    return labels


def _write_corpus(rows: Rows, recipe: Recipe, raw: Raw, labels: Labels | None, work: Path) -> Data:
    shutil.rmtree(work / "corpus", ignore_errors=True)
    writers = _writers(recipe, raw, work / "corpus")
    shown, learnt = Reservoir(SHOWN, recipe.seed, "shown"), Reservoir(SEEN, recipe.seed, "learnt")
    written = _written(recipe, labels) if isinstance(raw, Text) else []
    truncated, there = 0, 0
    unreadable: dict[int, Unreadable] = {}
    for block in _blocks(rows, recipe, raw):
        batch, items, held, numbers = block
        sides: dict[Role, list[Ragged]] = {role: [] for role in writers}
        for name, column in _met(items, recipe).items():
            role = recipe.side_of(name)
            there += sum(map(_there, column)) if raw.side(role).files else 0
            side, cut = _windows(raw.side(role), column, numbers, recipe.translates, unreadable)
            if recipe.embedding.get("missing") == "none":
                _refuse_gaps(side, rows, numbers)
            truncated += cut
            sides[role if role in writers else "input"].append(side)
            items[name] = [
                None if number in unreadable else item for number, item in zip(numbers, items[name], strict=True)
            ]
        label = recipe.columns.get("label")
        targets = labels.numbers(cells(batch.column(label))) if labels and label else None
        for role, writer in writers.items():
            writer.add(sides[role], held, targets)
        for row in held.nonzero()[0].tolist():
            shown.offer(numbers[row], partial(_row, block, row, recipe))
        for row in (~held).nonzero()[0].tolist() if written else []:
            if all(_there(items[recipe.columns[role]][row]) for role in written if role in SIDES):
                learnt.offer(numbers[row], partial(_row, block, row, recipe))
    refuse_most(unreadable, there, raw.reads_files, rows.name)
    corpus = [writer.close() for writer in reversed(writers.values())][-1]
    held_out, told = shown.by(list(recipe.columns)), as_list(unreadable)
    return Data(raw, corpus, labels, held_out, truncated, learnt.by(written), told)


def _writers(recipe: Recipe, raw: Raw, folder: Path) -> dict[Role, Writer]:
    """The corpus' own, and, where targets are read apart, theirs after it."""
    columns = columns_of(recipe)
    if raw.partner is None:
        return {"input": Writer(folder, columns, raw.form.vocabulary)}
    own: dict[Role, list[str]] = {role: [c for c in columns if recipe.side_of(c) == role] for role in SIDES[:2]}
    target = Writer(folder / "target", own["target"], raw.partner.form.vocabulary)
    return {"input": Writer(folder, own["input"], raw.form.vocabulary), "target": target}


def _written(recipe: Recipe, labels: Labels | None) -> list[Role]:
    """The roles of texts that baselines learn from as they were written."""
    if recipe.translates:
        return ["input", "target"]
    if labels is not None and labels.task == "vectors":
        return ["input"]
    return ["input", "label"] if labels and not recipe.returns else []


def _row(block: _Block, row: int, recipe: Recipe) -> dict[Role, Any]:
    """A row of the block as it was written, by role."""
    batch, items, *_ = block
    columns = recipe.columns.items()
    return {role: items[name][row] if name in items else batch.column(name)[row].as_py() for role, name in columns}


def _refuse_gaps(side: Ragged, rows: Rows, numbers: range) -> None:
    if side.values.is_floating_point() and bool((gaps := side.values.isnan().flatten(1).any(dim=1)).any()):
        item = int(side.owners[gaps.nonzero()[0, 0]])
        raise BadInput(
            f"{rows.where(numbers[item])} has gaps (NaN), and the recipe expects none: fill them, or learn from them "
            "with --set embedding.missing=flag."
        )


def _windows(
    raw: Raw, column: Sequence[Any], numbers: range, whole: bool, unreadable: dict[int, Unreadable]
) -> tuple[Ragged, int]:
    """The first window of each item, a grid of zeros where there is none; and how many items have more than that.

    whole: such items are left out, for half a text is no translation of half of another.
    """
    present = np.array([_there(item) for item in column], np.bool_)
    pairs = [pair for pair in zip(numbers, column, strict=True) if _there(pair[1])]
    windows = raw.windows(Numbered(pairs, unreadable))
    read, first, counts = np.unique(windows.owners.numpy(), return_index=True, return_counts=True)
    present[present] = np.isin(np.arange(len(pairs)), read)
    cut = (np.asarray(windows.truncated)[read] > 0) | (counts > 1)
    if whole:
        first, present[present] = first[~cut], ~cut
    found = windows.ragged if len(first) == len(windows.owners) else windows.ragged.take(torch.from_numpy(first))
    shapes = torch.zeros(len(column), raw.form.dimensions, dtype=torch.long)
    shapes[torch.from_numpy(present)] = found.shapes
    return Ragged(found.values, shapes), int(cut.sum())


def columns_of(recipe: Recipe) -> list[str]:
    """Every column that any stage reads as a side, in order of first use."""
    found: dict[str, None] = {}
    for view in (view for stage in recipe.stages for view in recipe.views(stage)):
        found |= {name: None for role, name in view.columns.items() if role in SIDES}
    return list(found)
