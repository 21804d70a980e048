"""A small, fast encoder made of a large one: its vectors in a table, or in fewer layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raw2vec import bundle, folder
from raw2vec.errors import BadInput
from raw2vec.fitting import begun as work_in
from raw2vec.fitting import device_called, fit_model, working_precision
from raw2vec.folder import Model
from raw2vec.interchange import add_golden, card_of, dialect_of, write_extras
from raw2vec.labels import cells
from raw2vec.measure import columns_of
from raw2vec.presets import Start, student
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.report import judged
from raw2vec.rows import Rows, open_rows
from raw2vec.seeding import permutation
from raw2vec.students import begun, lift_of, reader_of, refuse_no_teacher, static, tokens_of
from raw2vec.system import Raw2Vec
from raw2vec.train.base import Listener, Phase
from raw2vec.use.encode import encode
from raw2vec.use.prompt import prompt_for, prompted
from raw2vec.use.teach import Taught, lone_tokens, teach

TEACHING = 0.4  # of a budget in minutes goes to the teacher at most: what is learned from more texts is learned better
SOME, SAME = 32, 0.98  # vectors that are compared with the teacher's own, and the least cosine of such
TAUGHT = "teacher.parquet"  # in a run's folder: the texts and what the teacher says of them
VECTOR = "teacher"  # the column of it
FIRST = 20_000  # of its vectors tell the directions that a shorter vector keeps


@dataclass(frozen=True)
class Lesson:
    """Texts to learn from, and their column's name. given: their rows, where these hold the teacher's vectors."""

    texts: list[str]
    column: str
    fingerprint: str
    given: Rows | None = None


def distill(
    teacher: Raw2Vec | str | Path,
    data: Any = None,
    *,
    out: str | Path,
    input: str | None = None,
    vectors: str | None = None,
    encoder: str = "dense",
    latent: int | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str | None = None,
    listener: Listener = lambda event: None,
) -> Raw2Vec:
    """A student of the teacher, saved to the folder `out`.

    Without data it is a static encoder, a table of what the teacher says of every token (Model2Vec). With texts it
    learns the teacher's vectors of them: `minutes` (five) or `steps`. vectors: the column of these, where `embed` has
    written them before; none: the teacher is asked, for two fifths of the minutes at most. encoder: dense, the table;
    the teacher's own, with fewer layers; or any other. latent: numbers in a vector; none: 256 of a table, else the
    teacher's. settings: changes of the recipe by dotted key. BadInput where there is nothing to learn from, or the
    teacher reads no texts.
    """
    began = monotonic()
    name = str(getattr(teacher, "source_", "the model") if isinstance(teacher, Raw2Vec) else teacher)
    place = device_called(device)
    _refuse_taken(Path(out))
    parts = (teacher if isinstance(teacher, Raw2Vec) else Raw2Vec.load(teacher)).parts_
    refuse_no_teacher(parts)
    parts.model.to(place)
    start = Start(parts.recipe, parts.model.latent.width)
    if data is None:
        if encoder != "dense" or minutes is not None or steps is not None:
            raise BadInput("Without texts there is nothing to learn from: give DATA, or make a static encoder.")
        recipe = student(start, {}, latent=latent).changed({**(settings or {}), "seed": seed})
        made, card = _untaught(parts, recipe, name, listener, began)
    else:
        lesson = _lesson(parts, data, input, vectors, seed)
        budget = {"minutes": 5.0 if minutes is None and steps is None else minutes, "steps": steps}
        columns = {"input": lesson.column, "label": vectors or (VECTOR if lesson.column != VECTOR else f"{VECTOR}'s")}
        recipe = student(start, columns, encoder, latent, **budget).changed({**(settings or {}), "seed": seed})
        with work_in(Path(out), False) as work:
            made, card = _taught(parts, recipe, lesson, work, name, listener, began)
    folder.save(Path(out), made, card, dialect_of(made.recipe), lambda partial: write_extras(partial, made))
    return Raw2Vec.load(out, device=device)


def _refuse_taken(out: Path) -> None:
    """BadInput for a folder that is there and holds anything: what took a teacher minutes replaces nothing unasked."""
    bundle.refuse_foreign(out)
    if bundle.found(out).exists() and any(bundle.found(out).iterdir()):
        raise BadInput(f"{out} holds a model already: give another --out, or remove it.")


def _lesson(parts: Model, data: Any, input: str | None, vectors: str | None, seed: int) -> Lesson:
    """The texts of the data, each once, in an order drawn by the seed; BadInput where there are none.

    vectors: the column of what the teacher says of them.
    """
    rows, columns = columns_of(parts, data, input=input)
    name = columns["input"]
    if vectors is not None:
        vectors = rows.column(vectors)
        _refuse_another_s(parts, rows, name, vectors)
    batches = rows.batches(columns=[name])
    found = dict.fromkeys(text for batch in batches for text in parts.raw.column(batch, name) if text and text.strip())
    if not found:
        raise BadInput(f"{rows.name} has no text to learn from in '{name}'.")
    texts = list(found)
    order = permutation(len(texts), seed, "taught")
    return Lesson([texts[place] for place in order], name, rows.fingerprint(), rows if vectors else None)


def _refuse_another_s(parts: Model, rows: Rows, column: str, vectors: str) -> None:
    """BadInput for vectors that are not this teacher's, by the first of them."""
    batch = next(rows.batches(SOME, [column, vectors]))
    said = cells(batch.column(batch.schema.get_field_index(vectors)))
    if not all(isinstance(each, np.ndarray) and len(each) == parts.model.latent.width for each in said):
        raise BadInput(
            f"{rows.name} has no vectors of {parts.model.latent.width} numbers in '{vectors}', as raw2vec embed writes "
            "them for this model."
        )
    own = encode(parts.model, parts.raw, prompted(parts.raw.read(batch, column), prompt_for(parts.recipe))).vectors
    lengths = np.linalg.norm(said, axis=1) * np.linalg.norm(own, axis=1)
    cosines = (own * np.stack(said)).sum(axis=1)[lengths > 0] / lengths[lengths > 0]
    if len(cosines) and cosines.min() < SAME:
        row = int(np.flatnonzero(lengths > 0)[cosines.argmin()])
        raise BadInput(
            f"The vector in '{vectors}' of {rows.where(row)} is not what this model says of its text (cosine "
            f"{cosines.min():.2f}): embed the texts with the teacher itself."
        )


def _untaught(parts: Model, recipe: Recipe, name: str, listener: Listener, began: float) -> tuple[Model, str]:
    """A static encoder of the teacher's tokens alone, and its card."""
    lone = _lone(parts, listener)
    raw = reader_of(parts, recipe)
    lift = lift_of(lone - lone.mean(dim=0), recipe.encoder.settings["width"])
    made = begun(parts, recipe, lift, tokens_of(lone, lift, raw, None))
    _settle(made)
    notes = [f"a table of what {name} says of each of {len(lone):,} tokens, and of no text: with DATA it learns more"]
    made.report = {"kind": "text", "task": None, "metrics": {}, "baselines": {}, "notes": notes, "items": 0}
    made.report |= {"held_out": 0, "truncated": 0, "steps": 0, "seconds": round(monotonic() - began, 2)}
    made.report |= {"teacher": name, "tokens": len(lone), "checkpoint": f"{name}, distilled"}
    add_golden(made, lambda items, role: encode(made.model, made.raw, items).vectors)
    return made, card_of(made)


def _taught(
    parts: Model, recipe: Recipe, lesson: Lesson, work: Path, name: str, listener: Listener, began: float
) -> tuple[Model, str]:
    """A student that has learned the teacher's vectors of texts, and its card."""
    work.mkdir(parents=True, exist_ok=True)
    taught, rows = _teach(parts, recipe, lesson, work / TAUGHT, listener, began)
    width = recipe.latent.settings.get("width") or recipe.encoder.settings["width"]
    lift = lift_of(torch.from_numpy(taught.first), width)
    tokens = None
    if static(recipe):
        raw = reader_of(parts, recipe)
        tokens = tokens_of(_lone(parts, listener), lift, raw, _counts(raw, lesson.texts[: taught.items]))
    start = begun(parts, recipe, lift, tokens)
    place = next(parts.model.parameters()).device
    options: dict[str, Any] = {"resume": False, "listener": listener, "device": place}
    fitted = fit_model(rows, recipe, work, start=start, began=began, **options)
    fitted.notes += _notes(taught, lesson, name)
    fitted = replace(fitted, seconds=monotonic() - began)

    def encoded(items: Any, role: str = "input") -> NDArray[np.float32]:
        return encode(fitted.model.model, fitted.model.raw, items).vectors

    card = judged(fitted, encoded, lesson.fingerprint)
    fitted.model.report |= {"teacher": name, "taught": taught.items}
    return fitted.model, card


def _teach(
    parts: Model, recipe: Recipe, lesson: Lesson, file: Path, listener: Listener, began: float
) -> tuple[Taught, Rows]:
    """The teacher's vectors of as many texts as the budget has time for, and the rows that hold them."""
    minutes = recipe.training.minutes
    columns = (recipe.columns["input"], recipe.columns["label"])
    if lesson.given is not None:
        batch = next(lesson.given.batches(FIRST, list(columns)))
        first = np.stack(cells(batch.column(batch.schema.get_field_index(columns[1])))).astype(np.float32)
        return Taught(len(lesson.texts), 0, first), lesson.given
    taught = teach(
        parts,
        lesson.texts,
        file,
        columns,
        keep=FIRST,
        until=None if minutes is None else began + 60 * minutes * TEACHING,
        precision=working_precision("auto", next(parts.model.parameters()).device),
        progress=_heard(listener, "Asking the teacher", len(lesson.texts)),
    )
    return taught, open_rows(str(file), list(columns), kind="text")


def _lone(parts: Model, listener: Listener) -> torch.Tensor:
    assert isinstance(parts.raw, Text), "the teacher reads texts"
    precision = working_precision("auto", next(parts.model.parameters()).device)
    heard = _heard(listener, "Asking the teacher for every token", parts.raw.size)
    return lone_tokens(parts, precision=precision, progress=heard)


def _heard(listener: Listener, what: str, total: int) -> Callable[[int], None]:
    listener(Phase(f"{what}: {total:,}"))
    return lambda done: None


def _counts(raw: Text, texts: list[str]) -> NDArray[np.int64]:
    """How often each token stands in the texts, (V,)."""
    found = np.zeros(raw.size, np.int64)
    for start in range(0, len(texts), 10_000):
        found += np.bincount(raw.windows(texts[start : start + 10_000]).ragged.values.numpy(), minlength=raw.size)
    return found


def _settle(made: Model) -> None:
    embedding = made.model.embedding
    settle = getattr(embedding, "settle", None)
    if settle is not None:
        settle()


def _notes(taught: Taught, lesson: Lesson, name: str) -> list[str]:
    notes = [f"it learned what {name} says of {taught.items:,} texts"]
    if taught.items < len(lesson.texts):
        notes[0] += f", for which there was time, of {len(lesson.texts):,}: more minutes read more"
    if taught.truncated:
        notes.append(f"{taught.truncated:,} of the texts are longer than {name} takes, and it read their beginning")
    return notes
