"""Inside a model: the shape of every part for one batch, what its states look like, and one backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.models import Autoencoder, DualEncoder, Embedder, SequenceToSequence
from raw2vec.ragged import Ragged

VANISHED, EXPLODED = 1e-4, 1e2  # gradient norm against weight norm, beside the median of all layers


@dataclass(frozen=True)
class Part:
    """One part of the model and what it gave: its shape as text, its own weights, and its states' statistics."""

    name: str
    kind: str
    shape: str
    parameters: int
    mean: float
    std: float
    largest: float
    dead: float
    """Share of units that gave the same number for every row of the batch."""


@dataclass(frozen=True)
class Gradient:
    """One part's weights after a backward pass: the norms of the weights and of their gradients."""

    name: str
    weight: float
    gradient: float

    @property
    def ratio(self) -> float:
        return self.gradient / self.weight if self.weight else 0.0


@dataclass(frozen=True)
class Inspection:
    """What `inspect` saw, part by part in the order the data passes them, and what it thinks of it."""

    items: int
    tokens: int
    parameters: int
    loss: float
    parts: list[Part]
    gradients: list[Gradient]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[list[str]]]]:
        """Two tables for a terminal, each a title and rows of strings, the heading first."""
        parts = [["part", "kind", "shape", "parameters", "mean", "std", "largest", "dead"]]
        parts += [
            [
                p.name,
                p.kind,
                p.shape,
                f"{p.parameters:,}",
                f"{p.mean:.3f}",
                f"{p.std:.3f}",
                f"{p.largest:.2f}",
                f"{p.dead:.0%}",
            ]
            for p in self.parts
        ]
        gradients = [["weights of", "weight norm", "gradient norm", "ratio"]]
        gradients += [[g.name, f"{g.weight:.3g}", f"{g.gradient:.3g}", f"{g.ratio:.2g}"] for g in self.gradients]
        title = f"{self.items} items, {self.tokens:,} tokens, {self.parameters:,} parameters"
        return [(title, parts), (f"One backward pass (loss {self.loss:.3f})", gradients)]


def inspect(model: nn.Module, ids: Ragged, loss: Callable[[], Tensor], targets: Ragged | None = None) -> Inspection:
    """Runs the model over one batch of ids, and `loss` forwards and backwards; gradients are cleared afterwards.

    targets: what a translator is to write of them, or what the other encoder of a pair is to read.
    """
    if not len(ids):
        raise BadInput("There is nothing to inspect the model with: give it at least one text.")
    seen: dict[str, Any] = {}
    names = _parts(model)
    handles = [part.register_forward_hook(_remember(seen, name)) for name, part in names.items()]
    try:
        with torch.no_grad():
            _run(model, ids, targets)
    finally:
        for handle in handles:
            handle.remove()
    parts = [_part(name, names[name], given) for name, given in seen.items()]
    value, gradients = _gradients(model, names, loss)
    count = sum(weight.numel() for weight in model.parameters())
    notes = [*_dead_notes(parts), *_gradient_notes(gradients)]
    return Inspection(len(ids), len(ids.values), count, value, parts, gradients, notes)


def _parts(model: nn.Module) -> dict[str, nn.Module]:
    """The model's parts, and where a part is a stack, its layers one by one."""
    found: dict[str, nn.Module] = {}
    for name, part in _children(model):
        found[name] = part
        for inner, layers in part.named_children():
            if isinstance(layers, nn.ModuleList):
                found |= {f"{name}.{inner}.{place}": layer for place, layer in enumerate(layers)}
    return found


def _children(model: nn.Module) -> list[tuple[str, nn.Module]]:
    if isinstance(model, Autoencoder):
        return [*model.embedder.named_children(), ("decoder", model.decoder)]
    if isinstance(model, DualEncoder):
        sides = {"input": model.input, "target": model.target}
        return [(f"{side}.{name}", part) for side, own in sides.items() for name, part in own.named_children()]
    return list(model.named_children())


def _run(model: nn.Module, ids: Ragged, targets: Ragged | None) -> None:
    """Forwards, part by part: as a whole, a bag would pass its embedding and encoder by."""
    if isinstance(model, DualEncoder):
        _run(model.input, ids, None)
        if targets is not None:
            _run(model.target, targets, None)
    elif isinstance(model, Embedder | Autoencoder):
        codes = model.latent(model.encoder(model.embedding(ids)))
        if isinstance(model, SequenceToSequence) and targets is not None:
            model.costs(model.read(ids), targets)
        elif isinstance(model, Autoencoder):
            model.log_prob(codes, ids)
    else:
        model(ids)


def _remember(seen: dict[str, Any], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, taken: Any, given: Any) -> None:
        seen.setdefault(name, given)  # what is read comes first, what is written after it

    return hook


def _part(name: str, module: nn.Module, given: Any) -> Part:
    values = given.values if isinstance(given, Ragged) else given
    rows = values.float().flatten(0, -2)
    spread = rows.std(dim=0, correction=0) if len(rows) > 1 else torch.ones(rows.shape[1])
    dead = float((spread <= 1e-6 * rows.abs().max().clamp(min=1e-12)).float().mean())
    shape = f"{len(given)} ragged, {tuple(values.shape)}" if isinstance(given, Ragged) else str(tuple(values.shape))
    parameters = sum(weight.numel() for weight in module.parameters())
    largest = float(rows.abs().max())
    return Part(name, type(module).__name__, shape, parameters, float(rows.mean()), float(rows.std()), largest, dead)


def _gradients(
    model: nn.Module, names: dict[str, nn.Module], loss: Callable[[], Tensor]
) -> tuple[float, list[Gradient]]:
    with torch.enable_grad():
        model.zero_grad()
        value = loss()
        value.backward()
    found = []
    for name, part in names.items():
        inner = [other for other in names if other.startswith(name + ".")]
        weights = [
            w for key, w in part.named_parameters() if not any(f"{name}.{key}".startswith(i + ".") for i in inner)
        ]
        if weights:
            grads = [w.grad for w in weights if w.grad is not None]
            found.append(Gradient(name, _norm(weights), _norm(grads)))
    model.zero_grad()
    return value.item(), found


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack([t.detach().float().norm() for t in tensors]).norm()) if tensors else 0.0


def _dead_notes(parts: list[Part]) -> list[str]:
    return [f"{p.dead:.0%} of the units of {p.name} are dead: they gave one number for the whole batch" for p in parts
            if p.dead > 0.1]  # fmt: skip


def _gradient_notes(gradients: list[Gradient]) -> list[str]:
    ratios = sorted(g.ratio for g in gradients)
    middle = ratios[len(ratios) // 2] if ratios else 0.0
    if not middle:
        return ["no gradient reaches the model: the loss does not depend on it"]
    if len(ratios) < 3:  # of two, neither is the odd one
        return ["gradients reach every layer, too few to tell whether one vanishes or explodes"]
    notes = []
    for g in gradients:
        if g.ratio < VANISHED * middle:
            notes.append(
                f"the gradient vanishes in {g.name}: {g.ratio:.1g} of its weights against {middle:.1g} in the middle"
            )
        elif g.ratio > EXPLODED * middle:
            notes.append(
                f"the gradient explodes in {g.name}: {g.ratio:.1g} of its weights against {middle:.1g} in the middle"
            )
    return notes or ["gradients reach every layer in like measure: none vanishes, none explodes"]
