"""What a search costs: the embedded store beside plain numpy and LanceDB's own scan, on the same vectors.

    python benchmarks/search.py --rows 100000 --width 384

Vectors are clustered, of low rank with noise, as a trained encoder's are; queries are held out from them. The ways take
turns, so that a busy machine is busy for all of them; medians and fastest times are given, in milliseconds a query.
Prints a table to standard error and one JSON object to standard output.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from raw2vec.use.stores import Store

BATCH = 32
SMALL = ("int8", "binary")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    vectors, queries = clustered(options.rows, options.width, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder) / "store", vectors, queries, options.rounds, options.seed)
    show(report)
    json.dump(report, sys.stdout)
    print()


def clustered(rows: int, width: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(rows, width) unit vectors about 300 centres in 32 dimensions, and 500 more of the same for queries."""
    generator = np.random.default_rng(seed)
    centres, turn = generator.standard_normal((300, 32)), generator.standard_normal((32, width)) / 32**0.5
    hidden = centres[generator.integers(0, 300, rows + 500)] + 0.7 * generator.standard_normal((rows + 500, 32))
    vectors = (hidden @ turn + 0.3 * generator.standard_normal((rows + 500, width))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:rows], vectors[rows:]


def measure(
    folder: Path, vectors: NDArray[np.float32], queries: NDArray[np.float32], rounds: int, seed: int
) -> dict[str, object]:
    rows, width = vectors.shape
    small = {kind: small_store(folder.with_name(kind), kind, vectors) for kind in SMALL}
    writer = Store.create(folder, width, "benchmark", text="title")
    began = time.perf_counter()
    for start in range(0, rows, 8192):
        numbers = np.arange(start, min(rows, start + 8192))
        titles = [f"the title of row_{number}" for number in numbers]
        writer.add(vectors[numbers], pa.table({"title": titles, "number": numbers % 100}))
    added = time.perf_counter()
    writer.finish()
    finished = time.perf_counter()
    index = writer.build_approximate_index(queries[:200], seed=seed, least_rows=0)
    built = time.perf_counter()

    store = Store.open(folder, "benchmark")
    first = time.perf_counter()
    store.search(queries[:1])
    opened = {"open_ms": (first - built) * 1000, "first_query_ms": (time.perf_counter() - first) * 1000}
    asked = ways(store, vectors, queries[200:], lancedb.connect(folder).open_table("rows"))
    timed = take_turns(asked | first_passes(small, queries[200:]), rounds)
    return {
        "rows": rows,
        "width": width,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "ms_per_query": timed,
        "recall@10": index.recall,
        "probes": index.probes,
        "recall@10 rescored": {kind: recall(held, store, queries[:200]) for kind, held in small.items()},
        "add_rows_per_s": rows / (added - began),
        "finish_s": finished - added,
        "approximate_index_s": built - finished,
        **opened,
    }


def small_store(folder: Path, kind: str, vectors: NDArray[np.float32]) -> Store:
    """The same vectors in a store that reads small ones first."""
    store = Store.create(folder, vectors.shape[1], "benchmark", vectors=kind)
    for start in range(0, len(vectors), 8192):
        store.add(vectors[start : start + 8192])
    store.finish()
    return store


def recall(small: Store, store: Store, queries: NDArray[np.float32]) -> float:
    """The share of the ten nearest that a store of small vectors finds as well."""
    pairs = zip(small.search(queries), store.search(queries), strict=True)
    return float(np.mean([len({hit.row for hit in a} & {hit.row for hit in b}) / len(b) for a, b in pairs]))


def first_passes(
    small: dict[str, Store], queries: NDArray[np.float32]
) -> dict[str, tuple[int, Callable[[int], object]]]:
    """Searches that read small vectors first."""

    def way(store: Store) -> Callable[[int], object]:
        return lambda turn: store.search(queries[turn : turn + 1])

    return {f"raw2vec rescored, {kind} first": (1, way(store)) for kind, store in small.items()}


def ways(
    store: Store, vectors: NDArray[np.float32], queries: NDArray[np.float32], table: lancedb.table.Table
) -> dict[str, tuple[int, Callable[[int], object]]]:
    """The ways to answer, each with its queries a call. Each takes the round's number, so that no query comes twice."""

    def brute(count: int) -> Callable[[int], object]:
        def answer(turn: int) -> object:
            scores = queries[turn : turn + count] @ vectors.T
            return np.argpartition(scores, len(vectors) - 10, axis=1)[:, -10:]

        return answer

    def scan(turn: int) -> object:
        asked = table.search(queries[turn], vector_column_name="vector").distance_type("cosine")
        return asked.bypass_vector_index().limit(10).select(["title", "number", "_distance"]).to_arrow()

    return {
        "raw2vec exact": (1, lambda turn: store.search(queries[turn : turn + 1])),
        f"raw2vec exact, batch of {BATCH}": (BATCH, lambda turn: store.search(queries[turn : turn + BATCH])),
        "raw2vec exact, filter keeps 1%": (1, lambda turn: store.search(queries[turn : turn + 1], where="number = 7")),
        "raw2vec approximate": (1, lambda turn: store.search(queries[turn : turn + 1], mode="approximate")),
        "raw2vec hybrid": (
            1,
            lambda turn: store.search(queries[turn : turn + 1], texts=[f"row_{turn}"], mode="hybrid"),
        ),
        "numpy brute force": (1, brute(1)),
        f"numpy brute force, batch of {BATCH}": (BATCH, brute(BATCH)),
        "LanceDB flat scan": (1, scan),
    }


def take_turns(ways: dict[str, tuple[int, Callable[[int], object]]], rounds: int) -> dict[str, dict[str, float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):
        for name, (count, answer) in ways.items():
            began = time.perf_counter()
            answer(turn)
            seconds[name].append((time.perf_counter() - began) / count * 1000)
    # The first two rounds warm up.
    return {name: {"median": statistics.median(all_[2:]), "min": min(all_[2:])} for name, all_ in seconds.items()}


def show(report: dict[str, object]) -> None:
    table = Table(title=f"{report['rows']:,} × {report['width']}, {report['cores']} cores, load {report['load']:.1f}")
    table.add_column("way")
    table.add_column("median ms/query", justify="right")
    table.add_column("fastest", justify="right")
    for name, times in report["ms_per_query"].items():  # type: ignore[attr-defined]
        recall = f" (recall@10 {report['recall@10']:.3f})" if "approximate" in name else ""
        table.add_row(name + recall, f"{times['median']:.2f}", f"{times['min']:.2f}")
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"open {report['open_ms']:.0f} ms, first query {report['first_query_ms']:.0f} ms, "
        f"{report['add_rows_per_s']:,.0f} rows/s added, finish {report['finish_s']:.1f} s, "
        f"approximate index {report['approximate_index_s']:.0f} s"
    )


if __name__ == "__main__":
    main()
