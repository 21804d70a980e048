"""Processes that keep a share of every weight each train what one process trains, whatever becomes of them."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

import raw2vec
from raw2vec.recipe import Training
from raw2vec.train.base import cut, placed, share
from raw2vec.train.sharding import Whole, laid_out

SCRIPT = """
import os, signal, sys
import torch
from raw2vec import Raw2Vec
from raw2vec.errors import Raw2VecError
from raw2vec.objectives import Masked
from raw2vec.train.loop import Trainer

out, kind, fate = sys.argv[1:4]
rank, first = os.environ["RANK"], os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
step, shares = Trainer._step, set()

def watched(self, *given):
    if self.state.step == 5 and first and rank in fate:
        os.kill(os.getpid(), signal.SIGKILL)
    shares.add(any(hasattr(weight, "to_local") for weight in self.weights))
    step(self, *given)

Trainer._step = watched
if fate == "nan":
    forward = Masked.forward
    Masked.forward = lambda *given: {"masked": forward(*given)["masked"] * (float("nan") if rank == "1" else 1.0)}
words = "printer fire refund late broken screen password door key order lost paper slow noise light".split()
rows = [{"text": f"{a} {b}", "answer": f"{b} {c} {a}"} for a in words for b, c in zip(words[3:], words[5:])]
settings = {"training.accumulate": 2, "training.average": 0.9, "training.save_every": 1e-6, "training.checks": 3}
settings |= {"encoder.dropout": 0.1, "raw.vocabulary": 200, "training.precision": "float32", "training.shard": True}
settings |= {
    "pairs": {"training.clip": 1e9, "stages.1.batch_items": 16, "stages.1.objectives.0.chunk": 6},
    "muon": {"training.optimizer": "muon", "stages.0.batch_tokens": 128},
    "adapted": {"stages.0.adapters": {}},
}[kind]
named = {"input": "text", "target": "answer"} if kind == "pairs" else {"input": "text"}
made = Raw2Vec("contrastive" if kind == "pairs" else "masked", "transformer", steps=8, size="tiny", settings=settings)
try:
    made.fit(rows, out=out, resume=True, **named)
except Raw2VecError as error:
    sys.exit(f"{rank}: {error}")
assert not any(hasattr(weight, "to_local") for weight in made.parts_.model.parameters()), "what comes out is whole"
assert shares == {int(os.environ.get("WORLD_SIZE", "1")) > 1}
"""


def run(folder: Path, processes: int, kind: str, fate: str = "none", restarts: int = 0) -> tuple[int, str]:
    """The script by so many processes: its exit code, and what it said of errors."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    together = ["-m", "torch.distributed.run", "--standalone", f"--max-restarts={restarts}", "--nproc-per-node"]
    before = [*together, str(processes)] if processes > 1 else []
    done = subprocess.run(
        [sys.executable, *before, str(script), str(folder / "model"), kind, fate],
        env={**os.environ, "OMP_NUM_THREADS": "1", "RANK": "0"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stderr


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def furthest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


def test_shares_end_in_the_weights_of_one_process_to_the_bit_though_a_worker_is_killed(tmp_path: Path) -> None:
    """Two stages, masked and contrastive; chunks, a single number to learn, an average, a restart."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for folder, told in ((alone, (1, "pairs")), (shared, (2, "pairs", "1", 1))):
        folder.mkdir()
        code, said = run(folder, *told)
        assert code == 0, said
    assert furthest(weights(alone), weights(shared)) == 0
    assert sorted(path.name for path in shared.iterdir()) == ["model", "script.py"]
    made = raw2vec.load(shared / "model")
    assert made.encode(["paper lost"]).shape[1] == made.n_features_out_


def test_muon_and_the_clip_are_those_of_whole_weights_and_one_process_may_go_on(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    alone.mkdir()
    shared.mkdir()
    assert run(alone, 1, "muon")[0] == 0
    assert run(shared, 2, "muon", "01")[0] != 0
    assert (shared / "model.training").exists()
    assert not (shared / "model").exists()
    code, said = run(shared, 1, "muon")
    assert code == 0, said
    assert furthest(weights(alone), weights(shared)) < 2e-4, "the norm is added up in another order"


def test_all_processes_stop_where_one_has_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    code, said = run(tmp_path, 2, "muon", "nan")
    assert code != 0
    assert "0: The loss is nan" in said
    assert "1: The loss is nan" in said


def test_adapters_are_refused(tmp_path: Path) -> None:
    code, said = run(tmp_path, 2, "adapted")
    assert code != 0
    assert "training.shard cuts up what is there all along" in said


def test_alone_nothing_is_cut_up() -> None:
    class Alone:
        size = 1

    net = nn.Linear(2, 2)
    layout = laid_out(net, Training(steps=1, shard=True), torch.device("cpu"), Alone())  # type: ignore[arg-type]
    assert type(layout) is Whole
    assert layout.modules is net
    assert not cut(net.weight)
    assert share(net.weight) is net.weight
    assert placed(torch.ones(2, 2), net.weight).equal(torch.ones(2, 2))
    assert layout.norm([torch.tensor([3.0]), torch.tensor([4.0])]) == 5
