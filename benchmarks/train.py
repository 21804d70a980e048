"""Training speed: tokens a second of each encoder, and its share of the machine's own GEMM rate."""

import json
import time

import torch
import typer

import raw2vec
from benchmarks.machine import gemm_rate, heading
from benchmarks.texts import mixed
from raw2vec.build import ENCODERS
from raw2vec.train.base import Progress


def main(items: int = 3000, steps: int = 12, width: int = 384, layers: int = 6) -> None:
    """Masked prediction at MiniLM's size (transformer) and at the same width (the others), on mixed-length code."""
    texts = mixed(items)
    rates = {}
    gemm = gemm_rate(torch.bfloat16)
    for encoder in ENCODERS:
        settings = {"encoder.width": width, "encoder.layers": layers, "training.hold_out": 0.0}
        settings |= {"encoder.heads": 12} if encoder == "transformer" else {}
        heard: list[Progress] = []
        model = raw2vec.Raw2Vec("masked", encoder, steps=steps, settings=settings)
        model.fit(
            texts, listener=lambda event, heard=heard: heard.append(event) if isinstance(event, Progress) else None
        )
        steady = heard[2:]
        tokens = sum(event.tokens for event in steady) / sum(event.seconds for event in steady)
        weights = sum(p.numel() for p in model.parts_.model.encoder.parameters())
        rates[encoder] = {"tokens_per_s": round(tokens), "gemm_share": round(6 * weights * tokens / gemm, 3)}
    found = {"machine": heading(), "gemm_gflops_bfloat16": round(gemm / 1e9), "encoders": rates}
    print(json.dumps(found | {"seconds": round(time.process_time())}, indent=2))


if __name__ == "__main__":
    typer.run(main)
