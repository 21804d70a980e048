"""The benchmark of a card runs as a whole, if only in small and on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

for peer in ("transformers", "sentence_transformers"):
    pytest.importorskip(peer, reason="the extra 'peers' is not installed")
ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/src", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_a_miniature_measures_all_that_the_card_is_measured_by(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(f"number {n} of {n % 7} kinds " * (1 + n % 9) for n in range(60)))
    done = run("--device", "cpu", "--size", "tiny", "--steps", "2", "--rounds", "1", "--texts", str(lines))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["gemm_tflops_bfloat16"] > 0
    for items in ("full", "mixed"):
        for who in ("raw2vec", "transformers"):
            told = found["training"][f"{items}, {who}"]
            assert told["tokens_per_s"] > 0
            assert 0 < told["gemm_share"] < 1
            assert told["peak_gb"] > 0
        assert found["training"][f"{items}, ratio"] > 0
    assert found["encoding"]["worst_cosine"] > 0.999, "both open the same folder"
    assert found["command"]["seed"] == 0
    assert set(found["versions"]) == {"torch", "transformers", "sentence_transformers"}


def test_without_a_card_it_says_what_to_do() -> None:
    done = run()
    assert done.returncode == 2
    assert "--device cpu --size tiny" in done.stderr
