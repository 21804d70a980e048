"""A small, fast encoder made of a large one: its vectors in a table, or in fewer layers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from raw2vec import bundle, folder
from raw2vec.disk import replacing
from raw2vec.distilling.lessons import Lesson, lesson_of
from raw2vec.distilling.students import begun, inherits, lift_of, reader_of, refuse_no_teacher, static, tokens_of
from raw2vec.engines.passages import passages, taken
from raw2vec.errors import BadInput
from raw2vec.evaluate import AGREEMENT
from raw2vec.evaluate.agreement import FEWEST
from raw2vec.evaluate.base import Columns
from raw2vec.fitting import runs
from raw2vec.fitting.device import device_called, working_precision
from raw2vec.fitting.fit import fit_model
from raw2vec.fitting.report import judged
from raw2vec.folder import Model
from raw2vec.interchange import add_golden, card_of, dialect_of, write_extras
from raw2vec.labels import cells
from raw2vec.presets import Start, student
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.rows import Rows, open_rows
from raw2vec.system import Raw2Vec
from raw2vec.train.base import FINISHED, Listener, Phase
from raw2vec.train.origin import difference
from raw2vec.train.prepare import PREPARED
from raw2vec.use.encode import encode
from raw2vec.use.teach import Taught, lone_tokens, spent, teach

TEACHING = 0.4  # of a budget in minutes goes to the teacher at most: what is learned from more texts is learned better
NOTE = "distilling.json"  # in a run's folder: of what teacher, data and recipe it is
TAUGHT = "teacher"  # the texts and what the teacher says of them
VECTOR = "teacher"  # the column of it
TOKENS = "tokens.safetensors"  # what the teacher says of every token
PASSAGES = 256  # on which a student of no texts is set beside its teacher
FIRST = 20_000  # of its vectors tell the directions that a shorter vector keeps


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
    resume: bool = False,
    listener: Listener = lambda event: None,
) -> Raw2Vec:
    """A student of the teacher, saved to the folder `out`.

    Without data it is a static encoder, a table of what the teacher says of every token (Model2Vec). With texts it
    learns the teacher's vectors of them: `minutes` (five) or `steps`. vectors: the column of these, where `embed` has
    written them before; none: the teacher is asked, for two fifths of the minutes at most. encoder: dense, the table;
    the teacher's own, with fewer layers; or any other. latent: numbers in a vector; none: 256 of a table, else the
    teacher's. settings: changes of the recipe by dotted key. resume: go on with what a run that was killed has left in
    `OUT.training`, the teacher's vectors among it. BadInput where there is nothing to learn from, or the teacher reads
    no texts.
    """
    began = monotonic()
    name = str(getattr(teacher, "source_", "the model") if isinstance(teacher, Raw2Vec) else teacher)
    place = device_called(device)
    bundle.refuse_foreign(Path(out))
    if data is None or not resume:
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
        _save(Path(out), made, card)
    else:
        lesson = lesson_of(parts, data, input, vectors, seed)
        budget = {"minutes": 5.0 if minutes is None and steps is None else minutes, "steps": steps}
        columns = {"input": lesson.column, "label": vectors or (VECTOR if lesson.column != VECTOR else f"{VECTOR}'s")}
        recipe = student(start, columns, encoder, latent, **budget).changed({**(settings or {}), "seed": seed})
        origin = {"teacher": folder.fingerprint(parts), "data": lesson.fingerprint}
        origin |= {"recipe": json.loads(recipe.json_text())}
        if resume and runs.finished(Path(out), recipe, lesson.fingerprint):
            made = Raw2Vec.load(out, device=device)
            _refuse_another({**origin, "teacher": made.report.get("teacher_space")}, origin, Path(out))
            listener(FINISHED)
            return made
        with runs.begun(Path(out), resume, (NOTE, PREPARED)) as work:
            resume = _goes_on(work, origin, resume)
            made, card = _taught(parts, recipe, lesson, work, resume, name, listener, began - spent(work / TAUGHT))
            _save(Path(out), made, card)
    return Raw2Vec.load(out, device=device)


def _save(out: Path, made: Model, card: str) -> None:
    folder.save(out, made, card, dialect_of(made.recipe), lambda partial: write_extras(partial, made))


def _refuse_taken(out: Path) -> None:
    """BadInput for a folder that is there and holds anything: what took a teacher minutes replaces nothing unasked."""
    if bundle.found(out).exists() and any(bundle.found(out).iterdir()):
        raise BadInput(f"{out} holds a model already: give another --out, or remove it.")


def _goes_on(work: Path, origin: dict[str, Any], resume: bool) -> bool:
    """Whether there is a run of this origin to go on with; else whatever is there makes room for a new one.

    BadInput where the run to be resumed is another.
    """
    note = work / NOTE
    if resume and note.exists():
        _refuse_another(json.loads(note.read_text()), origin, work)
        return True
    shutil.rmtree(work / TAUGHT, ignore_errors=True)
    (work / TOKENS).unlink(missing_ok=True)
    with replacing(note) as partial:
        partial.write_text(json.dumps(origin))
    return False


def _refuse_another(held: dict[str, Any], origin: dict[str, Any], place: Path) -> None:
    """BadInput where what is held at a place is of another teacher, recipe or data."""
    if held["teacher"] != origin["teacher"]:
        raise BadInput(f"What is in {place} was begun with another teacher; it cannot be resumed as another.")
    if held != origin:
        raise BadInput(f"The run in {place} {difference(held, origin)}; it cannot be resumed as another.")


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
    made.report |= _beside(made, parts, lift, recipe.seed)
    add_golden(made, lambda items, role: encode(made.model, made.raw, items).vectors)
    return made, card_of(made)


def _beside(made: Model, teacher: Model, lift: torch.Tensor, seed: int) -> dict[str, Any]:
    """What the student has lost: its agreement with the teacher on passages that are always there.

    lift: (L, D), from its space into the teacher's.
    """
    assert isinstance(teacher.raw, Text), "the teacher reads texts"
    assert isinstance(made.raw, Text), "and so does a student"
    items = taken(made.raw, taken(teacher.raw, list(passages(PASSAGES))))
    if len(items) < FEWEST:
        return {}
    told: Columns = {"input": items, "label": list(encode(teacher.model, teacher.raw, items).vectors)}
    own = lambda texts, role: encode(made.model, made.raw, texts).vectors  # noqa: E731
    found = AGREEMENT.run(own, told, seed, lift=lift.cpu().numpy())
    measured = {"protocol": found.protocol, "metrics": found.metrics, "intervals": found.intervals}
    return {**measured, "baselines": found.baselines, "passages": len(items)}


def _taught(
    parts: Model,
    recipe: Recipe,
    lesson: Lesson,
    work: Path,
    resume: bool,
    name: str,
    listener: Listener,
    began: float,
) -> tuple[Model, str]:
    """A student that has learned the teacher's vectors of texts, and its card."""
    taught, rows = _teach(parts, recipe, lesson, work, listener, began)
    width = recipe.latent.settings.get("width") or recipe.encoder.settings["width"]
    lift = lift_of(torch.from_numpy(taught.first), width, inherits(parts, recipe))
    tokens = None
    if static(recipe):
        raw = reader_of(parts, recipe)
        tokens = tokens_of(_lone(parts, listener, work / TOKENS), lift, raw, _counts(raw, lesson.texts[: taught.items]))
    start = begun(parts, recipe, lift, tokens)
    place = next(parts.model.parameters()).device
    options: dict[str, Any] = {"resume": resume, "listener": listener, "device": place}
    fitted = fit_model(rows, recipe, work, start=start, began=began, **options)
    fitted.notes += _notes(taught, lesson, name)

    def encoded(items: Any, role: str = "input") -> NDArray[np.float32]:
        return encode(fitted.model.model, fitted.model.raw, items).vectors

    card = judged(fitted, encoded, lesson.fingerprint)
    fitted.model.report |= {"teacher": name, "teacher_space": folder.fingerprint(parts), "taught": taught.items}
    return fitted.model, card


def _teach(
    parts: Model, recipe: Recipe, lesson: Lesson, work: Path, listener: Listener, began: float
) -> tuple[Taught, Rows]:
    """The teacher's vectors of as many texts as the budget has time for, and the rows that hold them.

    Of a run that is resumed, once its rows were made ready for training, they are what they were.
    """
    minutes = recipe.training.minutes
    until = None if minutes is None else began + 60 * minutes * TEACHING
    columns = (recipe.columns["input"], recipe.columns["label"])
    if lesson.given is not None:
        batch = next(lesson.given.batches(FIRST, list(columns)))
        first = np.stack(cells(batch.column(batch.schema.get_field_index(columns[1])))).astype(np.float32)
        return Taught(len(lesson.texts), 0, first), lesson.given
    taught = teach(
        parts,
        lesson.texts,
        work / TAUGHT,
        columns,
        keep=FIRST,
        until=0.0 if (work / PREPARED).exists() else until,
        precision=working_precision("auto", next(parts.model.parameters()).device),
        progress=_heard(listener, "Asking the teacher", len(lesson.texts)),
    )
    return taught, open_rows(str(work / TAUGHT), list(columns), kind="text")


def _lone(parts: Model, listener: Listener, kept: Path | None = None) -> torch.Tensor:
    """What the teacher says of every token, (V, D); kept: the file that a run has it in."""
    assert isinstance(parts.raw, Text), "the teacher reads texts"
    if kept is not None and kept.exists():
        return load_file(kept)["tokens"]
    precision = working_precision("auto", next(parts.model.parameters()).device)
    heard = _heard(listener, "Asking the teacher for every token", parts.raw.size)
    lone = lone_tokens(parts, precision=precision, progress=heard)
    if kept is not None:
        with replacing(kept) as partial:
            save_file({"tokens": lone}, partial)
    return lone


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
