"""ONNX (https://onnx.ai) as a format, and ONNX Runtime as an engine: in float32, or its weights in int8.

Here alone the two are imported.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raw2vec.engines.base import INPUTS, OUTPUT, GraphEngine, example
from raw2vec.errors import MissingExtra
from raw2vec.workers import cores

FILE = "model.onnx"
PRECISIONS = ("float32", "int8")
_OPSET = 17  # the first with a layer's normalisation; every runtime since 2022 has it


def library() -> Any:
    """The package onnxruntime; MissingExtra where it, or onnx, is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime and onnx", "onnx", "ONNX's format") from error
    return onnxruntime


class ONNX(GraphEngine):
    """A graph run by ONNX Runtime on the CPU, one thread a worker."""

    def __init__(self, file: Path, precision: str = "float32"):
        runtime, self.workers = library(), cores()
        self.name = f"onnx {precision}"
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def answer(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.session.run([OUTPUT], dict(zip(INPUTS, (ids, mask), strict=True)))[0]
        return found


def written(padded: nn.Module, folder: Path) -> None:
    """An encoder, as engines.padded has it, as a graph of ONNX, for rectangles of any size."""
    library()
    axes = {name: {0: "texts", 1: "tokens"} for name in INPUTS} | {OUTPUT: {0: "texts"}}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of a newer exporter, which needs a package more and three times as long
        torch.onnx.export(
            padded.eval(),
            example(),
            str(folder / FILE),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes=axes,
        )


def rounded_weights(folder: Path) -> None:
    """Puts the graph's weights in int8; what passes between them is rounded as it comes."""
    library()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises, each time, what changes nothing of these graphs
    try:
        quantize_dynamic(onnx.load(folder / FILE), folder / FILE, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        logging.disable(before)
