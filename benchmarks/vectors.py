"""What fewer bytes a vector cost a search: SciFact by a pretrained encoder, in each form that `embed --vectors` writes.

    python -m benchmarks.vectors --data FOLDER

FOLDER holds corpus.jsonl.gz, queries.jsonl.gz and qrels-test.tsv of BEIR's SciFact (Wadden et al. 2020; Thakur et al.
2021). The documents are the title and the abstract. Ranges of int8 are those of the first 2,000 documents. Rescored:
bits first, the best four times ten of which are then scored by the query's own numbers against bits, int8 or float32.
Milliseconds are of NumPy's plain scan through all documents, a query at a time, medians of rounds in turns. Beside them
sentence-transformers' quantize_embeddings of the same vectors where it is installed: the very same bytes.
"""

from __future__ import annotations

import csv
import gzip
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

import raw2vec
from benchmarks.machine import heading
from raw2vec.use.compact import CALIBRATED_ON, Form, as_bits, as_int8, calibrated, first_numbers, search

DEPTH = 10
Search = Callable[[NDArray[np.float32]], NDArray[np.int64]]


def main(
    data: Annotated[Path, typer.Option(help="The folder of SciFact's files.")],
    model: str = "minilm",
    rounds: int = 5,
    vectors: Annotated[Path | None, typer.Option(help="Keep or find the whole vectors here, an .npz.")] = None,
) -> None:
    """nDCG@10, recall@10, bytes a vector and milliseconds a query of each form."""
    torch.set_num_threads(1)
    names, questions, right = judged(data)
    documents, asked = encoded(model, data, questions, vectors)
    order = {name: place for place, name in enumerate(names)}
    truth = [{order[name]: grade for name, grade in grades.items()} for grades in right]
    ways = forms(documents)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, NDArray[np.int64]] = {}
    for _ in range(rounds):
        for name, (_, way) in ways.items():
            began = time.perf_counter()
            found[name] = np.concatenate([way(query[None]) for query in asked])
            spent[name].append((time.perf_counter() - began) / len(asked) * 1000)
    table = {
        name: {
            "bytes": size,
            "ndcg@10": mean_of(ndcg, found[name], truth),
            "recall@10": mean_of(recall, found[name], truth),
            "milliseconds": round(statistics.median(spent[name]), 3),
        }
        for name, (size, _) in ways.items()
    }
    same = alike(documents)
    print(json.dumps({"machine": heading(), "model": model, "documents": len(names), "queries": len(asked)} | same))
    for name, row in table.items():
        print(f"{name:32s}", json.dumps(row))


def forms(documents: NDArray[np.float32]) -> dict[str, tuple[int, Search]]:
    """Bytes a vector, and what finds the ten nearest, by name."""
    width = documents.shape[1]
    ranges = calibrated(documents[:CALIBRATED_ON])
    small, bits = as_int8(documents, ranges), as_bits(documents)

    def plain(held: Any, **more: Any) -> Search:
        return lambda query: search(query, held, DEPTH, **more)[0]

    def cut(count: int) -> Search:
        held = first_numbers(documents, count, unit=True)
        return lambda query: search(first_numbers(query, count, unit=True), held, DEPTH)[0]

    return {
        "float32": (4 * width, plain(documents)),
        "float16": (2 * width, plain(Form("float16").of(documents))),
        "int8": (width, plain(small, ranges=ranges)),
        "binary": (width // 8, plain(bits, rescore=1)),
        "binary, rescored by bits": (width // 8, plain(bits)),
        "binary, rescored by int8": (width // 8 + width, plain(bits, finer=small, ranges=ranges)),
        "binary, rescored by float32": (width // 8 + 4 * width, plain(bits, finer=documents)),
        **{f"float32, the first {count}": (4 * count, cut(count)) for count in (256, 128, 64)},
    }


def alike(documents: NDArray[np.float32]) -> dict[str, Any]:
    """Whether sentence-transformers makes the same bytes of them; nothing where it is not installed."""
    try:
        from sentence_transformers.util.quantization import quantize_embeddings
    except ImportError:
        return {}
    ranges = calibrated(documents[:CALIBRATED_ON])
    theirs = quantize_embeddings(documents, "int8", ranges=ranges), quantize_embeddings(documents, "ubinary")
    ours = as_int8(documents, ranges), as_bits(documents)
    return {"same as sentence-transformers": all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))}


def encoded(
    name: str, data: Path, questions: list[str], kept: Path | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The documents' vectors and the questions'."""
    if kept is not None and kept.exists():
        with np.load(kept) as held:
            return held["documents"], held["questions"]
    model = raw2vec.load(name)
    texts = [f"{row['title']} {row['text']}" for row in lines(data / "corpus.jsonl.gz")]
    found = model.encode(texts, purpose="document", precision="auto"), model.encode(questions, purpose="query")
    if kept is not None:
        np.savez(kept, documents=found[0], questions=found[1])
    return found


def judged(data: Path) -> tuple[list[str], list[str], list[dict[str, int]]]:
    """The documents' names, the test's questions, and which documents answer each."""
    with open(data / "qrels-test.tsv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    texts = {str(row["_id"]): row["text"] for row in lines(data / "queries.jsonl.gz")}
    grades: dict[str, dict[str, int]] = {}
    for row in rows:
        if int(row["score"]) > 0:
            grades.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    names = [str(row["_id"]) for row in lines(data / "corpus.jsonl.gz")]
    return names, [texts[name] for name in grades], list(grades.values())


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def mean_of(
    measure: Callable[[NDArray[np.int64], dict[int, int]], float],
    found: NDArray[np.int64],
    truth: list[dict[int, int]],
) -> float:
    return round(float(np.mean([measure(*each) for each in zip(found, truth, strict=True)])), 4)


def ndcg(rows: NDArray[np.int64], grades: dict[int, int]) -> float:
    """Of the first ten (Järvelin & Kekäläinen 2002)."""
    gained = sum(grades.get(int(row), 0) / np.log2(place + 2) for place, row in enumerate(rows))
    best = sum(grade / np.log2(place + 2) for place, grade in enumerate(sorted(grades.values(), reverse=True)[:DEPTH]))
    return float(gained / best)


def recall(rows: NDArray[np.int64], grades: dict[int, int]) -> float:
    """The share of what answers that is among the first ten."""
    return len(grades.keys() & set(rows.tolist())) / len(grades)


if __name__ == "__main__":
    typer.run(main)
