"""Translation: how near are a model's sentences to a person's, by sacreBLEU's scores, and at what lengths?"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from sacrebleu import BLEU, CHRF, extract_char_ngrams

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Bracket, Columns, Measured, Protocol, Report, Values

Translate = Callable[[Sequence[str]], Sequence[str]]
"""Texts to their translations, one each, in their order."""

UNTAUGHT = frozenset({"copy"})
"""The baselines that learn nothing, and so stand beside the model even where there are no training pairs."""

BRACKETS = ((1, 5), (6, 10), (11, 15), (16, 20), (21, 30), (31, None))
"""Lengths of a source in words, from and to, that BLEU is told by."""

FEWEST = 20
"""Sentences that a bracket must hold: the BLEU of fewer says little."""

LONGEST_RUN = 4
"""Words in the longest run that is looked for twice in a row."""

# What is counted in a sentence is the same at any order of n-grams, and sacreBLEU warns of single sentences without it.
_CASED = BLEU(effective_order=True)
_LOWERCASE = BLEU(lowercase=True, effective_order=True)
_APOSTROPHE = re.compile(r"(?<=\w)(['’])(?=\w)")


class Translation(Protocol):
    """Each input is a sentence, the target of its row a person's translation of it.

    `bleu` and `chrf` (0 to 100) are sacreBLEU's over the whole corpus, to the last digit: `signature` in the report
    says of what kind. `bleu_lowercase_tokenized` is for tables that were made by Moses' tokenizer and multi-bleu.perl
    on lower-cased text: it is BLEU (13a) of lower-cased text with words parted after an apostrophe (l' homme). On
    Multi30k with words exchanged that was within 0.3 of theirs, where 13a alone fell up to 1.2 short in French.

    `exact` is the share of outputs that are the reference to the letter, `length_ratio` the outputs' words over the
    references', `repetition` the share of outputs that stutter: in which a run of one to four words is followed by
    itself more often than in the reference. Words are what white space parts. `words_per_s` is how many of the
    outputs' words the model made in a second; it has no interval.

    `by_length` in the report holds the model's BLEU by the source's words, where there are sentences enough. Baselines
    learn from `train`; without, only those are measured that learn nothing.
    """

    name = "translation"
    roles = ("input", "target")

    def run(self, model: Translate, columns: Columns, seed: int = 0, train: Columns | None = None) -> Report:
        started = perf_counter()
        inputs, targets = self.read(columns)
        sources, references = _texts(inputs, "input"), _texts(targets, "target")
        began = perf_counter()
        outputs = model(sources)
        seconds = perf_counter() - began
        outputs = _checked(outputs, sources)
        contestants = {MODEL: _measured(outputs, references)}
        known = [[], []] if train is None else self.read(train)
        for name, learn in self.baselines.items():
            if train is not None or name in UNTAUGHT:
                contestants[name] = _measured(learn(*known)(sources), references)
        notes = ["no training pairs were at hand for a baseline to learn from"] if train is None else []
        report = self.report(contestants, "bleu", started, seed, notes)
        speed = sum(len(output.split()) for output in outputs) / max(seconds, 1e-9)
        return replace(
            report,
            metrics=report.metrics | {"words_per_s": speed},
            ahead={name: _ranked(shares) for name, shares in report.ahead.items()},
            signature=signature(),
            by_length=self.by_length(sources, outputs, references, seed),
        )

    def by_length(
        self,
        sources: Sequence[str],
        outputs: Sequence[str],
        references: Sequence[str],
        seed: int = 0,
        brackets: Sequence[tuple[int, int | None]] = BRACKETS,
    ) -> list[Bracket]:
        """BLEU of the outputs by the sources' words, of those `brackets` that hold sentences enough."""
        statistics = _ngrams(outputs, references, _CASED)
        lengths = np.array([len(source.split()) for source in sources])
        found = []
        for low, high in brackets:
            rows = np.flatnonzero((lengths >= low) & (lengths <= (high or np.inf)))
            if len(rows) >= FEWEST:
                part = _bleu_alone(statistics[rows])
                interval = self.compare({MODEL: part}, seed).intervals["bleu"]
                named = f"{low}-{high}" if high else f"{low}+"
                found.append(Bracket(named, len(rows), part.metrics()["bleu"], interval))
        return found


def bleu(statistics: np.ndarray) -> np.ndarray:
    """Corpus BLEU (R,) from 0 to 100 of sums (R, 10), as sacreBLEU smooths it (exp).

    A row holds the words of the outputs and of the references, then for n-grams of 1 to 4 words how many of the
    outputs' are in the references, then how many there are. Outputs without any n-gram of 4 words score 0.
    """
    ours, theirs, matched, made = np.split(statistics, [1, 2, 6], axis=1)
    none = matched == 0
    # The k-th order without a match counts as if 1 / 2^k of an n-gram were one.
    precision = np.where(none, 0.5 ** np.cumsum(none, axis=1), matched) / np.maximum(made, 1)
    brevity = np.minimum(1 - theirs / np.maximum(ours, 1), 0)[:, 0]
    scored = ~none.all(axis=1) & (made > 0).all(axis=1)
    return np.where(scored, 100 * np.exp(brevity + np.log(precision).mean(axis=1)), 0)


def chrf(statistics: np.ndarray) -> np.ndarray:
    """Corpus chrF2 (R,) from 0 to 100 of sums (R, 6, 3).

    For n-grams of 1 to 6 characters: how many the outputs have, how many the references have, how many they share.
    """
    ours, theirs, shared = np.moveaxis(statistics, 2, 0)
    told = (ours > 0) & (theirs > 0)
    orders = np.maximum(told.sum(axis=1), 1)
    precision = np.where(told, shared / np.maximum(ours, 1), 0).sum(axis=1) / orders
    recall = np.where(told, shared / np.maximum(theirs, 1), 0).sum(axis=1) / orders
    factor = CHRF.BETA**2
    weighed = factor * precision + recall
    return 100 * (1 + factor) * precision * recall / np.where(weighed > 0, weighed, 1)


def signature() -> str:
    """What kind of BLEU and of chrF these are, in sacreBLEU's own terms: two signatures, with a space between."""
    one_reference = [[""]]
    kinds = {"BLEU": BLEU(references=one_reference), "chrF2": CHRF(references=one_reference)}
    return " ".join(f"{name}|{kind.get_signature()}" for name, kind in kinds.items())


def score(metric: str, outputs: Sequence[str], references: Sequence[str]) -> float:
    """The corpus's "bleu" or "chrf", as the protocol has it."""
    if metric == "chrf":
        counts = [_characters(*pair) for pair in zip(outputs, references, strict=True)]
        return float(chrf(np.sum(counts, axis=0, dtype=np.float64).reshape(1, CHRF.CHAR_ORDER, 3))[0])
    return float(bleu(_ngrams(outputs, references, _CASED).sum(axis=0, keepdims=True))[0])


def stutters(text: str) -> int:
    """How often a run of one to four words, in whatever case, is followed by itself: "a red red red car" twice."""
    words = text.lower().split()
    return sum(
        words[place : place + size] == words[place + size : place + 2 * size]
        for size in range(1, LONGEST_RUN + 1)
        for place in range(len(words) - 2 * size + 1)
    )


def _measured(outputs: Sequence[str], references: Sequence[str]) -> Measured:
    pairs = list(zip(outputs, references, strict=True))
    cased = _ngrams(outputs, references, _CASED)
    lowercase = _ngrams([_parted(text) for text in outputs], [_parted(text) for text in references], _LOWERCASE)
    characters = np.array([_characters(*pair) for pair in pairs], dtype=np.float64)
    words = np.array([[len(text.split()) for text in pair] for pair in pairs], dtype=np.float64)
    flags = [(ours == theirs, stutters(ours) > stutters(theirs)) for ours, theirs in pairs]

    def of(counts: np.ndarray) -> Values:
        ours, theirs = (counts @ words).T
        exact, repetition = (counts @ np.array(flags, dtype=np.float64)).T / counts.sum(axis=1)
        return {
            "bleu": bleu(counts @ cased),
            "chrf": chrf((counts @ characters).reshape(len(counts), CHRF.CHAR_ORDER, 3)),
            "bleu_lowercase_tokenized": bleu(counts @ lowercase),
            "exact": exact,
            "length_ratio": ours / np.maximum(theirs, 1),
            "repetition": repetition,
        }

    return Measured(len(pairs), of)


def _bleu_alone(statistics: np.ndarray) -> Measured:
    return Measured(len(statistics), lambda counts: {"bleu": bleu(counts @ statistics)})


def _ngrams(outputs: Sequence[str], references: Sequence[str], metric: BLEU) -> np.ndarray:
    """What `bleu` takes the sums of, sentence by sentence (n, 10)."""
    scores = [metric.sentence_score(ours, [theirs]) for ours, theirs in zip(outputs, references, strict=True)]
    rows = [(score.sys_len, score.ref_len, *score.counts, *score.totals) for score in scores]
    return np.array(rows, dtype=np.float64)


def _characters(output: str, reference: str) -> list[int]:
    """What `chrf` takes the sums of in one sentence, (18,): n-grams that the reference is too short for are not held
    against the output."""
    found = []
    for order in range(1, CHRF.CHAR_ORDER + 1):
        ours, theirs = extract_char_ngrams(output, order), extract_char_ngrams(reference, order)
        found += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
    return found


def _parted(text: str) -> str:
    return _APOSTROPHE.sub(r"\1 ", text)


def _ranked(shares: dict[str, float]) -> dict[str, float]:
    """The shares by which one is ahead, less that of `length_ratio`, of which neither more nor less is better."""
    return {metric: share for metric, share in shares.items() if metric != "length_ratio"}


def _texts(found: Sequence[Any], what: str) -> list[str]:
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise BadInput(f"Of the {what}s, item {place} is a {type(text).__name__}, where a text is needed.")
    return list(found)


def _checked(outputs: Sequence[Any], sources: Sequence[str]) -> list[str]:
    """One text for each source, and nothing for an empty one, or BadInput."""
    if len(outputs) != len(sources):
        raise BadInput(f"The model gave {len(outputs)} translations of {len(sources)} texts.")
    found = _texts(outputs, "output")
    for place, (output, source) in enumerate(zip(found, sources, strict=True)):
        if output.strip() and not source.strip():
            raise BadInput(f"The model made '{output}' of item {place}, which is an empty line.")
    return found
