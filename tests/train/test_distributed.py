"""Several processes train what one process trains, to the bit, whatever becomes of them on the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from raw2vec.errors import BadInput
from raw2vec.train.distributed import Group, _buckets

SCRIPT = """
import os, signal, sys
from raw2vec import Raw2Vec
from raw2vec.train.loop import Trainer

objective, out, killed = sys.argv[1:4]
first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
step = Trainer._step

def until(self, *given):
    if self.state.step == 5 and first and os.environ["RANK"] in killed:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, *given)

if killed != "none":
    Trainer._step = until
words = "printer fire refund late broken screen password door key order lost paper slow noise light".split()
rows = [{"text": f"{a} {b}", "answer": f"{b} {c} {a}"} for a in words for b, c in zip(words[3:], words[5:])]
settings = {"training.accumulate": 2, "training.average": 0.9, "training.save_every": 1e-6, "training.checks": 3}
settings |= {"encoder.dropout": 0.1, "raw.vocabulary": 200, "training.precision": "float32"}
settings |= {"stages.0.batch_items": 16} if objective == "contrastive" else {"stages.0.batch_tokens": 128}
named = {"input": "text", "target": "answer"} if objective == "contrastive" else {"input": "text"}
encoder = "transformer" if objective == "masked" else "dense"
made = Raw2Vec(objective, encoder, steps=8, size="tiny", settings=settings)
made.fit(rows, out=out, resume=True, **named)
"""


def run(folder: Path, processes: int, objective: str, killed: str = "none", restarts: int = 0) -> int:
    """The script by so many processes; its exit code."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    together = ["-m", "torch.distributed.run", "--standalone", f"--max-restarts={restarts}", "--nproc-per-node"]
    before = [*together, str(processes)] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RANK": "0"}
    return subprocess.run(
        [sys.executable, *before, str(script), objective, str(folder / "model"), killed],
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    ).returncode


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    found = {}
    for objective in ("masked", "contrastive"):
        folder = tmp_path_factory.mktemp(objective)
        assert run(folder, 1, objective) == 0
        found[objective] = weights(folder)
    return found


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("objective", ["masked", "contrastive"])
def test_two_processes_end_in_the_weights_of_one(
    tmp_path: Path, alone: dict[str, dict[str, torch.Tensor]], objective: str
) -> None:
    assert run(tmp_path, 2, objective) == 0
    assert same(weights(tmp_path), alone[objective])
    assert [path.name for path in tmp_path.iterdir() if "training" in path.name] == []
    assert len((tmp_path / "model" / "metrics.jsonl").read_text().splitlines()) == 8 + 3, "one process writes"


def test_a_killed_worker_is_started_again_and_nothing_is_lost(
    tmp_path: Path, alone: dict[str, dict[str, torch.Tensor]]
) -> None:
    assert run(tmp_path, 2, "masked", killed="1", restarts=1) == 0
    assert same(weights(tmp_path), alone["masked"])


def test_one_process_goes_on_where_two_were_killed(tmp_path: Path, alone: dict[str, dict[str, torch.Tensor]]) -> None:
    assert run(tmp_path, 2, "masked", killed="01") != 0
    assert (tmp_path / "model.training").exists()
    assert not (tmp_path / "model").exists()
    assert run(tmp_path, 1, "masked") == 0
    assert same(weights(tmp_path), alone["masked"])


def test_batches_that_cannot_be_dealt_out_are_refused() -> None:
    group = Group()
    group.refuse(1)
    group.size = 3
    with pytest.raises(BadInput, match=r"3 processes share .* asks 2: add --set training\.accumulate=3"):
        group.refuse(2)
    group.refuse(6)
    group.rank = 1
    assert list(group.own(6)) == [1, 4]


def test_alone_nothing_changes() -> None:
    group, weight = Group(), nn.Parameter(torch.ones(3))
    assert (group.size, group.leads) == (1, True)
    group.add([weight])
    assert weight.grad is None
    assert group.agreed(1.5, 2.0) == group.totals([1.5, 2.0]) == [1.5, 2.0]
    assert group.tick(True)
    assert not group.tick(False)
    assert group.path("there") == "there"


def test_weights_are_sent_in_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raw2vec.train.distributed._BUCKET", 10)
    sizes = [4, 6, 1, 30, 2]
    found = _buckets([nn.Parameter(torch.zeros(size)) for size in sizes])
    assert [[weight.numel() for weight in part] for part in found] == [[4, 6], [1], [30], [2]]
