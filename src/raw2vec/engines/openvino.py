"""OpenVINO (https://docs.openvino.ai) as an engine: an encoder as its graph, in float32, bfloat16 or int8.

Here alone it is imported. Its own converter and nncf tell their makers over the network that they were used; what is
called here does not.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raw2vec.engines.base import INPUTS, OUTPUT, GraphEngine, example, rectangle
from raw2vec.errors import MissingExtra
from raw2vec.ragged import Ragged
from raw2vec.workers import cores

FILE = "openvino_model.xml"
PRECISIONS = ("float32", "bfloat16", "int8")


def library() -> Any:
    """The package openvino; MissingExtra where it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino", "OpenVINO's format") from error
    return openvino


class OpenVINO(GraphEngine):
    """A graph compiled for the CPU: as many streams as there are cores, each a worker's own.

    graph: one of `converted` or `quantised`, or the file of one. precision: of its arithmetic, but for what is in int8
    in the graph itself.
    """

    def __init__(self, graph: Any, precision: str = "float32"):
        openvino, self.workers = library(), cores()
        self.name = f"openvino {precision}"
        kind = {"float32": openvino.Type.f32}.get(precision, openvino.Type.bf16 if _half() else openvino.Type.f32)
        options = {"INFERENCE_PRECISION_HINT": kind, "NUM_STREAMS": self.workers}
        options |= {"INFERENCE_NUM_THREADS": self.workers, "ENABLE_CPU_PINNING": False}
        self.compiled = openvino.Core().compile_model(graph, "CPU", options)
        self._own = local()

    def answer(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self.compiled.create_infer_request()
        found: NDArray[np.float32] = request.infer([ids, mask])[0]
        return found


def converted(padded: nn.Module) -> Any:
    """An encoder, as engines.padded has it, as a graph of OpenVINO, for rectangles of any size."""
    openvino = library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch has begun to give up what it follows arithmetic with
        decoder = TorchScriptPythonDecoder(padded.eval(), example_input=example())
    reader = FrontEndManager().load_by_framework("pytorch")
    graph = reader.convert(reader.load(decoder))
    for place, name in enumerate(INPUTS):
        graph.inputs[place].set_names({name})
        graph.inputs[place].get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
        graph.inputs[place].get_node().set_element_type(openvino.Type.i64)
    graph.outputs[0].set_names({OUTPUT})
    graph.validate_nodes_and_infer_types()
    return graph


def quantised(graph: Any, windows: Sequence[Ragged]) -> Any:
    """The graph with weights and what passes between them in int8, by the ranges seen in these windows."""
    nncf = _nncf()
    seen = [list(rectangle(part)) for part in windows]
    with redirect_stdout(StringIO()):  # it draws progress there
        return nncf.quantize(
            graph,
            nncf.Dataset(seen),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(seen),
        )


def written(graph: Any, folder: Path, half: bool = False) -> None:
    """The graph as OpenVINO's two files, its numbers as they are, or in 16 bits: three more than bfloat16 reads."""
    library().save_model(graph, folder / FILE, compress_to_fp16=half)


def _nncf() -> Any:
    """The package nncf, told not to report its use."""
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    except ImportError as error:
        raise MissingExtra("nncf", "openvino", "A graph in int8") from error
    finally:
        if before is None:
            os.environ.pop("NNCF_CI")
        else:
            os.environ["NNCF_CI"] = before
    nncf.set_log_level(40)
    return nncf


def _half() -> bool:
    """Whether the CPU multiplies bfloat16."""
    return "BF16" in library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
