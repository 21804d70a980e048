"""The health of a space, from its vectors alone: is every dimension used, and do the vectors spread or huddle?"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate.base import Columns, Encode, Protocol, Report, unit, vectors
from raw2vec.seeding import permutation

SAMPLE = 4000
"""Vectors among which all pairs are looked at, for what is a mean over pairs."""

ACTIVE = 0.01
"""The variance of its posterior mean above which a unit counts as active."""

TOLD = 16
"""Units of a Gaussian latent whose nats a sentence tells."""


@dataclass(frozen=True)
class Health:
    """What `health` found; each number is explained, with its good values, by the function of its name."""

    items: int
    width: int
    effective_rank: float
    first_share: float
    dead_dimensions: int
    uniformity: float
    mean_cosine: float
    norm_spread: float
    zero_vectors: int
    duplicates: float
    hubness: float
    alignment: float | None = None
    random_alignment: float | None = None
    compression: float | None = None
    kl: float | None = None
    active_units: int | None = None
    unit_kl: tuple[float, ...] | None = None
    codes_in_use: float | None = None
    codes: int | None = None

    def as_dict(self) -> dict[str, float]:
        """The numbers that could be measured, JSON-ready; `unit_kl`, which is one for each unit, stays an attribute."""
        return {name: value for name, value in asdict(self).items() if value is not None and name != "unit_kl"}

    def warnings(self) -> list[str]:
        """A sentence for everything that is not as it should be, the worst first; none for a healthy space."""
        return self.collapse() + [say(self) for ill, say in _SIGNS if ill(self)]

    def in_use(self) -> list[str]:
        """How much of its latent the space is using: a sentence for Gaussian ones and codebooks, none for a point."""
        if self.codes_in_use is not None:
            return [_codes(self)]
        if self.unit_kl is None:
            return []
        (said,) = self.collapse() or [f"{self.active_units} of {self.width} units carry information"]
        dearest = sorted(self.unit_kl, reverse=True)
        figures = ", ".join(f"{nats:.3f}" for nats in dearest[:TOLD])
        rest = len(dearest) - TOLD
        return [f"{said} (nats a unit, most first: {figures}{f' and {rest} with no more' if rest > 0 else ''})"]

    def collapse(self) -> list[str]:
        """The sentence for a Gaussian latent whose units mostly tell nothing; none for others."""
        if self.active_units is None or self.active_units >= max(1, self.width / 4):
            return []
        return [
            f"{self.active_units} of {self.width} units carry information: the posterior has collapsed onto the prior "
            "in the others; lower beta or raise free_bits"
        ]


def health(
    rows: np.ndarray,
    partners: np.ndarray | None = None,
    raw_bytes: int | None = None,
    seed: int = 0,
    kl: np.ndarray | None = None,
    codebook: tuple[float, int] | None = None,
) -> Health:
    """The report on vectors (n, L), n of 2 or more; `partners` (n, L) are the other halves of pairs.

    `raw_bytes` is the size of the data encoded; `kl` (n, L), in nats, a Gaussian latent's, whose posterior means the
    vectors then are; `codebook`, of a quantised one, how many codes of a group were in use in training, of how many.
    Means over pairs are taken over at most 4,000 vectors, drawn with `seed`. BadInput for fewer than two vectors,
    NonFinite with the row of one that is not finite.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise BadInput(f"The health of a space needs two or more vectors of one width, not shape {rows.shape}.")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise NonFinite(f"The vector of item {bad[0]} is not finite ({len(bad)} of {len(rows)} are not).")
    sample = rows[permutation(len(rows), seed, "health")[:SAMPLE]]
    each_kl = None if kl is None else unit_kl(kl, rows.shape)
    return Health(
        items=len(rows),
        width=rows.shape[1],
        effective_rank=effective_rank(rows),
        first_share=first_share(rows),
        dead_dimensions=dead_dimensions(rows),
        uniformity=uniformity(sample),
        mean_cosine=mean_cosine(rows),
        norm_spread=norm_spread(rows),
        zero_vectors=int((~rows.any(axis=1)).sum()),
        duplicates=duplicates(rows),
        hubness=hubness(sample),
        alignment=None if partners is None else alignment(rows, partners),
        random_alignment=None if partners is None else alignment(rows, np.roll(partners, 1, axis=0)),
        compression=None if raw_bytes is None else compression(rows, raw_bytes),
        kl=None if each_kl is None else float(each_kl.sum()),
        active_units=None if each_kl is None else active_units(rows),
        unit_kl=None if each_kl is None else tuple(each_kl.tolist()),
        codes_in_use=None if codebook is None else codebook[0],
        codes=None if codebook is None else codebook[1],
    )


def effective_rank(rows: np.ndarray) -> float:
    """The exponential of the entropy of the centred vectors' normalised singular values (Roy & Vetterli 2007).

    How many dimensions are really used: the width when all alike, 1 when the vectors lie on a line, 0 when they are all
    the same. Good: above half the width, or of the number of vectors when that is smaller. Below a quarter of it the
    space has partly collapsed.
    """
    values = np.sqrt(_spectrum(rows))
    if not values.sum():
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def first_share(rows: np.ndarray) -> float:
    """The share of the variance along its first principal component. Good: below 0.2; 1 is a line; 0 is no variance."""
    values = _spectrum(rows)
    return float(values.max() / values.sum()) if values.sum() else 0.0


def dead_dimensions(rows: np.ndarray) -> int:
    """Dimensions that say nothing: a deviation under a millionth of the vectors' typical size. Good: 0."""
    scale = np.sqrt((rows**2).mean())
    return int((rows.std(axis=0) <= 1e-6 * scale).sum())


def uniformity(rows: np.ndarray) -> float:
    """The log of the mean of exp(−2·squared distance) over all pairs of unit vectors (Wang & Isola 2020, t = 2).

    0 when all are the same, −4 when spread as evenly as many dimensions allow. Good: below −2.
    """
    directions = unit(rows)
    total = 0.0
    for block in np.array_split(directions, max(1, len(rows) // 1000)):
        total += np.exp(-4 * (1 - block @ directions.T)).sum()
    pairs = len(rows) * (len(rows) - 1)
    return float(np.log(max((total - len(rows)) / pairs, np.exp(-8))))


def alignment(rows: np.ndarray, partners: np.ndarray) -> float:
    """The mean squared distance of unit vectors that belong together (Wang & Isola 2020, α = 2).

    0 when equal, 2 when unrelated. Good: well below that of strangers, given beside it as `random_alignment`.
    """
    if rows.shape != np.shape(partners):
        raise BadInput(
            f"Vectors of shape {rows.shape} have partners of shape {np.shape(partners)}: pairs need equal ones."
        )
    return float(((unit(rows) - unit(np.asarray(partners, dtype=np.float64))) ** 2).sum(axis=1).mean())


def mean_cosine(rows: np.ndarray) -> float:
    """The mean cosine over all pairs: 0 when directions balance, 1 when all point one way. Good: within ±0.2."""
    directions = unit(rows)
    total = (directions.sum(axis=0) ** 2).sum() - (directions**2).sum()
    return float(total / (len(rows) * (len(rows) - 1)))


def norm_spread(rows: np.ndarray) -> float:
    """The deviation of the vectors' lengths over their mean, 0 for unit vectors. Good: below 0.5: cosines ignore it."""
    norms = np.linalg.norm(rows, axis=1)
    return float(norms.std() / norms.mean()) if norms.any() else 0.0


def duplicates(rows: np.ndarray) -> float:
    """The share of vectors that repeat an earlier one to five digits. Good: what the items themselves repeat."""
    scale = np.abs(rows).max() or 1.0
    seen = {row.tobytes() for row in np.round(rows / scale * 1e5).astype(np.int32)}
    return 1 - len(seen) / len(rows)


def hubness(rows: np.ndarray, k: int = 10) -> float:
    """The skewness of how often each vector is among the others' k nearest by cosine (Radovanović et al. 2010).

    0 when all are found alike; good: below 2. Above 3 a few hubs are everybody's neighbour and many are nobody's.
    """
    directions = unit(rows).astype(np.float32)
    k = min(k, len(rows) - 1)
    found = np.zeros(len(rows))
    for block in np.array_split(np.arange(len(rows)), max(1, len(rows) // 1000)):
        scores = directions[block] @ directions.T
        scores[np.arange(len(block)), block] = -np.inf
        found += np.bincount(np.argpartition(-scores, k - 1, axis=1)[:, :k].ravel(), minlength=len(rows))
    centred = found - found.mean()
    return float((centred**3).mean() / (centred**2).mean() ** 1.5) if centred.any() else 0.0


def compression(rows: np.ndarray, raw_bytes: int) -> float:
    """Bytes of raw data for each byte of float32 vectors. Above 1 the vectors are the smaller; what is good depends."""
    return raw_bytes / (rows.size * 4)


def active_units(means: np.ndarray) -> int:
    """Units of a Gaussian latent whose posterior mean varies by over 0.01 among items (Burda et al. 2016, section 5.2).

    The others have collapsed onto the prior: they say the same of every item. Good: above a quarter of the width.
    """
    return int((means.var(axis=0, ddof=1) > ACTIVE).sum())


def unit_kl(kl: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What each unit of a Gaussian latent tells of an item, (L,) nats: the mean of KL(q || p) (n, L) over items.

    Good: above 0.01 wherever a unit is wanted. Its sum is what the codes cost, `kl`.
    """
    found = np.asarray(kl, dtype=np.float64)
    if found.shape != shape:
        raise BadInput(f"Vectors of shape {shape} have KLs of shape {found.shape}: each unit of each item needs one.")
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise NonFinite(f"The KL of item {bad[0]} is not finite ({len(bad)} of {len(found)} are not).")
    return found.mean(axis=0)


def _spectrum(rows: np.ndarray) -> np.ndarray:
    """The variances (min(n, L),) along the principal components of (n, L) vectors, rounding noise taken for 0."""
    centred = rows - rows.mean(axis=0)
    product = centred.T @ centred if rows.shape[1] <= len(rows) else centred @ centred.T
    values = np.linalg.eigvalsh(product)
    return np.where(values > 1e-12 * (rows**2).sum(), values, 0.0)


def _room(found: Health) -> int:
    """The most dimensions that as many vectors of this width can use."""
    return min(found.width, found.items - 1)


def _codes(found: Health) -> str:
    different = found.items - round(found.duplicates * found.items)
    return (
        f"{different} of {found.items} vectors are different, as words of a codebook repeat; in training "
        f"{found.codes_in_use:.1f} of its {found.codes} codes were in use"
    )


_SIGNS: list[tuple[Callable[[Health], bool], Callable[[Health], str]]] = [
    (
        lambda h: h.effective_rank == 0,
        lambda h: f"all {h.items} vectors are the same: the encoder takes no notice of its input",
    ),
    (
        lambda h: 0 < h.effective_rank < _room(h) / 4,
        lambda h: (
            f"the vectors use {h.effective_rank:.0f} of {h.width} dimensions (effective rank): the space has partly "
            "collapsed; a smaller latent would hold as much, a contrastive objective or more training would use more"
        ),
    ),
    (
        lambda h: h.dead_dimensions > 0,
        lambda h: f"{h.dead_dimensions} of {h.width} dimensions are dead: they are the same for every item",
    ),
    (
        lambda h: h.zero_vectors > 0,
        lambda h: f"{h.zero_vectors} of {h.items} vectors are all zeros, which have no direction to compare by",
    ),
    (
        lambda h: h.effective_rank > 0 and h.first_share > 0.5,
        lambda h: f"one direction holds {h.first_share:.0%} of the variance",
    ),
    (
        lambda h: h.effective_rank > 0 and h.mean_cosine > 0.5,
        lambda h: (
            f"the vectors point much the same way (mean cosine {h.mean_cosine:.2f}); subtracting their mean may help"
        ),
    ),
    (
        lambda h: h.alignment is not None and h.random_alignment is not None and h.alignment > 0.8 * h.random_alignment,
        lambda h: (
            f"pairs are hardly closer than strangers (squared distance {h.alignment:.2f} against "
            f"{h.random_alignment:.2f})"
        ),
    ),
    (
        lambda h: h.codes is not None and h.duplicates > 0.01,
        lambda h: _codes(h),
    ),
    (
        lambda h: h.codes is None and h.effective_rank > 0 and h.duplicates > 0.01,
        lambda h: f"{h.duplicates:.0%} of the vectors repeat an earlier one; look for repeated or truncated items",
    ),
    (
        lambda h: h.hubness > 3,
        lambda h: f"a few vectors are near everything (hubness {h.hubness:.1f}) and will turn up in every search",
    ),
    (
        lambda h: h.items <= h.width,
        lambda h: f"{h.items} vectors cannot fill {h.width} dimensions; the rank says more with more of them",
    ),
]


def _bytes(item: Any) -> int:
    return len(item.encode()) if isinstance(item, str) else np.asarray(item).nbytes


class Space(Protocol):
    """The health of the space as a protocol: its numbers as metrics and its warnings as notes. Nothing is resampled.

    With targets beside the inputs, the alignment of the two sides is measured too. What the latent tells `beside` the
    vectors is handed on to `health`: its `kl` or its `codebook`.
    """

    name = "space"
    roles = ("input",)

    def run(self, model: Encode, columns: Columns, seed: int = 0, **beside: Any) -> Report:
        started = perf_counter()
        (texts,) = self.read(columns)
        targets: Sequence[Any] = columns.get("target", ())
        partners = vectors(model, list(targets), "target") if len(targets) == len(texts) else None
        size = sum(_bytes(item) for item in texts)
        found = health(vectors(model, texts, "input"), partners, size, seed, **beside)
        metrics = {name: float(value) for name, value in found.as_dict().items() if name != "items"}
        return Report(
            protocol=f"{self.name}/{self.version}",
            headline="effective_rank",
            metrics=metrics,
            intervals={},
            baselines={},
            ahead={},
            items=found.items,
            seconds=perf_counter() - started,
            notes=found.warnings(),
        )
