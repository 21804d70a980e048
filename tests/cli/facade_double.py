"""A stand-in for `raw2vec.system` that needs no PyTorch: what the command line hands it, and canned results back."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

calls: list[tuple[str, Any]] = []
"""What was asked of the facade, in order."""

trouble: list[BaseException] = []
"""The first of these is raised by the next fit, embed or index."""

REPORT: dict[str, Any] = {
    "metrics": {"mrr@10": 0.61, "recall@10": 0.8},
    "baselines": {"BM25": {"mrr@10": 0.55, "recall@10": 0.81}, "TF-IDF": {"mrr@10": 0.7}},
    "intervals": {"mrr@10": (0.58, 0.64)},
    "protocol": "retrieval/1",
    "notes": ["the model does not beat TF-IDF (mrr@10 0.610 against 0.700)"],
    "items": 1200,
    "held_out": 60,
    "truncated": 3,
    "steps": 40,
    "seconds": 61.5,
    "health": {"effective_rank": float("nan")},
}


class TruncationWarning(UserWarning):
    """As the facade's own."""


TruncationWarning.__module__ = "raw2vec.system"


@dataclass(frozen=True)
class Done:
    items: int
    new: int
    truncated: int
    empty: int = 0
    recall: float | None = None
    first_empty: int | None = None


@dataclass(frozen=True)
class Hit:
    row: int
    score: float
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """An evaluation's report."""

    values: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.values


@dataclass(frozen=True)
class Inspection:
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        return {"parameters": 12, "items": 4}

    def tables(self) -> list[tuple[str, list[list[str]]]]:
        return [("Parts", [["part", "parameters"], ["encoder", "12"]])]


@dataclass(frozen=True)
class Calibrated:
    width: int = 64
    items: int = 2000
    told: str = "2,000 items of tickets.csv"
    maps: int = 12


class Raw2Vec:
    parts_ = None
    source_ = "tickets"

    def __init__(self, **options: Any):
        calls.append(("init", options))
        self.report = REPORT

    def fit(self, data: Any, *, listener: Any, **options: Any) -> Raw2Vec:
        calls.append(("fit", {"data": data, **options}))
        print("a library prints on standard output")
        if str(data).endswith("slow.txt"):
            print("ready", flush=True)
            time.sleep(60)
        _act()
        return self

    def embed(self, data: Any, out: str, *, progress: Any, **options: Any) -> Done:
        calls.append(("embed", {"data": data, "out": out, **options}))
        _act()
        for cut in (5, 7):
            warnings.warn(f"{cut} of 10 texts were cut", TruncationWarning, stacklevel=1)
            progress(10)
        return Done(20, 15, 12, 1, first_empty=7)

    def calibrate(self, data: Any, **options: Any) -> Calibrated:
        calls.append(("calibrate", {"data": data, **options}))
        return Calibrated()

    def index(self, data: Any, store: str, *, progress: Any, **options: Any) -> Done:
        calls.append(("index", {"data": data, "store": store, **options}))
        _act()
        return Done(20, 20, 0, recall=0.987 if options.get("approximate") else None)

    def search(self, store: str, queries: list[str], **options: Any) -> list[list[Hit]]:
        calls.append(("search", {"store": store, "queries": queries, **options}))
        if options.get("where") == "nothing":
            return [[] for _ in queries]
        text = "[bold]a\x1b[31m printer\nburns " + "on " * 200
        many = int(options["k"])
        return [[Hit(place, 0.9, {"id": place, "body": text, "gone": None}) for place in range(many)] for _ in queries]

    def evaluate(self, data: Any, protocol: str | None = None, *, progress: Any, **options: Any) -> Found:
        progress(10)
        calls.append(("evaluate", {"data": data, "protocol": protocol, **options}))
        return Found({**REPORT, "headline": "mrr@10"})

    def map(self, data: Any, out: str, *, progress: Any, **options: Any) -> Mapped:
        calls.append(("map", {"data": data, "out": out, **options}))
        return Mapped()

    @staticmethod
    def load(source: str, device: str | None = None) -> Raw2Vec:
        return load(source)

    def inspect(self, data: Any = None, **options: Any) -> Inspection:
        calls.append(("inspect", {"data": data, **options}))
        return Inspection(["the gradient of layer 1 vanishes"])


@dataclass(frozen=True)
class Mapped:
    items: int = 20
    of: int = 20
    projection: str = "tsne"
    size: int = 1_200_000
    notes: tuple[str, ...] = ("3 sounds had no room, and cannot be played",)


class Grouped:
    """As `raw2vec.cli.grouped` has it."""

    items, groups, in_groups, clusters = 20, 2, 5, 3

    def __init__(self, model: Any, data: str, options: dict[str, Any], progress: Any):
        calls.append(("group", {"data": data, **options}))

    def largest(self, most: int) -> list[dict[str, Any]]:
        return [{"group": 0, "size": 3, "row": 4, "representative": "a printer"}]

    def write(self, out: str) -> None:
        calls.append(("write", out))


class Benched:
    """As `raw2vec.benching` has it."""

    def as_dict(self) -> dict[str, Any]:
        speed = {"lengths": "mixed", "precision": "float32", "items": 617, "tokens": 4938, "seconds": 0.5}
        speed |= {"items_per_s": 1234.0, "tokens_per_s": 9876.0, "slowest": 1100.0, "fastest": 1300.0}
        speed |= {"share_of_gemm": 0.51}
        rates, metrics = {"float32": 120.2}, {"items_per_s": 1234.0, "share_of_gemm": 0.51}
        notes = ["the texts are drawn"]
        return {"metrics": metrics, "speeds": [speed], "gemm_gflops": rates, "machine": "a machine", "notes": notes}


def bench(model: Any, data: Any, *, progress: Any, **options: Any) -> Benched:
    calls.append(("bench", {"data": data, **options}))
    return Benched()


def distill(teacher: str, data: Any, *, listener: Any, **options: Any) -> Raw2Vec:
    """As `raw2vec.distilling` has it."""
    calls.append(("distill", {"teacher": teacher, "data": data, **options}))
    made = Raw2Vec()
    made.report = {**REPORT, "taught": REPORT["items"]}
    return made


def load(source: str) -> Raw2Vec:
    calls.append(("load", source))
    return Raw2Vec()


def model_of(store: str) -> str:
    return f"the model of {store}"


def usual_mode(store: str) -> str:
    return "rescored" if "small" in store else "exact"


def _act() -> None:
    if trouble:
        raise trouble.pop()


def teller(model: Any, labels: list[str] | None, templates: list[str] | None) -> dict[str, Any]:
    """As `raw2vec.cli.predictions` has it: what was asked of it."""
    return {"labels": labels, "templates": templates} if labels else {}


class Predictions:
    """As `raw2vec.cli.predictions` has it."""

    items, truncated, empty, replaced, unreadable = 2, 0, 1, (), {}

    def __init__(self, model: Any, data: str, column: str | None, teller: Any, progress: Any):
        calls.append(("predict", {"data": data, "column": column, **teller}))

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"row": 0, "text": "fine", "prediction": "good", "probability": 0.75},
            {"row": 1, "text": None, "prediction": None, "probability": None},
        ]

    def write(self, out: str) -> None:
        calls.append(("write", out))


@dataclass(frozen=True)
class Made:
    """As `raw2vec.cli.generated` has it."""

    items: int
    truncated: int = 0


def reconstructed(model: Any, data: str, column: str | None, items: int | None, out: str) -> Made:
    calls.append(("reconstruct", {"data": data, "column": column, "items": items, "out": out}))
    return Made(32, 3)


def sampled(model: Any, count: int, seed: int, like: str | None, column: str | None, out: str) -> Made:
    calls.append(("sample", {"count": count, "seed": seed, "like": like, "column": column, "out": out}))
    return Made(count)


def interpolated(model: Any, data: str, column: str | None, ends: tuple[int, int], steps: int, out: str) -> Made:
    calls.append(("interpolate", {"data": data, "column": column, "ends": ends, "steps": steps, "out": out}))
    return Made(steps)


class Translated(NamedTuple):
    """As `raw2vec.use.translate` has it."""

    texts: list[str]
    scores: list[float]
    parts: int = 1
    truncated: int = 0
    lost: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.texts[0]


def translate(
    parts: Any, texts: list[str], manner: Any, prefixes: list[str] | None, beside: list[Any], first: int
) -> list[Translated]:
    calls.append(("translate", {"texts": texts, "manner": manner, "prefixes": prefixes, "beside": beside}))
    return [Translated(["voiture"] * manner.best, [-0.5] * manner.best) for _ in texts]


class Scored(NamedTuple):
    """As `raw2vec.cli.scored` has it."""

    items: int = 20
    anomalies: int = 2
    threshold: float = -12.5
    truncated: int = 1
    empty: int = 3
    unit: str = "nats"
    replaced: tuple[str, ...] = ()
    unreadable: tuple[dict[str, Any], ...] = ()


def scored(model: Any, data: str, column: str | None, contamination: float | None, out: str, progress: Any) -> Scored:
    calls.append(("score", {"data": data, "column": column, "contamination": contamination, "out": out}))
    progress(20)
    return Scored()
