"""Encoding by a Ray cluster, one of two local workers: the shards, manifest and sentences of a run without it."""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import raw2vec.use.base
from raw2vec import Raw2Vec
from raw2vec.errors import BadInput, MissingExtra, Raw2VecError
from raw2vec.rows import open_rows
from raw2vec.use import cluster
from raw2vec.use.base import Encode
from raw2vec.use.cluster import on_ray
from raw2vec.use.embed import embed
from small import recipe, texts

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
ROWS = 330


@pytest.fixture(scope="module", autouse=True)
def two_workers() -> Iterator[None]:
    """A cluster for all tests here; each starts workers of its own in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        patch.setattr(raw2vec.use.base, "BLOCK_ROWS", 50)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it
        yield
        ray.shutdown()


def lengths(trap: Path | None = None, word: str = "") -> Encode:
    """An encoder whose vectors are texts' lengths; a text with the word kills its process, with a trap only once."""

    def encode(items: list[Any]) -> Any:
        if any(word and word in item for item in items) and (trap is None or not trap.exists()):
            if trap is not None:
                trap.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if any("refused" in item for item in items):
            raise BadInput(f"row {items.numbers[0]} cannot be encoded.")  # type: ignore[attr-defined]
        return np.array([[len(item), 1] for item in items], np.float32), np.zeros(len(items), np.int64)

    return encode


def run(data: Any, out: Path, **options: Any) -> Any:
    return embed(open_rows(data), "text", lengths(), out, fingerprint="f", **options)


def held(folder: Path) -> tuple[str, list[list[float]]]:
    """The manifest, and the vectors of its shards in order."""
    manifest = (folder / "_manifest.json").read_text()
    names = [shard["name"] for shard in json.loads(manifest)["shards"]]
    return manifest, [vector for name in names for vector in pq.read_table(folder / name)["vector"].to_pylist()]


def test_the_very_same_folder_and_file(tmp_path: Path) -> None:
    data = [*texts(ROWS - 1), " "]
    model = Raw2Vec(recipe=recipe(encoder="transformer")).fit(texts(60))
    local, spread = (model.embed(data, tmp_path / on, on=on) for on in ("local", "ray"))
    assert (local.items, local.empty) == (spread.items, spread.empty) == (ROWS, 1)
    assert held(tmp_path / "local")[0] == held(tmp_path / "ray")[0]
    np.testing.assert_allclose(held(tmp_path / "ray")[1], held(tmp_path / "local")[1], atol=1e-6)


def test_a_dead_worker_s_block_is_done_again(tmp_path: Path) -> None:
    data = texts(ROWS)
    data[120] += " deadly"
    run(data, tmp_path / "local")
    found = run(data, tmp_path / "ray", through=on_ray(partial(lengths, tmp_path / "trap", "deadly")))
    assert (tmp_path / "trap").exists()
    assert found.items == ROWS
    assert held(tmp_path / "ray") == held(tmp_path / "local")


def test_blocks_that_kill_every_worker_end_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_LIVES", 0)
    data = texts(ROWS)
    data[120] += " deadly"
    told = r"workers died 1 times over the rows from \d+ on .* are kept: --resume goes on"
    with pytest.raises(Raw2VecError, match=told):
        run(data, tmp_path / "ray", through=on_ray(partial(lengths, None, "deadly")))
    assert run(data, tmp_path / "ray", resume=True).new >= ROWS - 100


def test_what_was_stopped_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    done: list[int] = []

    def stop(items: int) -> None:
        done.append(items)
        if len(done) == 2:
            raise KeyboardInterrupt

    data = texts(ROWS)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "ray", through=on_ray(lengths), progress=stop)
    found = run(data, tmp_path / "ray", through=on_ray(lengths), resume=True)
    assert (found.items, found.new) == (ROWS, ROWS - 100)
    run(data, tmp_path / "local")
    assert held(tmp_path / "ray") == held(tmp_path / "local")


def test_bad_rows_are_told_as_without_ray(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text}) for text in texts(1200)]  # of which the first 1,024 are looked at beforehand
    for name, line in (("unreadable", '{"text": '), ("refused", '{"text": "refused"}')):
        data = tmp_path / f"{name}.jsonl"
        data.write_text("\n".join([*lines[:1120], line, *lines[1120:]]))
        said = []
        for through in (None, on_ray(lengths)):
            out = tmp_path / f"{name}-{'ray' if through else 'local'}"
            with pytest.raises(BadInput) as raised:
                run(str(data), out, through=through)
            said.append((str(raised.value), held(out)))
        assert said[0] == said[1]
        assert len(said[0][1][1]) >= 1000, "the blocks before are kept"


def test_a_cluster_that_does_not_answer_is_told_of() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and never listened at
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"No Ray answers at {address}, which RAY_ADDRESS names"):
            cluster._refuse_silent(address)
        nobody.listen()
        cluster._refuse_silent(f"ray://{address}")
    for found in ("", "auto", "local"):
        cluster._refuse_silent(found)


def test_without_the_package_one_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Raw2Vec(recipe=recipe()).fit(texts(60))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'raw2vec\[ray\]'"):
        model.embed(texts(5), tmp_path / "out", on="ray")
    assert not list(tmp_path.iterdir())
