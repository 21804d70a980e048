"""A protocol run on a model and a file: which protocol, which columns, and the model as the protocol wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from raw2vec.batch import Batch
from raw2vec.errors import BadInput, Numbered, Unreadable
from raw2vec.evaluate import MASKED_PATCHES, Encode, Guesses, Patches, Protocol, Report, protocol
from raw2vec.folder import Model
from raw2vec.measure.agreement import agreement
from raw2vec.measure.decoding import DECODED, SAMPLES, likelihood
from raw2vec.measure.labelled import PROBED, classification, probed
from raw2vec.measure.pairs import zero_shot
from raw2vec.measure.space import space
from raw2vec.measure.translation import USUAL as TRANSLATING
from raw2vec.measure.translation import translation
from raw2vec.objectives import Masked, MaskedPatches, Supervised
from raw2vec.presets import roles
from raw2vec.ragged import Ragged
from raw2vec.raw import FILES_AT_ONCE, WHOLE_ROW, Raw, Table
from raw2vec.recipe import SIDES, Role
from raw2vec.rows import Rows, located, open_rows
from raw2vec.seeding import Draws
from raw2vec.sides import column_side, told
from raw2vec.unreadable import as_list, sentence
from raw2vec.use.fill import fill, fill_patches
from raw2vec.use.inspect import Inspection, inspect
from raw2vec.use.write import Manner

_TAUGHT = (*PROBED, "translation")


def measure(
    parts: Model,
    encode: Encode,
    rows: Rows,
    columns: Mapping[Role, str],
    name: str | None,
    seed: int = 0,
    samples: int | None = None,
    progress: Callable[[int], None] = lambda items: None,
    train: tuple[Rows, Mapping[Role, str]] | None = None,
    beam: int | None = None,
) -> Report:
    """The report of the protocol `name`, or of the one that the columns call for.

    train: rows that probes learn from (the protocols knn and linear-probe), or the baselines of translation, and their
    columns. samples: codes drawn an item, of the protocol that draws any, the likelihood; beam: drafts that a
    translator follows. progress: hears how many items it has just done.
    """
    chosen = protocol(name or _fitting(parts, columns))
    if samples is not None and chosen.name != "likelihood":
        raise BadInput(f"The protocol '{chosen.name}' draws no codes: samples are for --protocol likelihood.")
    if train is not None and chosen.name not in _TAUGHT:
        raise BadInput(f"The protocol '{chosen.name}' learns from no rows: --train is for {' and '.join(_TAUGHT)}.")
    if beam is not None and chosen.name != "translation":
        raise BadInput(f"The protocol '{chosen.name}' writes nothing by a beam: --beam is for --protocol translation.")
    side = told(parts) if chosen.name == "zero-shot" else "input"
    held, unreadable, gone = _held(parts.raw, rows, columns, side)
    learnt = _held(parts.raw, *train)[0] if train else None
    if chosen.name == "zero-shot":
        found = zero_shot(parts, encode, side, held, seed)
    elif chosen.name == "translation":
        manner = TRANSLATING if beam is None else Manner(beam=beam)
        found = translation(parts, held, seed, learnt, manner, progress)
    elif chosen.name in PROBED:
        found = probed(chosen.name, parts, encode, held, learnt, seed)
    else:
        found = _by(chosen, parts, encode, held, seed, SAMPLES if samples is None else samples, progress)
    if chosen.name == "classification":
        found = _known(parts, rows, found)
    named = " or ".join(map(repr, columns.values()))
    notes = [f"rows left out, without {named}: {gone}"] if gone else []
    notes += [f"left out: {sentence(unreadable, parts.raw.reads_files)}"] if unreadable else []
    return replace(found, notes=[*notes, *found.notes]) if notes else found


def _held(
    raw: Raw, rows: Rows, columns: Mapping[Role, str], side: Role = "input"
) -> tuple[dict[str, list[Any]], list[dict[str, Any]], int]:
    """The rows that can be measured, by role; the files that cannot be read, and how many other rows lack something."""
    held, unreadable = _readable(raw, read_columns(raw, rows, columns, side), side)
    held, gone = _complete(held, rows, columns)
    return held, unreadable, gone


def _readable(raw: Raw, held: dict[str, list[Any]], side: Role) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """The rows without a file that cannot be read, and what those are: a protocol works on items as it pleases."""
    unreadable: dict[int, Unreadable] = {}
    for role in (role for role in held if role in SIDES):
        reader, items = raw.side(side if role == "input" else role), held[role]
        for start in range(0, len(items), FILES_AT_ONCE) if reader.files else ():
            some = enumerate(items[start : start + FILES_AT_ONCE], start)
            reader.windows(
                Numbered([(row, item) for row, item in some if not isinstance(item, np.ndarray | None)], unreadable)
            )
    if unreadable:
        held = {role: [item for row, item in enumerate(items) if row not in unreadable] for role, items in held.items()}
    return held, as_list(unreadable)


def _complete(held: dict[str, list[Any]], rows: Rows, columns: Mapping[Role, str]) -> tuple[dict[str, list[Any]], int]:
    """The rows that lack nothing, and how many others there were; BadInput for those where a gap is a mistake."""
    if rows.gaps:
        whole = [row for row in zip(*held.values(), strict=True) if not any(cell is None for cell in row)]
        return {role: [row[place] for row in whole] for place, role in enumerate(held)}, len(held["input"]) - len(whole)
    for row, text in enumerate(held.get("input", [])):
        if text is None:
            raise BadInput(
                f"{rows.where(row)} has nothing in '{columns['input']}'; an evaluation needs every row whole."
            )
    return held, 0


def _by(
    chosen: Protocol,
    parts: Model,
    encode: Encode,
    held: Mapping[str, list[Any]],
    seed: int,
    samples: int,
    progress: Callable[[int], None],
) -> Report:
    if chosen.name == "likelihood":
        return likelihood(parts, held, seed, samples, progress)
    if chosen.name in DECODED:
        return DECODED[chosen.name](parts, held, seed)
    if chosen.name == "masked" and parts.raw.form.channels:
        return masked_patches(parts, held["input"], seed)
    if chosen.name == "masked":
        return chosen.run(lambda texts: Guesses(*fill(parts, texts, seed)), held, seed)
    if chosen.name == "space":
        return space(parts, encode, held, seed)
    if chosen.name == "agreement":
        return agreement(parts, encode, held, seed)
    if chosen.name == "classification":
        return classification(parts, encode, held, seed)
    return chosen.run(encode, held, seed)


def _known(parts: Model, rows: Rows, found: Report) -> Report:
    """The report, with a word where the rows are those that the model was fitted on: its head knows their labels."""
    if parts.report.get("data") != rows.fingerprint():
        return found
    known = "these are the rows that the model was fitted on, so that it knows their labels: measure it on others"
    return replace(found, notes=[known, *found.notes])


def masked_patches(parts: Model, items: Sequence[Any], seed: int = 0) -> Report:
    """How well the hidden patches of these items are told, in the units of the objective's targets."""
    return MASKED_PATCHES.run(lambda asked: Patches(*fill_patches(parts, asked, seed)), {"input": items}, seed)


def inspected(parts: Model, rows: Rows, columns: Mapping[Role, str], items: int = 32) -> Inspection:
    """The model over the first rows, and its own last objective forwards and backwards where the columns allow it."""
    held = {role: values[:items] for role, values in read_columns(parts.raw, rows, columns).items()}
    device = next(parts.model.parameters()).device
    sides: dict[str, Ragged] = {
        role: parts.raw.side(role).windows(_whole(parts.raw, held[role])).ragged.to(device)
        for role in ("input", "target")
        if role in held
    }
    if parts.recipe.translates and "target" not in sides:
        raise BadInput("A translator is inspected on pairs: give DATA with both columns, --input and --target.")
    if parts.recipe.target is not None and "target" not in sides:
        raise BadInput("Two encoders are inspected as they find each other: give pairs, and name the target.")
    objective = next(reversed(parts.objectives.values()), None)  # type: ignore[call-overload]
    labels = None
    if isinstance(objective, Supervised):
        with torch.no_grad():
            labels = objective.readout.mode(parts.model(sides["input"]))
        if "label" in held and parts.labels:
            labels = torch.from_numpy(parts.labels.numbers(held["label"])).to(device)
    batch = Batch(torch.arange(len(sides["input"]), device=device), sides, labels)

    def loss() -> torch.Tensor:
        if objective is None:  # a checkpoint, which was trained elsewhere: the numbers of its vectors, added up
            return parts.model(sides["input"]).sum() / len(sides["input"])
        return next(iter(objective(parts.model, batch, Draws(0)).values()))

    apart = parts.recipe.translates or parts.recipe.target is not None
    return inspect(parts.model, sides["input"], loss, sides["target"] if apart else None)


def _whole(raw: Raw, items: list[Any]) -> list[Any]:
    return [raw.nothing if item is None else item for item in items]


def refuse_unread(parts: Model, name: str | None, columns: Mapping[Role, str], asked: Mapping[str, str | None]) -> None:
    """BadInput for a column that is asked for and not read by the protocol, the one named or the fitting one."""
    chosen = protocol(name or _fitting(parts, columns))
    for role, column in asked.items():
        if column is not None and role not in chosen.roles:
            raise BadInput(f"The protocol '{chosen.name}' measures without a {role}: leave out --{role} {column}.")


def columns_of(
    parts: Model, data: Any, encoded: Role = "input", /, **asked: str | None
) -> tuple[Rows, dict[Role, str]]:
    """The data's rows, and their columns by role: those asked for, else those of the model's recipe that are there.

    encoded: whose column is the input where nobody names one. What is found by a pair's input is its target.
    """
    known = parts.recipe.columns
    likely = parts.raw.columns if isinstance(parts.raw, Table) else list(known.values())
    kind = None if parts.recipe.kind in ("text", "pairs") else parts.recipe.kind
    rows = open_rows(data, [name for name in asked.values() if name not in (None, WHOLE_ROW)], likely, kind)
    if not any(asked.values()):
        asked = {role: known.get(role) if known.get(role) in rows.columns else None for role in asked}  # type: ignore[call-overload]
        if known.get(encoded) in rows.columns:
            asked["input"] = known[encoded]
    if kind is None and (len(asked) == 1 or len(rows.columns) == 1):
        kind = "text"
    columns = roles(rows, kind, asked)  # type: ignore[arg-type]
    files = [name for role, name in columns.items() if role in SIDES and _reader(parts, rows, role, name).files]
    return located(rows, *files), columns


def _reader(parts: Model, rows: Rows, role: Role, column: str) -> Raw:
    """What reads a column: of two encoders the one that knows it, whatever it is called here."""
    return parts.raw.side(column_side(parts, rows, column) if role == "input" else role)


def read_columns(raw: Raw, rows: Rows, columns: Mapping[Role, str], side: Role = "input") -> dict[str, list[Any]]:
    """The named columns in memory, by role: sides as items, labels as they are. side: what reads the inputs."""
    held: dict[str, list[Any]] = {str(role): [] for role in columns}
    for batch in rows.batches():
        for role, name in columns.items():
            reader = raw.side(side if role == "input" else role)
            values = batch.column(name).to_pylist() if role == "label" else reader.column(batch, name)
            held[role].extend(values)
    return held


def _fitting(parts: Model, columns: Mapping[Role, str]) -> str:
    if parts.recipe.returns and "label" not in columns:
        return "reconstruction"
    if parts.recipe.translates and "target" in columns and "label" not in columns:
        return "translation"
    if "label" in columns and parts.labels is not None and parts.labels.task == "vectors":
        return "agreement"
    if "label" in columns:
        return "sts" if "target" in columns else "classification"
    if "target" in columns:
        return "retrieval" if parts.recipe.texts else "cross-retrieval"
    return "masked" if any(isinstance(o, Masked | MaskedPatches) for o in parts.objectives.values()) else "space"
