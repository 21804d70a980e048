"""Engines: what runs an encoder. PyTorch, or OpenVINO and ONNX Runtime on a graph that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.nn.functional import cosine_similarity

from raw2vec.encoders import Dense
from raw2vec.engines import onnx, openvino
from raw2vec.engines.base import Engine, GraphEngine, quick_bfloat16
from raw2vec.engines.int8 import Int8PyTorch, Seen, gains, quantised, watched
from raw2vec.engines.padded import Padded, refusal
from raw2vec.engines.passages import passages, probes, taken
from raw2vec.engines.pytorch import PackedPyTorch, PyTorch
from raw2vec.errors import BadInput, Raw2VecError, nearest
from raw2vec.folder import embedder
from raw2vec.layers.packed import packed
from raw2vec.layers.static_int8 import known
from raw2vec.models import AnyModel, Embedder
from raw2vec.ragged import Ragged
from raw2vec.raw import Raw, Text

__all__ = ["ENGINES", "EXACT", "PRECISIONS", "Engine", "Parity", "PyTorch", "beside", "engine_for", "seen", "watched"]

ENGINES = ("auto", "torch", "openvino", "onnx")
PRECISIONS = ("float32", "bfloat16", "int8")
EXACT = 0.9999
"""The cosine with the model's own vector that no probe's may fall below where `auto` chooses."""
CALIBRATION = 128  # texts whose ranges int8 has
WORST = {"float32": 0.99999, "bfloat16": 0.999, "int8": 0.9}
"""Cosines with the model's vectors that no probe's may fall below in a graph."""
_MEAN = 0.97  # and what they are at least on average in int8


@dataclass(frozen=True)
class Parity:
    """How near an engine's vectors are to the model's own, in float32, of some windows.

    worst, mean: cosines. difference: the largest between two vectors' numbers, in lengths of the longest vector.
    """

    windows: int
    worst: float
    mean: float
    difference: float


def engine_for(
    model: AnyModel, raw: Raw, golden: list[Any], name: str, precision: str | None, levels: Seen | None = None
) -> Engine:
    """The engine of this name for one side's model. "auto": PyTorch in bfloat16 where the hardware is quick at it and
    the probes' vectors are as near to float32's as EXACT, or near enough for the precision that is asked for; else
    PyTorch in float32, or what is installed for int8.

    precision: none or float32, bfloat16, or int8. levels: what `watched` saw, for PyTorch's int8; none: what the golden
    inputs and texts that are always there show. BadInput for what does not exist, or cannot run this model;
    Raw2VecError for a graph that does not give the model's vectors.
    """
    _refuse(name, ENGINES, "engine")
    _refuse(precision or "float32", PRECISIONS, "precision")
    training = model.training
    model.eval()  # what is made of it stays so
    try:
        if name == "auto":
            return _quickest(model, raw, golden, precision, levels)
        return _made(model, raw, golden, name, precision or "float32", levels)
    finally:
        model.train(training)


def beside(engine: Engine, model: AnyModel, raw: Raw, golden: list[Any]) -> Parity | None:
    """How near the engine is to the model on the probes; None where there is nothing to ask."""
    items = probes(raw, golden)
    if not items:
        return None
    windows = raw.windows(items).ragged
    own = PyTorch(model)
    with torch.inference_mode():
        batches = [windows.take(part) for part in engine.batches(windows.lengths, None, 4)]
        found, true = (torch.cat([by.run(part) for part in batches]) for by in (engine, own))
    cosines = cosine_similarity(found.double(), true.double(), dim=1)
    difference = float((found - true).abs().max() / true.norm(dim=1).max().clamp(min=1e-12))
    return Parity(len(cosines), float(cosines.min()), float(cosines.mean()), difference)


def refuse_far(parity: Parity, engine: str, precision: str, then: str = "") -> None:
    """Raw2VecError where a graph's vectors are further from the model's than its precision explains."""
    far = parity.worst < WORST[precision] or (precision == "int8" and parity.mean < _MEAN)
    if far or parity.difference != parity.difference:
        raise Raw2VecError(
            f"{engine} does not give this model's vectors{then}: of {parity.windows} texts the worst has a cosine of "
            f"{parity.worst:.6f} with the model's own, and their mean is {parity.mean:.6f}. Take "
            f"{'float32, or another engine' if precision == 'int8' else 'another engine'}."
        )


def refuse_graph(model: AnyModel, raw: Raw, engine: str) -> Embedder:
    """The embedder that a graph is made of, on the CPU; BadInput where none can be made."""
    inner = embedder(model)
    if why := refusal(inner, raw):
        raise BadInput(
            f"No graph for {engine} can be made of this model: {why}. It takes encoders of texts that are dense or "
            "transformers, with a latent that is a point or Gaussian; torch runs them all."
        )
    assert isinstance(inner, Embedder)
    return inner if next(inner.parameters()).device.type == "cpu" else deepcopy(inner).cpu()


def seen(raw: Raw, texts: Sequence[str] = (), golden: Sequence[Any] = (), items: int = 1) -> list[Ragged]:
    """Windows for int8 to find its ranges by, so many at a time: of these texts, else the golden inputs and texts that
    are always there.

    BadInput for what does not encode texts.
    """
    if not isinstance(raw, Text):
        raise BadInput("int8 is for encoders of texts: take --precision bfloat16 or float32.")
    return raw.windows(texts or [*golden[:32], *taken(raw, list(passages(CALIBRATION)))]).ragged.split(items)


def _quickest(model: AnyModel, raw: Raw, golden: list[Any], precision: str | None, levels: Seen | None) -> Engine:
    if precision == "int8":
        # What has no linear maps to round, a bag of words, is OpenVINO's where it is installed.
        left = not gains(model) and refusal(embedder(model), raw) is None and find_spec("nncf") is not None
        return _made(model, raw, golden, "openvino" if left or not known() else "torch", "int8", levels)
    # A bag's rows are added up in no time. OpenVINO in bfloat16 gains or loses a tenth (docs/engines.md).
    slow = isinstance(model.encoder, Dense) or not quick_bfloat16(next(model.parameters()).device)
    if slow or precision == "float32":
        return PyTorch(model)
    engine = _torch(model, "bfloat16")
    parity = beside(engine, model, raw, golden)
    near = precision == "bfloat16" or (parity is not None and parity.worst >= EXACT)
    return engine if near else PyTorch(model)


def _made(
    model: AnyModel, raw: Raw, golden: list[Any], name: str, precision: str, levels: Seen | None = None
) -> Engine:
    if name == "torch" and precision == "int8":
        windows = seen(raw, golden=golden, items=16) if levels is None else []
        return Int8PyTorch(quantised(model, windows, levels))
    if name == "torch":
        return _torch(model, precision)
    inner = refuse_graph(model, raw, name)
    made = _onnx(inner, precision) if name == "onnx" else _openvino(inner, raw, golden, precision)
    if parity := beside(made, model, raw, golden):
        refuse_far(parity, made.name, precision)
    return made


def _torch(model: AnyModel, precision: str) -> Engine:
    if precision == "float32":
        return PyTorch(model)
    inner = packed(model, torch.bfloat16)
    return PyTorch(model, torch.bfloat16) if inner is model else PackedPyTorch(inner)


def _openvino(model: Embedder, raw: Raw, golden: list[Any], precision: str) -> GraphEngine:
    graph = openvino.converted(Padded(model))
    graph = openvino.quantised(graph, seen(raw, golden=golden)) if precision == "int8" else graph
    return openvino.OpenVINO(graph, precision)


def _onnx(model: Embedder, precision: str) -> GraphEngine:
    if precision == "bfloat16":
        raise BadInput("ONNX Runtime encodes in float32 or int8; bfloat16 takes the engine openvino or torch.")
    with TemporaryDirectory() as place:
        onnx.written(Padded(model), Path(place))
        if precision == "int8":
            onnx.rounded_weights(Path(place))
        return onnx.ONNX(Path(place, onnx.FILE), precision)


def _refuse(word: str, known: tuple[str, ...], what: str) -> None:
    if word not in known:
        raise BadInput(f"There is no {what} '{word}', only {', '.join(known)}.{nearest(word, known)}")
