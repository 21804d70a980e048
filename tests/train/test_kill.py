"""kill -9 at any moment of a fit, a distillation, an embedding, an indexing; resumed, all is as if it had not been."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import raw2vec
from raw2vec.system import Raw2Vec
from small import recipe, rows

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are POSIX's")

# Imports once what takes seconds, then runs each line of code it reads in a process of its own.
SERVER = """
import json, os, sys, traceback, warnings
import torch
torch.set_num_threads(1)
warnings.simplefilter("ignore")
from raw2vec.system import Raw2Vec, load
from raw2vec.distilling import distill
import raw2vec.use.base, raw2vec.use.teach
print("ready", flush=True)
for line in sys.stdin:
    process = os.fork()
    if not process:
        try:
            exec(json.loads(line))
            sys.stderr.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(process, flush=True)
    sys.stdin.readline()  # the process stays at least a zombie until then: there is something to kill
    print(os.waitpid(process, 0)[1], flush=True)
"""

Run = Callable[..., tuple[bool, float]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """`run(code)` in a process of its own; `run(code, 0.2)` kills it after 0.2 s. Gives: finished? and its seconds."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=pipe, stdout=pipe, text=True, env=environment)
    assert server.stdin
    assert server.stdout
    assert server.stdout.readline() == "ready\n"

    def run(code: str, moment: float | None = None) -> tuple[bool, float]:
        began = time.monotonic()
        print(json.dumps(code), file=server.stdin, flush=True)
        process = int(server.stdout.readline())
        if moment is not None:
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
        print(file=server.stdin, flush=True)
        status = os.waitstatus_to_exitcode(int(server.stdout.readline()))
        assert status in (0, -signal.SIGKILL), f"the process failed with {status}"
        return status == 0, time.monotonic() - began

    yield run
    server.stdin.close()
    server.wait(10)


def kills(run: Run, code: str, out: Path, count: int, seconds: float, check: Callable[[], None]) -> None:
    """Runs `code`, which resumes, until it was killed `count` times at random moments; then to its end.

    A run that was done before it was killed makes room for another. `check` looks at OUT after every run.
    """
    draw = random.Random(out.name)
    runs = hits = 0
    while hits < count:
        runs += 1
        assert runs < 20 * count, "the processes are done before they can be killed"
        finished, _ = run(code.replace("OUT", str(out)), draw.uniform(0, seconds))
        hits += not finished
        seconds *= 0.8 if finished else 1.0  # the first run of all, which was measured, is the slowest
        if out.exists():
            check()
        if finished:
            out.rename(out.with_name(f"done{runs}-{out.name}"))
    assert run(code.replace("OUT", str(out)))[0]
    check()


FIT = """
Raw2Vec(recipe="RECIPE").fit("DATA", out="OUT", resume=True)
"""


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_fit_ends_in_the_same_weights(run: Run, tmp_path: Path, count: int) -> None:
    data, settings = tmp_path / "rows.jsonl", tmp_path / "fit.json"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows(150)))
    stages = [
        {"objectives": ["masked"], "batch_tokens": 200},
        {"objectives": ["contrastive"], "batch_items": 16, "frozen": ["embedding"], "share": 2},
    ]
    training = {"steps": 24, "hold_out": 0.2, "checks": 3, "save_every": 1e-9, "average": 0.9, "accumulate": 2}
    settings.write_text(recipe(encoder="transformer", stages=stages, training=training).json_text())
    code = FIT.replace("RECIPE", str(settings)).replace("DATA", str(data))
    finished, seconds = run(code.replace("OUT", str(tmp_path / "whole")))
    assert finished

    out = tmp_path / "killed"

    def check() -> None:
        for name in ("model.safetensors", "heads.safetensors", "tokenizer.json", "golden.safetensors"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
        one, other = (json.loads((folder / "report.json").read_text()) for folder in (out, tmp_path / "whole"))
        for key in ("history", "steps", "metrics"):
            assert one[key] == other[key], key

    kills(run, code, out, count, seconds, check)
    assert not list(tmp_path.glob("*.training"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder to embed with."""
    place = tmp_path_factory.mktemp("model") / "m"
    Raw2Vec(recipe=recipe(training__steps=2)).fit(rows(), out=place)
    return place


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 600 rows."""
    place = tmp_path_factory.mktemp("data") / "many.jsonl"
    held = [{**row, "number": number} for number, row in enumerate(rows(600, seed=1))]
    place.write_text("".join(json.dumps(row) + "\n" for row in held))
    return place


DISTILL = """
raw2vec.use.teach.BLOCK = 20
settings = {"training.save_every": 1e-9, "training.checks": 3, "training.hold_out": 0.2, "stages.0.batch_items": 32}
distill("MODEL", "DATA", input="text", out="OUT", latent=16, steps=24, settings=settings, resume=True)
"""


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_distillation_ends_in_the_same_student(run: Run, tmp_path: Path, model: Path, count: int) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows(150)))
    code = DISTILL.replace("MODEL", str(model)).replace("DATA", str(data))
    finished, seconds = run(code.replace("OUT", str(tmp_path / "whole")))
    assert finished
    out = tmp_path / "killed"

    def check() -> None:
        for name in ("model.safetensors", "heads.safetensors", "tokenizer.json", "golden.safetensors", "recipe.json"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
        one, other = (json.loads((folder / "report.json").read_text()) for folder in (out, tmp_path / "whole"))
        for key in ("history", "steps", "metrics", "baselines", "taught", "notes"):
            assert one[key] == other[key], key

    kills(run, code, out, count, seconds, check)
    assert not list(tmp_path.glob("*.training"))


EMBED = """
raw2vec.use.base.BLOCK_ROWS = 20
load("MODEL").embed("DATA", "OUT", input="text", resume=True)
"""


@pytest.mark.parametrize("form", ["v.npy", "v.parquet", "v"])
@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_every_row_is_embedded_once(run: Run, tmp_path: Path, model: Path, many: Path, form: str, count: int) -> None:
    code = EMBED.replace("MODEL", str(model)).replace("DATA", str(many))
    finished, seconds = run(code.replace("OUT", str(tmp_path / f"whole-{form}")))
    assert finished
    vectors, numbers = read(tmp_path / f"whole-{form}")
    assert numbers in (None, list(range(600)))
    np.testing.assert_allclose(
        vectors, raw2vec.load(model).encode([row["text"] for row in rows(600, seed=1)]), atol=1e-5
    )

    out = tmp_path / form

    def check() -> None:
        manifest = out / "_manifest.json"
        if out.is_dir() and not manifest.exists():  # killed before the first manifest was whole
            assert {path.name for path in out.iterdir()} <= {"_manifest.json.partial"}
            return
        if out.is_dir() and not json.loads(manifest.read_text())["finished"]:
            return
        found, places = read(out)
        assert np.array_equal(found, vectors)
        assert places == numbers

    kills(run, code, out, count, seconds, check)
    assert not list(tmp_path.glob("*.partial")), "shards are left"
    assert not list(tmp_path.glob("*.joining"))


def read(out: Path) -> tuple[np.ndarray, list[int] | None]:
    """The vectors (n, L), and the rows' numbers where the file keeps columns."""
    if out.suffix == ".npy":
        return np.load(out), None
    if out.is_dir():
        manifest = json.loads((out / "_manifest.json").read_text())
        tables = [pq.read_table(out / shard["name"]) for shard in manifest["shards"]]
        assert manifest["rows"] == sum(map(len, tables))
        assert sorted(path.name for path in out.glob("*.parquet")) == [shard["name"] for shard in manifest["shards"]]
    else:
        tables = [pq.read_table(out)]
    vectors = np.concatenate([np.stack(table["vector"].to_numpy()) for table in tables])
    return vectors, [number for table in tables for number in table["number"].to_pylist()]


INDEX = """
raw2vec.use.base.BLOCK_ROWS = 50
load("MODEL").index("DATA", "OUT", input="text", resume=True)
"""


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_every_row_is_indexed_once(run: Run, tmp_path: Path, model: Path, many: Path, count: int) -> None:
    pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")
    code = INDEX.replace("MODEL", str(model)).replace("DATA", str(many))
    finished, seconds = run(code.replace("OUT", str(tmp_path / "whole")))
    assert finished
    encoder = raw2vec.load(model)
    query = rows(600, seed=1)[0]["text"]

    def hits(store: Path) -> list[tuple[int, float]]:
        return [(hit.columns["number"], hit.score) for hit in encoder.search(store, query, k=700)[0]]

    expected = hits(tmp_path / "whole")
    assert sorted(number for number, _ in expected) == list(range(600))

    out = tmp_path / "store"

    def check() -> None:
        if (out / "store.json").exists():
            found = sorted(hits(out))
            assert [number for number, _ in found] == list(range(len(found)))
            assert len(found) % 50 == 0

    kills(run, code, out, count, seconds, check)
    assert hits(out) == expected
