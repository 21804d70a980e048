"""Pairs that a translator should not learn from, left out of any rows: empty, uneven, copied or repeated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.rows.base import Rows

_SHORT_WORDS, _SHORT_LETTERS = 6, 30  # two sides up to these may differ as they like: "Bless you!" is "Santé !"
_FEW = 10  # where less than one in so many pairs is left, that is said
_COPY_WORDS = 4  # shorter copies are names and numbers
_LETTERS_A_WORD = 16  # in a line that is too long although it has few words, as one without spaces
# From a character that can be seen to a space or a control character: a word may hold joiners, as in Persian.
_WORD = r"[^\p{Z}\p{C}][^\p{Z}\p{Cc}]*"
_WIDE = r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul}"
_WIDTH = 3  # letters of an alphabet that say what one such character says, about

_REASONS = ("empty", "short", "long", "uneven", "copies", "duplicates")

Mask = NDArray[np.bool_]


class Filtered(Rows):
    """The rows of `rows` whose `source` and `target` may be each other's translation, as they are and in their order.

    Left out, and counted in `skipped`, with the place of the first, under the first of these reasons that holds:
    - a side is empty: missing, or nothing but space and characters that cannot be seen. Control characters count as
      space; in the rows all stay as they are.
    - a side has fewer words than `shortest`, or more than `longest`, or more than 16 letters for each of these.
    - one side is more than `ratio` times as long as the other, both in words and in letters, where the longer one has
      more than 6 words or 30 letters. A Chinese, Japanese or Korean character counts as three letters.
    - it is a copy: of the source's words, 4 or more, a share above `copies` stands in the target, too.
    - it is a duplicate of an earlier pair but for case, space, punctuation and digits; `duplicates` may be 'keep'.

    Where more than half of the pairs have the same words on both sides, `skipped` asks whether that is one language.
    The rows are read once, here; memory holds some 40 bytes a row meanwhile, then 8 for each that is kept. Raises
    BadInput where no pair is left, for a column that is no text, and for settings out of range.
    """

    def __init__(
        self,
        rows: Rows,
        source: str,
        target: str,
        shortest: int = 1,
        longest: int = 250,
        ratio: float = 3.0,
        copies: float = 0.9,
        duplicates: Literal["drop", "keep"] = "drop",
    ):
        self._rows, self._pair = rows, [rows.column(source), rows.column(target)]
        self._limits = _Limits(shortest, longest, ratio, copies, duplicates)
        self._limits.check(self._pair)
        self.name, self.columns, self.names_at = rows.name, rows.columns, rows.names_at
        self.group, self.kind, self.alike = rows.group, rows.kind, rows.alike
        self.written, self.gaps = rows.written, rows.gaps
        self._kept, counts, firsts, total = self._read()
        told = _told(counts, self._limits)
        pair = " and ".join(f"'{name}'" for name in self._pair)
        alike = f"{counts['alike']:,} say the same twice: are {pair} in one language?" * (counts["alike"] * 2 > total)
        if not len(self._kept):
            raise BadInput(
                f"{self.name} has no pair to learn from: of {total:,} pairs, all are left out ({told}). "
                f"{f'{alike} ' if alike else ''}Name other columns, or allow for more."
            )
        if rows.held_from is not None:
            self.held_from = int(np.searchsorted(self._kept, rows.held_from))
            if self.held_from in (0, len(self._kept)):
                which = "to learn from" if not self.held_from else "to judge by"
                raise BadInput(f"Of the pairs of {self.name}, all that were {which} are left out ({told}).")
        few = f"{len(self._kept):,} left to learn from" * (len(self._kept) * _FEW < total)
        self.skipped = list(rows.skipped)
        if told or alike:
            whole = f"{told or 'nothing'}, among the {total:,} pairs of {self.name}"
            places = f"first at {', '.join(rows.where(firsts[reason]) for reason in _REASONS if reason in firsts)}"
            self.skipped.append("; ".join(filter(None, (whole, few, alike, places * bool(firsts)))))

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in self._rows.batches(rows, columns):
            first, last = np.searchsorted(self._kept, (start, start + len(batch)))
            if last - first == len(batch):
                yield batch
            elif last > first:
                yield batch.take(pa.array(self._kept[first:last] - start))
            start += len(batch)

    def where(self, row: int) -> str:
        return self._rows.where(int(self._kept[row])) if row < len(self._kept) else f"{self.name}, past its end"

    def fingerprint(self) -> str:
        """Of the rows and of what is asked of them."""
        asked = repr((self._rows.fingerprint(), self._pair, tuple(self._limits)))
        return blake2b(asked.encode(), digest_size=16).hexdigest()

    def _read(self) -> tuple[NDArray[np.int64], Counter[str], dict[str, int], int]:
        """The numbers of the rows to keep (n,), how many are left out for each reason, the first of these, and how many
        rows there are."""
        counts: Counter[str] = Counter()
        firsts: dict[str, int] = {}
        numbers, keys, total = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], 0
        for batch in self._rows.batches(8192, self._pair):
            texts = [_texts(batch.column(name), f"Column '{name}' of {self.name}") for name in self._pair]
            folded = [_folded(side) for side in texts]
            copied = _copied(folded, self._limits.copies)
            faults = _faults([_Lengths.of(side) for side in texts], self._limits) | {"copies": copied}
            alike = copied | np.asarray(pc.equal(*folded), np.bool_)
            counts["alike"] += int((alike & ~faults["empty"]).sum())
            good = np.ones(len(batch), np.bool_)
            for reason, faulty in faults.items():
                if found := int((good & faulty).sum()):
                    counts[reason] += found
                    firsts.setdefault(reason, total + int((good & faulty).argmax()))
                good &= ~faulty
            numbers.append(total + np.flatnonzero(good))
            keys.append(_keys(folded, texts)[good])
            total += len(batch)
        kept = np.concatenate(numbers)
        if self._limits.duplicates == "drop":
            first = np.sort(np.unique(np.concatenate(keys), return_index=True)[1])
            if len(first) < len(kept):
                counts["duplicates"] = len(kept) - len(first)
                firsts["duplicates"] = int(np.delete(kept, first)[0])
            kept = kept[first]
        return kept, counts, firsts, total


class _Limits(NamedTuple):
    shortest: int
    longest: int
    ratio: float
    copies: float
    duplicates: str

    def check(self, pair: Sequence[str]) -> None:
        """BadInput for what no pair could keep, with the setting and its range."""
        ranges = {
            "shortest": (self.shortest >= 1, "1 or more"),
            "longest": (self.longest >= self.shortest, f"the shortest, {self.shortest}, or more"),
            "ratio": (self.ratio >= 1, "1 or more"),
            "copies": (0 <= self.copies <= 1, "a share from 0 to 1"),
            "duplicates": (self.duplicates in ("drop", "keep"), "'drop' or 'keep'"),
        }
        for name, (fits, wanted) in ranges.items():
            if not fits:
                raise BadInput(f"The pairs' setting {name} is {getattr(self, name)!r}: give {wanted}.")
        if pair[0] == pair[1]:
            raise BadInput(f"The source and the target are one column, '{pair[0]}': name two.")


class _Lengths(NamedTuple):
    """How many words and letters the texts of one side have (n,)."""

    words: NDArray[np.int64]
    letters: NDArray[np.int64]

    @classmethod
    def of(cls, texts: pa.Array) -> _Lengths:
        words = pc.count_substring_regex(texts, _WORD)
        wide = pc.count_substring_regex(texts, _WIDE)
        letters = pc.add(pc.utf8_length(texts), pc.multiply(wide, _WIDTH - 1))
        return cls(np.asarray(words, np.int64), np.asarray(letters, np.int64))


def _faults(sides: Sequence[_Lengths], limits: _Limits) -> dict[str, Mask]:
    """For each reason that lengths give, which pairs it holds for (n,)."""
    fewer, more = np.sort(np.stack([side.words for side in sides]), axis=0)
    shorter, longer = np.sort(np.stack([side.letters for side in sides]), axis=0)
    uneven = (more / limits.ratio > fewer) & (longer / limits.ratio > shorter)
    return {
        "empty": fewer == 0,
        "short": fewer < limits.shortest,
        "long": (more > limits.longest) | (longer > limits.longest * _LETTERS_A_WORD),
        "uneven": uneven & ((more > _SHORT_WORDS) | (longer > _SHORT_LETTERS)),
    }


def _texts(column: pa.Array, where: str) -> pa.Array:
    try:
        return pc.fill_null(column.cast(pa.string()), "")
    except pa.ArrowException:
        raise BadInput(f"{where} holds {column.type}, which is no text: name a column of texts.") from None


def _copied(folded: Sequence[pa.Array], copies: float) -> Mask:
    """Whether more than this share of a source's words stands in its target (n,)."""
    found = []
    for source, target in zip(*(texts.to_pylist() for texts in folded), strict=True):
        words, others = source.split(), set(target.split())
        found.append(len(words) >= _COPY_WORDS and sum(word in others for word in words) > copies * len(words))
    return np.array(found, np.bool_)


def _folded(texts: pa.Array) -> pa.Array:
    """Without case and punctuation, and characters of one meaning written in one way (Unicode's NFKC)."""
    lower = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.replace_substring_regex(lower, r"\p{P}+", "")


def _keys(folded: Sequence[pa.Array], written: Sequence[pa.Array]) -> NDArray[np.uint64]:
    """A hash of each pair (n,), equal for those that differ only in space and digits once they are folded.

    A side that has nothing else counts as it is written. Of 10 million pairs, two different ones share a hash with a
    probability of 3 in a million.
    """
    sides = []
    for texts, plain in zip(folded, written, strict=True):
        bare = pc.replace_substring_regex(texts, r"[\p{Z}\p{C}]+", "")
        alike = pc.replace_substring_regex(bare, r"\p{Nd}", "0")
        sides.append(pc.if_else(pc.equal(alike, ""), plain, alike))
    pairs = pc.binary_join_element_wise(*sides, "\t").to_pylist()
    return np.frombuffer(b"".join(blake2b(pair.encode(), digest_size=8).digest() for pair in pairs), np.uint64)


def _told(counts: Mapping[str, int], limits: _Limits) -> str:
    """'7 with an empty side, 312 whose lengths differ more than 3 times, 14 copied', or ''."""
    told = (
        "with an empty side",
        f"shorter than {limits.shortest} words",
        f"longer than {limits.longest} words or {limits.longest * _LETTERS_A_WORD:,} letters",
        f"whose lengths differ more than {limits.ratio:g} times",
        "copied",
        "repeated",
    )
    return ", ".join(
        f"{counts[reason]:,} {what}" for reason, what in zip(_REASONS, told, strict=True) if counts[reason]
    )
