"""What every protocol shares: how a score is measured, set beside its baselines, and told in a report."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, ClassVar, NamedTuple

import numpy as np

from raw2vec.errors import BadInput, NonFinite

Columns = Mapping[str, Sequence[Any]]
"""The data of an evaluation: one sequence of equal length for each role ("input", "target", "label")."""

Encode = Callable[[Sequence[Any], str], Any]
"""Items and their role to a matrix (n, L): a model gives an ndarray, a baseline may give a SciPy sparse matrix."""

Baseline = Callable[[Sequence[Any], Any], Callable[..., Any]]
"""Items to learn from, and a width or what they are paired with, to what a model would be: an encoder, or whatever else
its protocol measures."""

Values = dict[str, np.ndarray]

_LOWER_IS_BETTER = frozenset(
    {"mae", "mse", "sse", "nats", "bits_per_dim", "perplexity", "word_error_rate", "repetition"}
)
"""The metrics in which less is more; in every other one, more is."""


def lower_is_better(metric: str) -> bool:
    """Whether less is more in this metric, whatever it is taken at (mse@16) and whoever says it (probe_mae)."""
    return metric.split("@")[0].removeprefix("probe_") in _LOWER_IS_BETTER


MODEL = "model"
"""The model's name among the contestants, whose other names are the baselines'."""


@dataclass(frozen=True)
class Measured:
    """What one contestant achieved over `items` items, as a function of how often each item counts.

    `of` takes counts (R, items) and gives each metric's R values. So a point estimate (every item once) and a thousand
    bootstrap resamples are the same few matrix products, be the metric a mean, a rank correlation or an F1.
    """

    items: int
    of: Callable[[np.ndarray], Values]

    @classmethod
    def means(cls, values: Mapping[str, np.ndarray]) -> "Measured":
        """Metrics that are plain means of per-item values, each (items,)."""
        stacked = np.stack(list(values.values()), axis=1).astype(np.float64)

        def of(counts: np.ndarray) -> Values:
            return dict(zip(values, (counts @ stacked / counts.sum(axis=1, keepdims=True)).T, strict=True))

        return cls(len(stacked), of)

    def metrics(self) -> dict[str, float]:
        """The point estimates: every item counts once."""
        return {name: float(value[0]) for name, value in self.of(np.ones((1, self.items))).items()}


class Split(NamedTuple):
    """Rows to learn from (m,) and rows to measure (k,), both by number, and the former's places in three folds (m,)."""

    learnt: np.ndarray
    measured: np.ndarray
    folds: np.ndarray


class Comparison(NamedTuple):
    """What resampling says: the model's 95% `intervals`; and baseline → metric → share of resamples it is `ahead` in.

    Being level counts half.
    """

    intervals: dict[str, tuple[float, float]]
    ahead: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Bracket:
    """The model's BLEU over the `items` whose sources have so many `words` ("6-10"), with its 95% interval."""

    words: str
    items: int
    bleu: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Report:
    """The end of an evaluation: the model's metrics beside its baselines', and what a reader must know about them.

    `intervals` are bootstrap 95% intervals of the model's metrics, `ahead` the share of resamples in which the model is
    better than the baseline, metric by metric; `headline` is the metric that `notes` judges by. A translation's report
    also says how its scores were counted, `signature`, and how they fare with length, `by_length`.
    """

    protocol: str
    headline: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baselines: dict[str, dict[str, float]]
    ahead: dict[str, dict[str, float]]
    items: int
    seconds: float
    notes: list[str]
    signature: str = ""
    by_length: list[Bracket] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values; a number that is not finite becomes None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


class Protocol(ABC):
    """A named way of measuring an encoder. A change that moves any number gives it the next version.

    Takes the baselines it sets beside the model, and `compare`, which resamples all contestants together.
    """

    name: str
    version: int = 1
    roles: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        baselines: Mapping[str, Baseline],
        compare: Callable[[Mapping[str, Measured], int], Comparison],
    ):
        self.baselines = dict(baselines)
        self.compare = compare

    @abstractmethod
    def run(self, model: Callable[..., Any], columns: Columns, seed: int = 0) -> Report:
        """Measure `model` on `columns`, which hold every one of the protocol's roles. BadInput when they do not."""

    def read(self, columns: Columns) -> list[list[Any]]:
        """The columns of the protocol's roles, in the roles' order, of one length and not empty."""
        for role in self.roles:
            if role not in columns:
                given = ", ".join(columns) or "none"
                raise BadInput(f"The protocol '{self.name}' needs a column as {role}; given are: {given}.")
        found = [list(columns[role]) for role in self.roles]
        sizes = {role: len(column) for role, column in zip(self.roles, found, strict=True)}
        if len(set(sizes.values())) > 1:
            raise BadInput(f"The protocol '{self.name}' needs columns of one length, and was given {sizes}.")
        if not found[0]:
            raise BadInput(f"The protocol '{self.name}' was given no rows to evaluate on.")
        return found

    def report(
        self, contestants: Mapping[str, Measured], headline: str, started: float, seed: int, notes: Sequence[str] = ()
    ) -> Report:
        """The contestants (the model under MODEL, then its baselines) resampled together and written up."""
        metrics = {name: measured.metrics() for name, measured in contestants.items()}
        intervals, ahead = self.compare(contestants, seed)
        model = metrics.pop(MODEL)
        items = contestants[MODEL].items
        few = [f"only {items} items were measured, so the intervals are rough"] if items < 30 else []
        return Report(
            protocol=f"{self.name}/{self.version}",
            headline=headline,
            metrics=model,
            intervals=intervals,
            baselines=metrics,
            ahead=ahead,
            items=items,
            seconds=perf_counter() - started,
            notes=[*verdicts(headline, model, metrics, ahead), *notes, *few],
        )


def verdicts(
    headline: str,
    model: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    ahead: Mapping[str, Mapping[str, float]],
) -> list[str]:
    """A sentence for each baseline that the model does not clearly beat on the headline metric."""
    sentences = []
    for name, metrics in baselines.items():
        ours, theirs, share = model[headline], metrics[headline], ahead[name][headline]
        digits = max(_digits(ours), _digits(theirs))
        figures = f"{headline} {ours:.{digits}f} against {theirs:.{digits}f}"
        if not (ours < theirs if lower_is_better(headline) else ours > theirs):
            sentences.append(f"the model does not beat {name} ({figures})")
        elif share < 0.975:
            sentences.append(
                f"the model's lead over {name} may be chance ({figures}; ahead in {share:.0%} of resamples)"
            )
    return sentences


def vectors(encode: Encode, items: Sequence[Any], role: str) -> np.ndarray:
    """The model's vectors (n, L) float32, checked: one finite row an item, or BadInput, or NonFinite with the item."""
    found = np.asarray(encode(items, role), dtype=np.float32)
    if found.ndim != 2 or len(found) != len(items):
        raise BadInput(f"The encoder gave an array of shape {found.shape} for {len(items)} {role} items.")
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise NonFinite(f"The vector of {role} {bad[0]} is not finite ({len(bad)} of {len(items)} are not).")
    return found


def per_item(values: Any, items: int, what: str) -> np.ndarray:
    """One finite number an item, (items,) float64, or BadInput, or NonFinite with the item; `what` names them."""
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (items,):
        raise BadInput(f"The {what} have shape {found.shape} where {items} items need one number each.")
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise NonFinite(f"Of the {what}, item {bad[0]}'s is {found[bad[0]]} ({len(bad)} of {items} are not finite).")
    return found


def identities(items: Sequence[Any]) -> np.ndarray:
    """A number for each item (n,), the same for items that are the same: texts, paths, files' bytes or arrays."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(_marked(item), len(known)) for item in items], np.int64)


def _marked(item: Any) -> Any:
    if isinstance(item, Mapping):
        return _marked(item.get("bytes") or item.get("path"))
    if isinstance(item, tuple):
        return tuple(map(_marked, item))
    if isinstance(item, np.ndarray):
        return item.shape, item.dtype.str, item.tobytes()
    return item if isinstance(item, str | bytes | int | float) else id(item)


def numbers(items: Sequence[Any]) -> list[np.ndarray]:
    """Each item's numbers laid flat, (size,) float32 or wider: NaN is a missing one, uint8 pixels count as 255ths.

    BadInput names an item that is no array of numbers, or that holds an infinite one.
    """
    return [_flat(item, place) for place, item in enumerate(items)]


def _flat(item: Any, place: int) -> np.ndarray:
    found = np.asarray(item)
    if found.dtype.kind not in "biuf":
        raise BadInput(f"Item {place} is a {type(item).__name__}, where an array of numbers is needed.")
    if found.dtype == np.uint8:
        found = found / np.float32(255)
    found = found.astype(np.promote_types(found.dtype, np.float32), copy=False).ravel()
    if np.isinf(found).any():
        raise BadInput(f"Item {place} holds an infinite number; a missing one is NaN, and any other is finite.")
    return found


def readable(baselines: Mapping[str, Baseline], items: Sequence[Any]) -> tuple[Mapping[str, Baseline], list[str]]:
    """The baselines that read these items.

    None, and a note that says so, where the items are arrays of different shapes, which no baseline reads.
    """
    if baselines and len({np.shape(item) for item in items}) > 1:
        names = " and ".join(baselines)
        return {}, [f"the items differ in shape, so there is no {names} to set beside the model"]
    return baselines, []


def learnt(
    baselines: Mapping[str, Baseline], known: Sequence[Any], items: Sequence[Any], width: int
) -> tuple[dict[str, Callable[..., Any]], list[str]]:
    """The `readable` baselines after learning from `known`, to be measured on `items`; a note where there are none."""
    able, notes = readable(baselines, [*known, *items])
    return {name: learn(known, width) for name, learn in able.items()}, notes


def lossless(baselines: Mapping[str, Any], items: Sequence[Any], width: int) -> list[str]:
    """A sentence where PCA stands beside codes that are no narrower than the items, and so brings all of them back."""
    size = int(np.size(items[0]))
    if "PCA" not in baselines or not 1 < size <= width:
        return []
    return [
        f"at a width of {width} PCA loses nothing of items of {size} numbers: fit with a --latent below {size} for a "
        "comparison that means something"
    ]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows (n, L) at length one, so that their products are cosines; a zero row stays zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def table(report: Report) -> list[list[str]]:
    """The report as rows of strings padded to line up: a heading, the model, then each baseline.

    The headline metric carries the model's interval; the others' are in the report.
    """
    columns = [[report.protocol, MODEL, *report.baselines]]
    for name, value in report.metrics.items():
        digits = _digits(value)
        cell = f"{value:,.{digits}f}"
        if name == report.headline and name in report.intervals:
            low, high = report.intervals[name]
            cell += f" ({low:,.{digits}f} to {high:,.{digits}f})"
        rivals = (metrics.get(name) for metrics in report.baselines.values())
        columns.append([name, cell, *("–" if rival is None else f"{rival:,.{digits}f}" for rival in rivals)])
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return [list(row) for row in zip(*padded, strict=True)]


def _digits(value: float) -> int:
    """Decimals that leave three digits to see, be it an accuracy of 0.912, a squared error of 0.00912 or 9,120 nats."""
    if not math.isfinite(value) or 0.1 <= abs(value) < 100 or abs(value) < 1e-9:
        return 3
    return 0 if abs(value) >= 100 else min(2 - math.floor(math.log10(abs(value))), 9)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
