"""Before training: the vocabulary learned, the labels read, every text tokenised once; kept for a run that resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec.build import build_raw
from raw2vec.corpus import Corpus, Writer
from raw2vec.errors import BadInput
from raw2vec.labels import Labels
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.recipe import SIDES, Recipe, Role
from raw2vec.rows import Rows, text_column
from raw2vec.seeding import key
from raw2vec.train.base import Listener, Phase

SHOWN = 1000  # held-out rows kept as they are, for the report at the end


@dataclass
class Data:
    """What training starts from; `held` are some held-out rows by role, `truncated` how many texts were cut."""

    raw: Text
    corpus: Corpus
    labels: Labels | None
    held: dict[Role, list[Any]]
    truncated: int


def prepare(rows: Rows, recipe: Recipe, work: Path, resume: bool, listener: Listener) -> Data:
    """Learns the tokenizer and labels and writes the corpus, or takes those of the run that is resumed."""
    note = work / "prepared.json"
    origin = {"recipe": json.loads(recipe.json_text()), "data": rows.fingerprint()}
    if resume and note.exists():
        held = json.loads(note.read_text())
        if held["origin"] != origin:
            raise BadInput(f"The run in {work} {_difference(held['origin'], origin)}; it cannot be resumed as another.")
        raw = build_raw(recipe).load(work, held["settings"])
        labels = Labels(**held["labels"]) if held["labels"] else None
        return Data(raw, Corpus.open(work / "corpus"), labels, held["held"], held["truncated"])
    work.mkdir(parents=True, exist_ok=True)
    for kept in (note, work / "checkpoint.safetensors"):  # of a run before: no longer true from here on
        kept.unlink(missing_ok=True)
    listener(Phase("Learning the vocabulary"))
    raw = build_raw(recipe)
    raw.learn(_training_texts(rows, recipe))
    labels = _labels(rows, recipe)
    listener(Phase("Tokenizing"))
    data = _write_corpus(rows, recipe, raw, labels, work)
    raw.save(work)
    made = {"origin": origin, "settings": raw.settings, "labels": labels.as_dict() if labels else None}
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps({**made, "held": data.held, "truncated": data.truncated}))
    partial.replace(note)
    return data


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    if old["data"] != new["data"]:
        return "was begun on other data"
    before, now = (dict(_flat(origin["recipe"])) for origin in (old, new))
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return "has another recipe: " + ", ".join(f"{name} was {before.get(name)}, now {now.get(name)}" for name in changed)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in pairs:
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _blocks(rows: Rows, recipe: Recipe) -> Iterator[tuple[Any, dict[str, list[str | None]], NDArray[np.bool_]]]:
    """Record batches with their text columns, and which rows are held out: whole groups of rows together."""
    columns = columns_of(recipe)
    seed, share = recipe.seed, recipe.training.hold_out
    for batch in rows.batches():
        texts = {name: text_column(batch, name) for name in columns}
        groups = texts[columns[0]] if rows.group is None else text_column(batch, rows.group)
        held = np.array([key(seed, "held out", group) < share * 2**63 for group in groups], np.bool_)
        yield batch, texts, held


def _training_texts(rows: Rows, recipe: Recipe) -> Iterator[str]:
    found = False
    for _, texts, held in _blocks(rows, recipe):
        for column in texts.values():
            for text, out in zip(column, held, strict=True):
                if text and not out:
                    found = True
                    yield text
    if not found:
        raise BadInput(f"{rows.name} has no text to learn from in {' or '.join(map(repr, columns_of(recipe)))}.")


def _labels(rows: Rows, recipe: Recipe) -> Labels | None:
    column = recipe.columns.get("label")
    if column is None:
        return None
    values = [value for batch in rows.batches() for value in batch.column(column).to_pylist()]
    return Labels.learn(values, column)


def _write_corpus(rows: Rows, recipe: Recipe, raw: Text, labels: Labels | None, work: Path) -> Data:
    writer = Writer(work / "corpus", columns_of(recipe), raw.size)
    shown: dict[Role, list[Any]] = {role: [] for role in recipe.columns}
    truncated = 0
    for batch, texts, held in _blocks(rows, recipe):
        sides = []
        for column in texts.values():
            ids, cut = _tokenized(raw, column)
            truncated += cut
            sides.append(ids)
        label = recipe.columns.get("label")
        targets = labels.numbers(batch.column(label).to_pylist()) if labels and label else None
        writer.add(sides, held, targets)
        for row in held.nonzero()[0][: SHOWN - len(shown["input"])].tolist():
            for role, name in recipe.columns.items():
                shown[role].append(texts[name][row] if name in texts else batch.column(name)[row].as_py())
    return Data(raw, writer.close(), labels, shown, truncated)


def _tokenized(raw: Text, texts: Sequence[str | None]) -> tuple[Ragged, int]:
    """The first window of each text, with length zero where there is no text; and how many texts were cut."""
    windows = raw.windows([text or "" for text in texts])
    first = np.unique(windows.owners.numpy(), return_index=True)[1]
    ids = windows.ragged if len(first) == len(windows.owners) else windows.ragged.take(torch.from_numpy(first))
    present = torch.tensor([bool(text) for text in texts], dtype=torch.bool)
    shapes = ids.shapes * present[:, None]
    return Ragged(ids.values[present[ids.owners]], shapes), int((np.asarray(windows.truncated) > 0).sum())


def columns_of(recipe: Recipe) -> list[str]:
    """Every column that any stage reads as a side, in order of first use."""
    found: dict[str, None] = {}
    for view in (view for stage in recipe.stages for view in recipe.views(stage)):
        found |= {name: None for role, name in view.columns.items() if role in SIDES}
    return list(found)
