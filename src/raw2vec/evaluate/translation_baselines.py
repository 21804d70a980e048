"""What a translator has to beat: the source as it is, a dictionary word by word, and the nearest known sentence.

Each takes the sources and the targets of the pairs to learn from, and gives a translator of texts in their order.
Nothing is made of an empty line.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

Translate = Callable[[Sequence[str]], list[str]]

_WORD = re.compile(r"\w+(?:['’-]\w+)*")

ITERATIONS = 5
"""Rounds of expectation and maximisation: more of them move the best words, and BLEU, no further."""

LINKS = 8_000_000
"""Pairs of words held at once (half a gigabyte): a longer lesson is thinned out evenly to about as many."""

SCORES = 1 << 22
"""Scores held at once (at most 50 MB, sparse)."""


def copy(sources: Sequence[str], targets: Sequence[str]) -> Translate:
    """The source as it is: what names, numbers and punctuation alone are worth."""
    return list


def nearest_source(
    encoder: Callable[[Sequence[str], int], Callable[..., Any]], sources: Sequence[str], targets: Sequence[str]
) -> Translate:
    """A translator that knows no sentence but the targets: that of the source nearest by the vectors of a baseline."""
    encode = encoder(sources, 0)
    known = encode(sources, "input").T
    block = max(1, SCORES // len(sources))

    def translate(texts: Sequence[str]) -> list[str]:
        places: list[int] = []
        for start in range(0, len(texts), block):
            scores = encode(texts[start : start + block], "input") @ known
            places += np.asarray(scores.argmax(axis=1)).ravel().tolist()
        return [targets[place] if text.strip() else text for place, text in zip(places, texts, strict=True)]

    return translate


def dictionary(sources: Sequence[str], targets: Sequence[str]) -> Translate:
    """Word by word, each by its likeliest translation under IBM model 1 (Brown et al. 1993) of lower-cased words.

    A word is letters, digits and the apostrophes and hyphens inside. An unknown one stays as it is, as does all that
    stands between words; the translation of a word that begins with a capital begins with one. No word stands for
    none (the model's NULL): with it, Multi30k's BLEU is the same to 0.1.
    """
    entries = _learn([_words(text) for text in sources], [_words(text) for text in targets])

    def one(found: re.Match[str]) -> str:
        word = found.group()
        translated = entries.get(word.lower(), word)
        return translated[:1].upper() + translated[1:] if word[0].isupper() else translated

    return lambda texts: [_WORD.sub(one, text) for text in texts]


class _Links(NamedTuple):
    """Every word of a target linked to every word of its source, so that a target word's links lie side by side.

    source and target: the words' numbers (K,); starts: where the links of each target word begin (T,).
    """

    source: np.ndarray
    target: np.ndarray
    starts: np.ndarray


def _learn(sources: list[list[str]], targets: list[list[str]]) -> dict[str, str]:
    """Source word → the target word that it most probably gives."""
    pairs = [(source, target) for source, target in zip(sources, targets, strict=True) if source and target]
    every = max(1, -(-sum(len(source) * len(target) for source, target in pairs) // LINKS))
    pairs = pairs[::every]
    if not pairs:
        return {}
    known, given = (list(dict.fromkeys(word for text in side for word in text)) for side in zip(*pairs, strict=True))
    links = _links([source for source, _ in pairs], [target for _, target in pairs], known, given)
    source, target, chance = _chances(links, len(given))
    best = np.lexsort((-chance, source))
    first = best[np.unique(source[best], return_index=True)[1]]
    return {known[word]: given[target[place]] for word, place in enumerate(first)}


def _links(sources: list[list[str]], targets: list[list[str]], known: list[str], given: list[str]) -> _Links:
    left, right = _numbers(sources, known), _numbers(targets, given)
    lengths, repeats = np.array([*map(len, sources)]), np.array([*map(len, targets)])
    each = np.repeat(lengths, repeats)  # (T,): how many links a target word has
    starts = np.cumsum(each) - each
    offset = np.repeat(np.cumsum(lengths) - lengths, repeats) - starts
    return _Links(left[np.repeat(offset, each) + np.arange(each.sum())], np.repeat(right, each), starts)


def _chances(links: _Links, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kinds of link, by source and target word (M,), and the chance that the source word gives the target's (M,).

    width: how many target words there are.
    """
    kinds, kind = np.unique(links.source * width + links.target, return_inverse=True)
    source, target = kinds // width, kinds % width
    each = np.diff(links.starts, append=len(kind))
    chance = np.ones(len(kinds))
    for _ in range(ITERATIONS):
        shares = chance[kind]
        shares /= np.repeat(np.add.reduceat(shares, links.starts), each)
        expected = np.bincount(kind, weights=shares)
        chance = expected / np.bincount(source, weights=expected)[source]
    return source, target, chance


def _numbers(texts: Iterable[list[str]], words: list[str]) -> np.ndarray:
    place = {word: number for number, word in enumerate(words)}
    return np.array([place[word] for text in texts for word in text], dtype=np.int64)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
