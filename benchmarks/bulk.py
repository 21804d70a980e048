"""Many texts on one machine: what memory a large file takes, and what is left of a run that is killed.

    python -m benchmarks.bulk memory MODEL --scratch DIR --gigabytes 5 --format jsonl
    python -m benchmarks.bulk survival MODEL --scratch DIR --texts 1000000 --kills 3

The texts are sentences of Python's manual, drawn by a seed; their lengths are log-normal, as those of documents and of
titles are. What is written to DIR is deleted at the end. Each prints one JSON object.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pydoc_data.topics import topics
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.machine import heading

app = typer.Typer(add_completion=False, no_args_is_help=True)
Model = Annotated[str, typer.Argument(help="A model folder, or a name.")]
Scratch = Annotated[Path, typer.Option(help="Where texts and vectors are written, and deleted.")]
DOCUMENTS, TITLES = (5.3, 0.8), (2.3, 0.5)
"""Words of a text: mean and deviation of their logarithm."""
_BLOCK = 4096  # texts that are drawn at once
_GROUP = 1 << 17  # rows of a Parquet file's group: a quarter of a gigabyte
_EVERY = 0.05  # seconds between looks at the memory


@app.command()
def memory(
    model: Model,
    scratch: Scratch,
    gigabytes: float = 5.0,
    format: Annotated[str, typer.Option(help="txt, jsonl or parquet.")] = "jsonl",
    seed: int = 0,
) -> None:
    """The most memory that a run takes which encodes one large file, its children with it."""
    with _place(scratch) as place:
        data = place / f"texts.{format}"
        rows = _written(data, _texts(seed, DOCUMENTS), gigabytes * 1e9)
        size = data.stat().st_size
        watched = Watched(_command(model, data, place / "vectors"))
        watched.wait()
        told = {"format": format, "gigabytes": round(size / 1e9, 3), "rows": rows, "seed": seed}
        told |= {"peak_rss_mb": round(watched.peak / 1e6), "seconds": round(watched.seconds, 1)}
        told |= {"items_per_s": round(rows / watched.seconds), "mb_per_s": round(size / 1e6 / watched.seconds, 2)}
        _tell(model, told)


@app.command()
def survival(model: Model, scratch: Scratch, texts: int = 1_000_000, kills: int = 3, seed: int = 0) -> None:
    """A run that is killed at random, and resumed until it is through, beside one that is left alone."""
    with _place(scratch) as place:
        data, whole, torn = place / "texts.txt", place / "whole", place / "torn"
        _written(data, _texts(seed, TITLES), rows=texts)
        alone = Watched(_command(model, data, whole))
        alone.wait()
        luck, killed = np.random.default_rng([seed, 1]), []
        for number, rows in enumerate(sorted(luck.uniform(0.05, 0.9, size=kills) * texts)):
            watched = Watched(_command(model, data, torn, resume=number > 0))
            while _rows_kept(torn) < rows and watched.process.poll() is None:
                time.sleep(_EVERY)
            time.sleep(luck.uniform(0.0, 1.0))  # anywhere in the work on a block
            watched.kill()
            killed.append(_rows_kept(torn))
        last = Watched(_command(model, data, torn, resume=True))
        last.wait()
        told: dict[str, Any] = {"texts": texts, "seed": seed, "rows_kept_at_each_kill": killed}
        told |= {"seconds_alone": round(alone.seconds, 1), "items_per_s": round(texts / alone.seconds)}
        told |= {"peak_rss_mb": round(alone.peak / 1e6), **_compared(whole, torn, data)}
        _tell(model, told)


class Watched:
    """A process that is looked at while it runs: `peak` bytes resident, its children's added, and `seconds`."""

    def __init__(self, command: list[str]):
        self.began, self.peak, self.seconds = time.perf_counter(), 0, 0.0
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)

    def wait(self) -> None:
        """Until it ends well; SystemExit where it does not."""
        while self.process.poll() is None:
            self.peak = max(self.peak, sum(_resident(each) for each in _family(self.process.pid)))
            time.sleep(_EVERY)
        self.seconds = time.perf_counter() - self.began
        # What the system itself says was most, of the largest process: no look comes too late for it.
        self.peak = max(self.peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
        if self.process.returncode:
            raise SystemExit(self.process.returncode)

    def kill(self) -> None:
        """SIGKILL for it and its children; SystemExit where it had ended before."""
        if self.process.poll() is not None:
            raise SystemExit("The run ended before it was killed: give it more texts.")
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):  # it may have ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _command(model: str, data: Path, out: Path, resume: bool = False) -> list[str]:
    words = [sys.executable, "-m", "raw2vec", "embed", model, str(data), "--out", str(out), "--json"]
    return [*words, *(["--input", "text"] if data.suffix != ".txt" else []), *(["--resume"] if resume else [])]


def _texts(seed: int, words: tuple[float, float]) -> Iterator[list[str]]:
    """Blocks of texts without end, of so many words each: sentences of Python's manual, put together by the seed."""
    luck = np.random.default_rng([seed, 0])
    plain = " ".join(" ".join(text.split()) for _, text in sorted(topics.items()))
    sentences = re.split(r"(?<=[.:;]) ", plain)
    usual = sum(len(sentence.split()) for sentence in sentences) / len(sentences)
    while True:
        counts = np.ceil(luck.lognormal(*words, size=_BLOCK) / usual).astype(int)
        places = luck.integers(len(sentences), size=int(counts.sum()))
        yield [" ".join(sentences[i] for i in part) for part in np.split(places, np.cumsum(counts)[:-1])]


def _written(path: Path, blocks: Iterator[list[str]], size: float = float("inf"), rows: int | None = None) -> int:
    """Writes texts until there are so many bytes of them, or so many rows; the rows."""
    done = 0
    with _writer(path) as (write, told):
        for block in blocks:
            taken = block[: len(block) if rows is None else rows - done]
            write(taken)
            done += len(taken)
            if told() >= size or done == rows:
                return done
    raise AssertionError("blocks have no end")


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    """How to write a block of texts, and how many bytes there are by now."""
    with open(path, "wb") as file:
        if path.suffix == ".parquet":
            with pq.ParquetWriter(file, pa.schema({"text": pa.string()}), compression="none") as writer:
                yield _Groups(writer), file.tell
        elif path.suffix == ".jsonl":
            yield (
                lambda block: file.writelines(json.dumps({"text": text}).encode() + b"\n" for text in block),
                file.tell,
            )
        else:
            yield lambda block: file.write("".join(f"{text}\n" for text in block).encode()), file.tell


class _Groups:
    """Row groups as large as others write them, which a reader must not take for a block."""

    def __init__(self, writer: pq.ParquetWriter):
        self.writer, self.held = writer, list[str]()

    def __call__(self, block: list[str]) -> None:
        self.held += block
        if len(self.held) >= _GROUP:
            self.writer.write_table(pa.table({"text": self.held}), row_group_size=_GROUP)
            self.held = []


def _rows_kept(folder: Path) -> int:
    try:
        return int(json.loads((folder / "_manifest.json").read_text())["rows"])
    except OSError:
        return 0


def _compared(whole: Path, torn: Path, data: Path) -> dict[str, Any]:
    """Whether two folders hold the same rows and vectors, and those are the file's rows, in its order, each once."""
    rows, same, matched = 0, True, True
    with open(data, encoding="utf-8") as lines:
        for one, other in zip(_batches(whole), _batches(torn), strict=True):
            same &= one.equals(other)
            matched &= all(text == next(lines)[:-1] for text in other["text"].to_pylist())
            rows += len(other)
        matched &= next(lines, None) is None
    names = sorted(file.name for file in torn.iterdir())
    listed = json.loads((torn / "_manifest.json").read_text())["shards"]
    left = sorted(set(names) - {"_manifest.json", *(shard["name"] for shard in listed)})
    return {"rows": rows, "equal_to_the_bit": bool(same), "rows_are_the_file_s": bool(matched), "left_over": left}


def _batches(folder: Path) -> Iterator[pa.Table]:
    for shard in json.loads((folder / "_manifest.json").read_text())["shards"]:
        yield pq.read_table(folder / shard["name"])


@contextmanager
def _place(scratch: Path) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="bulk-", dir=scratch))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _tell(model: str, told: dict[str, Any]) -> None:
    print(json.dumps({"machine": heading(), "model": model, **told}))


if __name__ == "__main__":
    app()
