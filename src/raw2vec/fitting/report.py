"""What a fit has to show for itself: held-out scores beside baselines, the health of the space, and the model card."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch

from raw2vec.errors import BadInput
from raw2vec.evaluate import CROSS_RETRIEVAL, RETRIEVAL, Encode, Report, health
from raw2vec.fitting.fit import Fitted
from raw2vec.folder import Model, card_lines
from raw2vec.interchange import refusal
from raw2vec.labels import MOST_CLASSES
from raw2vec.measure import masked_patches
from raw2vec.measure.agreement import agreement
from raw2vec.measure.decoding import reconstruction
from raw2vec.measure.labelled import classification
from raw2vec.measure.space import beside
from raw2vec.measure.translation import translation
from raw2vec.objectives import MaskedPatches
from raw2vec.presets import sides_begun
from raw2vec.recipe import Recipe, Role
from raw2vec.use.classify import heads
from raw2vec.use.detect import score_samples, threshold
from raw2vec.use.encode import encode
from raw2vec.use.write import Manner

GOLDEN = 4  # inputs whose vectors a folder keeps
FEWEST = 20  # held-out rows below which nothing is claimed
ENOUGH = 200  # held-out rows among which a tenth can be told


def judged(fitted: Fitted, encode: Encode, data: str) -> str:
    """Puts the report and the golden vectors into the fitted model, and gives its model card."""
    parts, why = fitted.model, "too little was held out to measure anything"
    try:
        found = judge(fitted, encode, parts.recipe.seed)
    except BadInput as error:  # what the held-out rows lack is no reason to lose a model that is trained
        found, why = None, f"nothing was measured: {error}"
    if fitted.start is not None and found is not None:
        found = replace(found, baselines={**found.baselines, **_begun(fitted, found.protocol, parts.recipe.seed)})
    parts.report = report(fitted, found, encode, data, why)
    golden = [item for item in fitted.held.get("input", []) if _there(item)][:GOLDEN] or _stand_in(fitted)
    parts.golden = (golden, encode(golden, "input"))
    targets = [item for item in fitted.held.get("target", []) if _there(item)][:GOLDEN]
    if parts.recipe.target is not None and targets:
        parts.golden_targets = (targets, encode(targets, "target"))
    return card(fitted, parts.report)


def _begun(fitted: Fitted, protocol: str, seed: int) -> dict[str, dict[str, float]]:
    """What the model that it began from scores on the same rows, where vectors alone are measured."""
    start, held = fitted.start, complete(fitted.held)
    if start is None or not protocol.startswith(RETRIEVAL.name) or "target" not in held:
        return {}

    begins = {str(own): str(its) for own, its in sides_begun(fitted.model.recipe, start.recipe).items()}

    def encoded(items: Any, role: str) -> Any:
        side = begins.get(role, next(iter(begins.values())))
        return encode(start.model.side(side), start.raw.side(side), items).vectors

    found = RETRIEVAL.run(encoded, {"input": held["input"], "target": held["target"]}, seed)
    return {f"{fitted.model.recipe.checkpoint}, as it was": dict(found.metrics)}


def _stand_in(fitted: Fitted) -> list[Any]:
    """Where nothing was held out: a word, or the first items that were trained on."""
    if fitted.seen is None:
        return ["raw2vec"]
    return fitted.model.raw.restore(fitted.seen.split(GOLDEN)[0])


def judge(fitted: Fitted, encode: Encode, seed: int) -> Report | None:
    """Held-out scores beside baselines at the same width, or None when too little was held out.

    Labels are told by the model's own head, or without one by a probe on the vectors; pairs find each other; a text
    without a partner is cut in two, and its first half has to find its second among all others'. Where patches were
    hidden in training, they are told again. A student is set beside its teacher.
    """
    held = complete(fitted.held)
    learnt = {str(role): column for role, column in fitted.learnt.items()}
    if len(held.get("input", ())) < FEWEST:
        return None
    if fitted.model.recipe.returns:
        return reconstruction(fitted.model, {"input": held["input"]}, seed, fitted.seen)
    if fitted.model.recipe.translates:
        pairs = {"input": held["input"], "target": held["target"]}
        found = translation(fitted.model, pairs, seed, learnt, Manner())
        told = f"the baselines learnt from {len(learnt['input']):,} pairs that the model was trained on"
        return replace(found, notes=[told, *found.notes])
    if "label" in held:
        labelled = {"input": held["input"], "label": held["label"]}
        if fitted.model.labels is not None and fitted.model.labels.task == "vectors":
            return agreement(fitted.model, encode, labelled, seed, learnt, fitted.start)
        if len(set(map(str, held["label"]))) < 2:
            return None
        return classification(fitted.model, encode, labelled, seed, learnt, fitted.seen)
    if "target" in held:
        protocol = RETRIEVAL if fitted.model.recipe.texts else CROSS_RETRIEVAL
        return protocol.run(encode, {"input": held["input"], "target": held["target"]}, seed)
    if any(isinstance(objective, MaskedPatches) for objective in fitted.model.objectives.values()):
        return masked_patches(fitted.model, held["input"], seed)
    if fitted.seen is not None:
        return None
    halves = [half for half in map(cut_in_two, held["input"]) if half]
    if len(halves) < FEWEST:
        return None
    found = RETRIEVAL.run(encode, {"input": [a for a, _ in halves], "target": [b for _, b in halves]}, seed)
    told = (
        f"the second half of each of {len(halves)} held-out texts is sought by its first: no search for what users ask"
    )
    return replace(found, notes=[told, *found.notes])


def complete(held: dict[Role, list[Any]]) -> dict[Role, list[Any]]:
    """The held-out rows in which no column is missing."""
    rows = [row for row in zip(*held.values(), strict=True) if all(map(_there, row))]
    return {role: [row[place] for row in rows] for place, role in enumerate(held)}


def _there(cell: Any) -> bool:
    return cell is not None and not (isinstance(cell, str) and not cell)


def cut_in_two(text: str) -> tuple[str, str] | None:
    """A text's first and second half by words, or None when it has fewer than six."""
    words = text.split()
    middle = len(words) // 2
    return (" ".join(words[:middle]), " ".join(words[middle:])) if len(words) >= 6 else None


def report(fitted: Fitted, found: Report | None, encode: Encode, data: str, why: str) -> dict[str, Any]:
    """report.json: held-out metrics and baselines, the space's health, and all that is needed to do it again.

    why: what stands there instead of metrics.
    """
    items = [item for item in fitted.held.get("input", []) if _there(item)]
    space, ills = _space(fitted, encode, items)
    made: dict[str, Any] = {
        "kind": fitted.model.recipe.kind,
        "task": _task(fitted.model),
        "metrics": found.metrics if found else {},
        "baselines": found.baselines if found else {},
        "protocol": found.protocol if found else None,
        "intervals": found.intervals if found else {},
        "notes": [*(found.notes if found else [why]), *ills, *fitted.notes, *_unordered(fitted)],
        "health": space,
        "history": fitted.history,
        "items": fitted.counts["rows"],
        "held_out": fitted.counts["held_out"],
        "truncated": fitted.counts["truncated"],
        "unreadable": fitted.unreadable,
        "steps": fitted.steps,
        "seconds": round(fitted.seconds, 2),
        "seed": fitted.model.recipe.seed,
        "data": data,
        **({"checkpoint": fitted.model.recipe.checkpoint} if fitted.start is not None else {}),
        "threshold": _threshold(fitted, items),
        "hardware": hardware(),
        "versions": {name: version(name) for name in ("raw2vec", "torch", "tokenizers", "numpy")},
    }
    return made


def _task(parts: Model) -> str | None:
    """What the model answers with, beside vectors: its labels, or translations."""
    if parts.recipe.translates:
        return "translation"
    return parts.labels.task if parts.labels and heads(parts) else None


def _unordered(fitted: Fitted) -> list[str]:
    """A word on whole numbers that are learned as classes, where so many look like a quantity."""
    labels = fitted.model.labels
    if labels is None or labels.task != "classes" or len(labels.names) <= MOST_CLASSES:
        return []
    if not all(isinstance(name, int) or str(name).isdecimal() for name in labels.names):
        return []
    return [
        f"the labels, {len(labels.names):,} whole numbers, are classes without an order: written with a decimal point "
        "(3.0) they are learned as numbers"
    ]


def _space(fitted: Fitted, encode: Encode, items: list[Any]) -> tuple[dict[str, Any], list[str]]:
    """The health of the held-out vectors, what each unit of a Gaussian code costs among it; how much is in use."""
    if len(items) < 2:
        return {}, []
    found = health(encode(items, "input"), **beside(fitted.model, items))
    units = {"unit_kl": list(found.unit_kl)} if found.unit_kl else {}
    return {**found.as_dict(), **units}, found.in_use()


def _threshold(fitted: Fitted, items: list[Any]) -> float | None:
    """The score that the share `contamination` of items does not reach; None without a decoder.

    Of the held-out items where they are enough to tell, else of some that were trained on as well.
    """
    parts = fitted.model
    if not parts.recipe.returns:
        return None
    if len(items) < ENOUGH and fitted.seen is not None:
        items = [*items, *parts.raw.restore(fitted.seen.split(5 * ENOUGH)[0])]
    return threshold(score_samples(parts, items), parts.recipe.training.contamination) if items else None


def hardware() -> str:
    """The processor and what torch uses of it, or the GPU, in a few words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = torch.cpu.get_capabilities().get("cpu_name", platform.processor() or platform.machine())
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def _title(recipe: Recipe) -> str:
    if recipe.target is None:
        return f"A {recipe.encoder.name} encoder of {recipe.kind}"
    own, other = recipe, recipe.target
    return f"A {own.encoder.name} encoder of {own.kind} and a {other.encoder.name} one of {other.kind}, in one space"


def card(fitted: Fitted, made: dict[str, Any]) -> str:
    """The model card: what the folder is, how it was made, what it scores, and how to use it."""
    recipe = fitted.model.recipe
    parameters = sum(weight.numel() for weight in fitted.model.model.parameters())
    lines = card_lines(
        _title(recipe),
        f"{parameters:,} parameters; vectors of {fitted.model.model.latent.width} numbers.",
        f"Trained on {made['items']:,} rows ({made['held_out']:,} held out) for {made['seconds']:.0f} s, "
        f"{made['steps']:,} steps, seed {made['seed']}, on {made['hardware']}.",
    )
    if made["metrics"]:
        names = list(made["metrics"])
        chose = ", which also chose the best weights on the way" if fitted.history else ""
        lines += ["", f"Scores of held-out rows{chose} ({made['protocol']}):", "", "| | " + " | ".join(names) + " |"]
        lines.append("|---" * (len(names) + 1) + "|")
        for name, metrics in {"this model": made["metrics"], **made["baselines"]}.items():
            cells = [f"{metrics[key]:.3f}" if key in metrics else "–" for key in names]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    reason = refusal(recipe)
    other = f"does not open in sentence-transformers: {reason}" if reason else "opens in sentence-transformers as it is"
    lines += ["", *(f"- {note}" for note in [*made["notes"], f"the folder {other}"])]
    return "\n".join(lines) + "\n"
