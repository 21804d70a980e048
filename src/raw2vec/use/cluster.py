"""Blocks of items encoded by the workers of a Ray cluster, or of this machine: in order, each again if its worker dies.

Rows are read and vectors written here, so that shards and manifest are those of a run without Ray, and no worker needs
the file. Ray Data is not used for it: it joins and parts blocks as it likes, and a shard has to be the same each time.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from raw2vec.errors import BadInput, MissingExtra, NonFinite, NumberedList, Raw2VecError
from raw2vec.use.base import Block, Done, Made, Through, Write, made

_AHEAD = 2  # blocks that wait at each worker, itself busy with one
_ANSWERS = 10.0  # seconds in which a cluster takes a connection
_LIVES = 3  # times that a worker is begun anew, and a block given out again


def library() -> Any:
    """The package ray; MissingExtra where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray", "Encoding on a Ray cluster") from error
    return ray


def on_ray(make: Callable[[], Write]) -> Through:
    """What has blocks encoded by Ray: by the cluster that RAY_ADDRESS names, or that runs here, else by local workers.

    make: what gives each worker its encoder; it travels to them, and the model with it. There is a worker for each GPU
    of the cluster, or else for each CPU.
    """
    ray = library()

    def through(blocks: Iterator[Block]) -> Generator[Done, None, None]:
        # Ray prints what becomes of its workers where a command's one JSON object goes.
        with redirect_stdout(sys.stderr), _workers(ray, make) as workers:
            yield from _in_order(ray, workers, blocks)

    return through


@dataclass(frozen=True)
class _Failed:
    """What stopped a worker, as it can travel: errors with arguments of their own cannot."""

    kind: type[Raw2VecError]
    sentence: str


class _Worker:
    """One encoder at work on blocks."""

    def __init__(self, make: Callable[[], Write]):
        self.encoder = make()

    def encode(self, start: int, items: NumberedList) -> Made | _Failed:
        """The items' vectors and what there is to say of them; or why there are none."""
        try:
            return made(start, items, self.encoder)
        except Raw2VecError as error:
            kinds = (NonFinite, BadInput, Raw2VecError)
            return _Failed(next(kind for kind in kinds if isinstance(error, kind)), str(error))


class _Waiting(NamedTuple):
    start: int
    block: pa.Table
    worker: int
    ref: Any


def _in_order(ray: Any, workers: list[Any], blocks: Iterator[Block]) -> Iterator[Done]:
    """The blocks as they are done, in their own order. Where one cannot be read, those before it are still done."""
    waiting: deque[_Waiting] = deque()
    stopped: Raw2VecError | None = None
    while stopped is None:
        try:
            found = next(blocks, None)
        except Raw2VecError as error:
            stopped = error
            break
        if found is None:
            break
        start, items, block = found
        place = _idlest(ray, waiting, len(workers))
        waiting.append(_Waiting(start, block, place, workers[place].encode.remote(start, items)))
        if len(waiting) > _AHEAD * len(workers):
            yield _got(ray, waiting.popleft())
    while waiting:
        yield _got(ray, waiting.popleft())
    if stopped is not None:
        raise stopped


def _idlest(ray: Any, waiting: deque[_Waiting], workers: int) -> int:
    """The worker with the fewest blocks before it."""
    refs = [each.ref for each in waiting]
    busy = set(ray.wait(refs, num_returns=len(refs), timeout=0)[1]) if refs else set()
    load = Counter(each.worker for each in waiting if each.ref in busy)
    return min(range(workers), key=lambda place: load[place])


def _got(ray: Any, waited: _Waiting) -> Done:
    try:
        found = ray.get(waited.ref)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        raise Raw2VecError(
            f"One of Ray's workers died {_LIVES + 1} times over the rows from {waited.start:,} on "
            f"({str(error).splitlines()[0].rstrip('.')}). The rows before them are kept: --resume goes on."
        ) from error
    if isinstance(found, _Failed):
        raise found.kind(found.sentence)
    return waited.start, waited.block, found


def _refuse_silent(address: str) -> None:
    """BadInput where nobody answers at the address of a cluster, which Ray itself would go on asking for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # none, or one that Ray finds by itself
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWERS).close()
    except OSError as error:
        raise BadInput(
            f"No Ray answers at {address}, which RAY_ADDRESS names ({error.strerror or error}): start it, or unset "
            "RAY_ADDRESS for workers on this machine."
        ) from None


@contextmanager
def _workers(ray: Any, make: Callable[[], Write]) -> Iterator[list[Any]]:
    """Workers for as long as the block lasts, and a local cluster with them where there is none."""
    began = not ray.is_initialized()
    if began:
        _refuse_silent(os.environ.get("RAY_ADDRESS", ""))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # which Ray would send to its makers
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what else there is to say is said in a sentence
        os.environ.setdefault("RAY_worker_niceness", "0")  # else 15: beside other programs they would hardly run at all
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    workers: list[Any] = []
    try:
        held = ray.cluster_resources()
        gpus, cpus = (int(held.get(name, 0)) for name in ("GPU", "CPU"))
        needs = {"num_cpus": 1, "num_gpus": 1 if gpus else 0}
        worker = ray.remote(max_restarts=_LIVES, max_task_retries=_LIVES, **needs)(_Worker)
        given = ray.put(make)
        workers += [worker.remote(given) for _ in range(gpus or max(cpus, 1))]
        yield workers
    finally:
        for each in workers:
            ray.kill(each)
        if began:
            ray.shutdown()
