"""The Python standard library, searched in words: an encoder fitted from nothing on its functions, then asked."""

from __future__ import annotations

import platform
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raw2vec.evaluate import Report
from raw2vec.rows import TESTS, Memory, PythonFunctions, Rows
from raw2vec.seeding import key
from raw2vec.system import Raw2Vec
from raw2vec.train.base import Listener, Phase

FEWEST_WORDS = 5  # of a question, which is the first sentence of a docstring
QUESTIONS = (
    "ask for a password without echoing it",
    "wrap a paragraph to lines of a given width",
    "extract a file from a zip archive",
)
STEPS = 100  # more overfit, and a hundred take a minute or two (docs/log.md)


def code(out: Path, minutes: float | None, seed: int, console: Console, listener: Listener) -> dict[str, Any]:
    """Search the functions of the Python standard library in words, with an encoder fitted here and now."""
    listener(Phase("Reading the standard library"))
    functions = library()
    asked, train = split(functions, seed)
    console.print(
        f"The standard library of Python {platform.python_version()}: {len(functions):,} functions. Four fifths of the "
        f"files are for learning;\nthe questions are the docstrings of {len(asked):,} functions in the others.\n"
    )
    budget = {"minutes": minutes} if minutes else {"steps": STEPS}
    model = Raw2Vec(**budget, seed=seed).fit(train, out=out / "model", listener=listener)
    listener(Phase("Filling the store"))
    store = out / "store"
    if store.exists():
        shutil.rmtree(store)
    model.index(Memory(asked.select(["code", "file", "name", "line"])), store, input="code")
    listener(Phase("Measuring"))
    found = model.evaluate(
        Memory(asked.select(["query", "code"])), "retrieval", input="query", target="code", seed=seed
    )
    answers = answer(model, store, console)
    tell(found, model, console)
    console.print("\nThe same for your own code, or for any csv, tsv, jsonl, parquet or txt:")
    for line in (
        "fit my/src --out my-model",
        "index my-model my/src --store my-store",
        'search my-store "what you look for"',
    ):
        console.print(Text(f"  raw2vec {line}", style="bold"))
    console.print(Text(f'This one stays in {out}: raw2vec search {store} "read a file line by line"'))
    fitted = {name: model.report[name] for name in ("steps", "seconds", "items")}
    return {**found.as_dict(), "answers": answers, "fit": fitted}


def library() -> pa.Table:
    """All functions of the standard library, one a row: see PythonFunctions."""
    rows = PythonFunctions(sysconfig.get_paths()["stdlib"])
    return pa.Table.from_batches(list(rows.batches()))


def split(functions: pa.Table, seed: int) -> tuple[pa.Table, Rows]:
    """Functions to ask for: outside tests, with a question, in a fifth of the files. And all of the other files."""
    files = functions["file"].to_pylist()
    held = {file: key(seed, "demo", file) % 5 == 0 for file in sorted(set(files))}
    test = {file: any(part in TESTS for part in file.split("/")) for file in held}
    own = pa.array([held[file] and not test[file] for file in files])
    asked = functions.filter(pc.and_(own, pc.greater_equal(functions["words"], FEWEST_WORDS)))
    train = Memory(functions.filter(pa.array([not held[file] for file in files])), "the standard library", "function")
    train.group = "file"
    return asked, train


def answer(model: Raw2Vec, store: Path, console: Console) -> list[dict[str, Any]]:
    """Three questions in words, and the nearest functions among those never seen."""
    answers = []
    for question, hits in zip(QUESTIONS, model.search(store, QUESTIONS, k=3), strict=True):
        console.print(Text(f'"{question}"', style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), show_header=False)
        for hit in hits:
            place = f"{hit.columns['file']}:{hit.columns['line']}"
            table.add_row(f"{hit.score:.2f}", Text(hit.columns["name"], style="cyan"), Text(place, style="dim"))
            answers.append({"question": question, "score": hit.score, "name": hit.columns["name"], "place": place})
        console.print(table)
    return answers


def tell(found: Report, model: Raw2Vec, console: Console) -> None:
    """The held-out scores beside those of lexical search and of the commonest dense baseline."""
    console.print(f"\nEach of {found.items:,} questions looks for its own function among all of them:\n")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), header_style="dim")
    for title in ("", "MRR@10", "recall@10"):
        table.add_column(title, justify="left" if not title else "right")
    seconds = model.report["seconds"]
    for name, metrics in {f"raw2vec, {seconds:.0f} s of fitting": found.metrics, **found.baselines}.items():
        style = "bold green" if metrics is found.metrics else ""
        table.add_row(name, f"{metrics['mrr@10']:.3f}", f"{metrics['recall@10']:.3f}", style=style)
    console.print(table)
    for note in found.notes:
        console.print(f"  note: {note}")
