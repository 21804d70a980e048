"""Encoders of texts as graphs in a folder of their own: what another program, or another machine, needs to run them.

A folder that `export` writes holds the graph, the tokenizer and encode.json, which is all it takes to give the model's
vectors; and our own recipe and digests, by which `raw2vec embed` and `raw2vec index` open it as they open a model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raw2vec import calibration
from raw2vec.build import build_model
from raw2vec.bundle import bind, bound_by, found, read_json, replacing
from raw2vec.engines import CALIBRATION, Parity, beside, onnx, openvino, refuse_far, refuse_graph, seen
from raw2vec.engines.base import INPUTS, OUTPUT, GraphEngine
from raw2vec.engines.padded import Padded
from raw2vec.errors import BadFolder, BadInput, nearest
from raw2vec.folder import GRAPHS, Model, fingerprint, ranges_in
from raw2vec.models import Embedder
from raw2vec.raw import Raw, Text
from raw2vec.recipe import Recipe

QUANTIZATIONS = ("float32", "bfloat16", "int8")
_GRAPHS = (openvino.FILE, "openvino_model.bin", onnx.FILE)
_FILES = ("recipe.json", "tokenizer.json", "encode.json", calibration.FILE, *_GRAPHS)
_RUNS = {
    "openvino": """import openvino
options = {{"INFERENCE_PRECISION_HINT": "{hint}"}}  # without it CPUs that multiply bfloat16 do, at a cosine of 0.9999
graph = openvino.Core().compile_model("{name}/openvino_model.xml", "CPU", options)
vectors = graph([ids, mask])[0]""",
    "onnx": """import onnxruntime
session = onnxruntime.InferenceSession("{name}/model.onnx")
vectors = session.run(["vectors"], {{"input_ids": ids, "attention_mask": mask}})[0]""",
}
_DROPPED = 'mask = mask * (ids != about["unknown_token"])  # words that are not known count for nothing\n'
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
_CARD = """# An encoder for {engine}
Exported by raw2vec in {quantization}. `raw2vec embed {name} DATA --out vectors` encodes every row of a file. Without
raw2vec:

```python
import json, numpy, tokenizers

about = json.load(open("{name}/encode.json"))
tokenizer = tokenizers.Tokenizer.from_file("{name}/tokenizer.json")
tokenizer.enable_truncation(about["max_tokens"])
tokenizer.enable_padding(pad_id=about["pad"])
found = tokenizer.encode_batch(["a text", "another"]{plain})  # after its prompt, where about["prompts"] has one
ids, mask = (numpy.array([getattr(each, name) for each in found]) for name in ("ids", "attention_mask"))
{dropped}{runs}  # pooled and normalised as the model does
```
"""


def export(
    parts: Model, out: Path, engine: str, quantization: str = "float32", texts: Sequence[str] | None = None
) -> Parity:
    """Writes a folder with the encoder's graph, whole and in one step, and tells how near it is to the model.

    quantization: "bfloat16" is OpenVINO's alone, half of the size; where a CPU does not multiply it, it runs in
    float32. "int8" rounds weights, and for OpenVINO what passes between them by the ranges that `texts` show;
    none: texts that are always there. BadInput for a model that no graph can be made of; Raw2VecError, and nothing
    written, where the graph's vectors are not the model's.
    """
    _refuse(out, engine, quantization)
    raw, inner = parts.raw, refuse_graph(parts.model, parts.raw, engine)
    assert isinstance(raw, Text)
    golden = parts.golden[0] if parts.golden else []
    with replacing(out) as partial:
        made = _written(inner, raw, partial, engine, quantization, texts)
        parity = beside(made, parts.model, raw, golden)
        assert parity is not None, "texts have probes"
        refuse_far(parity, engine, quantization, ", so nothing was written")
        raw.save(partial)
        calibration.write(partial, parts.ranges)
        (partial / "recipe.json").write_text(parts.recipe.json_text(), encoding="utf-8")
        about = {"engine": engine, "quantization": quantization, **_about(parts, raw)}
        (partial / "encode.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        runs = _RUNS[engine].format(name=out.name, hint=_HINTS[quantization])
        dropped = _DROPPED if about["unknown"] == "drop" else ""
        plain = ", add_special_tokens=False" if about["boundaries"] == "none" else ""
        card = _CARD.format(name=out.name, runs=runs, dropped=dropped, plain=plain, **about)
        (partial / "README.md").write_text(card, encoding="utf-8")
        report = {"engine": engine, "quantization": quantization, "parity": asdict(parity)}
        report |= {"model": fingerprint(parts), "space": _space(parts, partial, quantization)}
        (partial / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        bind(partial, {"settings": raw.settings, "weights": engine, "labels": None}, _FILES)
    return parity


class Opened:
    """What `export` wrote, ready to run: what turns texts into windows, and the graph that gives their vectors.

    parts: the model without its weights. space: the fingerprint of its vectors, the model's own in float32.
    """

    def __init__(self, folder: Path):
        """BadFolder for a folder that is damaged or no export."""
        self.folder = folder = found(folder)
        held = bound_by(folder)
        if held["weights"] not in GRAPHS:
            raise BadFolder(f"{folder} holds no graph of an encoder: raw2vec export makes one.")
        self.name: str = held["weights"]
        recipe, raw = Recipe.read(folder / "recipe.json"), Text.load(folder, held["settings"])
        with torch.device("meta"):
            model = build_model(recipe, raw)
        self.parts = Model(recipe, raw, model.eval(), nn.ModuleDict(), ranges=ranges_in(folder, held))
        self.quantization: str = read_json(folder / "encode.json")["quantization"]
        self.space: str = read_json(folder / "report.json")["space"]

    def engine(self, name: str | None = None, precision: str | None = None) -> GraphEngine:
        """Its engine at work, in the precision that it was exported in, or bfloat16. BadInput for another engine."""
        if name not in (None, "auto", self.name):
            raise BadInput(f"{self.folder} was exported for {self.name}, which {name} cannot run.")
        exported = precision in (None, self.quantization)
        half = precision == "bfloat16" and (self.name, self.quantization) == ("openvino", "float32")
        if not exported and not half:
            raise BadInput(f"{self.folder} was exported in {self.quantization}: export the model with --quantization.")
        made = openvino.OpenVINO if self.name == "openvino" else onnx.ONNX
        file = openvino.FILE if self.name == "openvino" else onnx.FILE
        engine: GraphEngine = made(self.folder / file, precision or self.quantization)
        engine.alone = True
        return engine


def _written(
    model: Embedder, raw: Raw, folder: Path, engine: str, quantization: str, texts: Sequence[str] | None
) -> GraphEngine:
    if engine == "onnx":
        onnx.written(Padded(model), folder)
        if quantization == "int8":
            onnx.rounded_weights(folder)
        return onnx.ONNX(folder / onnx.FILE, quantization)
    graph = openvino.converted(Padded(model))
    if quantization == "int8":
        graph = openvino.quantised(graph, seen(raw, list(texts or [])[:CALIBRATION]))
    openvino.written(graph, folder, half=quantization == "bfloat16")
    return openvino.OpenVINO(folder / openvino.FILE, quantization)


def _about(parts: Model, raw: Text) -> dict[str, Any]:
    """What else there is to know for whoever has the graph and the tokenizer."""
    latent = parts.model.latent
    return {
        "width": latent.width,
        "inputs": list(INPUTS),
        "output": OUTPUT,
        "normalized": parts.recipe.latent.settings.get("normalize") == "unit",
        "pad": raw.pad,
        "unknown_token": raw.unknown,
        **{name: raw.settings[name] for name in ("max_tokens", "long", "boundaries", "unknown", "max_characters")},
        "prompts": parts.recipe.prompts,
        "default_prompt": parts.recipe.default_prompt,
    }


def _space(parts: Model, folder: Path, quantization: str) -> str:
    """The fingerprint of the vectors: the model's own, but where weights were rounded."""
    own = fingerprint(parts)
    if quantization == "float32":
        return own
    files = [folder / name for name in ("openvino_model.bin", onnx.FILE) if (folder / name).exists()]
    return blake2b(own.encode() + b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


def _refuse(out: Path, engine: str, quantization: str) -> None:
    if quantization not in QUANTIZATIONS:
        known = " or ".join(QUANTIZATIONS)
        raise BadInput(f"Weights are {known}, not '{quantization}'.{nearest(quantization, QUANTIZATIONS)}")
    if quantization == "bfloat16" and engine != "openvino":
        raise BadInput(f"{engine} takes float32 or int8: bfloat16 is for --to openvino.")
    (openvino if engine == "openvino" else onnx).library()
    if (found(out) / "recipe.json").exists() and not (found(out) / "encode.json").exists():
        raise BadInput(f"{out} holds a model, which the export would take the place of: name another folder.")
