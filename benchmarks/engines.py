"""The quickest encoding there is: a checkpoint by every engine and by sentence-transformers, in turns, end to end.

    python -m benchmarks.engines --checkpoint minilm

Two sets of texts: functions of the standard library, of mixed length, and their first lines. sentence-transformers runs
as it comes, in bfloat16, and in int8 by OpenVINO where optimum-intel is installed; CTranslate2 in int8, a worker for
each core, is given batches of like length. `OMP_NUM_THREADS=1 taskset -c 1` before the command measures one core.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
import typer
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer

import raw2vec
from benchmarks.machine import gemm_rate, heading, interleaved
from benchmarks.texts import mixed
from raw2vec.packaged import packaged

OURS = {
    "raw2vec float32": {},
    "raw2vec torch bfloat16": {"engine": "torch", "precision": "bfloat16"},
    "raw2vec auto": {"engine": "auto"},
    "raw2vec torch int8": {"engine": "torch", "precision": "int8"},
    "raw2vec openvino float32": {"engine": "openvino"},
    "raw2vec openvino bfloat16": {"engine": "openvino", "precision": "bfloat16"},
    "raw2vec openvino int8": {"engine": "openvino", "precision": "int8"},
    "raw2vec onnx float32": {"engine": "onnx"},
    "raw2vec onnx int8": {"engine": "onnx", "precision": "int8"},
}
REFERENCE = "sentence-transformers float32"


def main(
    checkpoint: str = "minilm", items: int = 1000, short: int = 2000, rounds: int = 5, only: str = "", cpu: bool = False
) -> None:
    """Prints one JSON object. only: engines whose names hold one of these words, by commas. cpu: count the processor's
    time instead of the clock's, on one core that other programs share."""
    warnings.simplefilter("ignore")
    clock = time.process_time if cpu else time.perf_counter
    folder = packaged(checkpoint) or Path(checkpoint)
    model = raw2vec.load(checkpoint, device="cpu")
    ways = peers(folder) | {name: partial(model.encode, **options) for name, options in OURS.items()}
    ways = {name: way for name, way in ways.items() if name == REFERENCE or any(w in name for w in only.split(","))}
    sets = {"mixed": mixed(items), "short": [text.split("\n")[0][:120] for text in mixed(short)]}
    found: dict[str, Any] = {"machine": heading(), "cores": len(os.sched_getaffinity(0)), "cpu_time": cpu}
    found["gemm_gflops"] = {str(kind)[6:]: round(gemm_rate(kind) / 1e9) for kind in (torch.float32, torch.bfloat16)}
    for name, texts in sets.items():
        seconds, vectors = measured(ways, texts, rounds, clock)
        own = vectors[REFERENCE]
        found[name] = {"items": len(texts), "tokens": int(model.encoded(texts).tokens.sum())} | {
            way: {
                "items_per_s": round(len(texts) / seconds[way], 1),
                "ratio": round(seconds[REFERENCE] / seconds[way], 2),
                **{f"{which}_cosine": round(float(value), 6) for which, value in nearness(vectors[way], own).items()},
            }
            for way in ways
        }
    print(json.dumps(found, indent=2))


def peers(folder: Path) -> dict[str, Callable[[list[str]], np.ndarray]]:
    """sentence-transformers' own ways, those that are installed."""
    from sentence_transformers import SentenceTransformer

    asked: dict[str, dict[str, Any]] = {
        REFERENCE: {},
        "sentence-transformers bfloat16": {"model_kwargs": {"dtype": torch.bfloat16}},
        "sentence-transformers openvino int8": {
            "backend": "openvino",
            "model_kwargs": {"file_name": "openvino_model_qint8_quantized.xml"},
        },
    }
    found = {}
    for name, options in asked.items():
        try:
            model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, **options)
        except Exception as error:  # what is missing differs by version
            print(f"{name} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        found[name] = partial(model.encode, show_progress_bar=False)
    return found | {"ctranslate2 int8": by_ctranslate2(folder)}


def by_ctranslate2(folder: Path, batch: int = 32) -> Callable[[list[str]], np.ndarray]:
    """The checkpoint in CTranslate2: sorted by length, so many texts a batch, pooled by the mean of their tokens."""
    place = Path(tempfile.mkdtemp(), "model")
    TransformersConverter(str(folder)).convert(str(place), quantization="int8")
    cores = len(os.sched_getaffinity(0))
    encoder = ctranslate2.Encoder(str(place), inter_threads=cores, intra_threads=1, compute_type="int8")
    read = Tokenizer.from_file(str(folder / "tokenizer.json"))
    read.no_padding()
    read.enable_truncation(256)

    def some(ids: list[list[int]]) -> np.ndarray:
        states = np.array(encoder.forward_batch(ids).last_hidden_state)
        pooled = np.stack([rows[: len(own)].mean(0) for rows, own in zip(states, ids, strict=True)])
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def encode(texts: list[str]) -> np.ndarray:
        ids = [each.ids for each in read.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        parts = [[ids[place] for place in order[start : start + batch]] for start in range(0, len(order), batch)]
        with ThreadPoolExecutor(cores) as pool:
            vectors = np.concatenate(list(pool.map(some, parts)))
        return vectors[np.argsort(order)]

    return encode


def measured(
    ways: dict[str, Callable[[list[str]], Any]], texts: list[str], rounds: int, clock: Callable[[], float]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Median seconds and the vectors of each way; engines are made in the first turn, which does not count."""
    vectors: dict[str, np.ndarray] = {}

    def work(name: str) -> None:
        vectors[name] = np.asarray(ways[name](texts), np.float32)

    return interleaved({name: partial(work, name) for name in ways}, rounds, clock), vectors


def nearness(vectors: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """The worst cosine with the reference's vectors and the mean one, of texts that are not empty."""
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(own, axis=1)
    cosines = (vectors * own).sum(1)[norms > 0] / norms[norms > 0]
    return {"worst": cosines.min(), "mean": cosines.mean()}


if __name__ == "__main__":
    typer.run(main)
