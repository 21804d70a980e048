"""Texts to token ids, word by word where words are read by themselves: six times as fast, and the same ids."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial

from tokenizers import Tokenizer

Read = Callable[[Sequence[str]], list[list[int]]]
"""Texts to their ids, without boundaries."""

_WORD = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]")  # what BERT takes for words among printable ASCII
_ODD = re.compile(r"[^ -~]+")  # which the tokenizer reads, with all that no space parts from it
_HARMLESS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}
_MOST, _LONGEST = 1 << 18, 100  # words that are kept, and the characters of one


def reader(tokenizer: Tokenizer) -> Read:
    """What gives the ids of texts: the tokenizer, or, where it splits as BERT does, the ids of each word it met before.

    A word's pieces then depend on the word alone, and printable ASCII falls apart without a look at Unicode; whatever
    else stands between two spaces the tokenizer itself reads, and each such thing once, as each word.
    """
    held = json.loads(tokenizer.to_str())
    normalizer = held["normalizer"] or {}
    steps = normalizer.get("normalizers", [normalizer])
    alone = held["model"]["type"] == "WordPiece" and (held["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer"
    plain = all(step.get("type") in _HARMLESS for step in steps) and all(
        each["special"] for each in held["added_tokens"]
    )
    if not (alone and plain and tokenizer.encode_special_tokens):
        return partial(_whole, tokenizer)
    lower = any(step["type"] == "Lowercase" or step.get("lowercase") for step in steps)
    return _ByWord(tokenizer, lower)


def _whole(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [found.ids for found in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


class _ByWord:
    """The ids of words that were met, by word. Safe to call from several threads, which learn the same of each."""

    def __init__(self, tokenizer: Tokenizer, lower: bool):
        self.tokenizer, self.lower = tokenizer, lower
        self.known: dict[str, list[int]] = {}

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        words = [self._words(text) for text in texts]
        found = [None if each is None else self._ids(each) for each in words]
        others = iter(_whole(self.tokenizer, [text for text, ids in zip(texts, found, strict=True) if ids is None]))
        return [next(others) if ids is None else ids for ids in found]

    def _words(self, text: str) -> list[str] | None:
        """What is read by itself; None where that is much at once, as in a script without spaces."""
        if text.isascii() and text.isprintable():
            return self._plain(text)
        for blank in "\t\r\n":
            text = text.replace(blank, " ")
        words: list[str] = []
        done = 0
        for odd in _ODD.finditer(text):
            if odd.start() < done:
                continue
            start = text.rfind(" ", done, odd.start()) + 1 or done
            stop = text.find(" ", odd.end()) % (len(text) + 1)  # -1, none, is the end
            if stop - start > _LONGEST:
                return None
            words += self._plain(text[done:start])
            words.append(text[start:stop])
            done = stop
        return words + self._plain(text[done:])

    def _plain(self, text: str) -> list[str]:
        return _WORD.findall(text.lower() if self.lower else text)

    def _ids(self, words: Sequence[str]) -> list[int]:
        known = self.known
        ids: list[int] = []
        for word in words:
            own = known.get(word)
            if own is None:
                own = self.tokenizer.encode(word, add_special_tokens=False).ids
                if len(known) < _MOST and len(word) <= _LONGEST:
                    known[word] = own
            ids += own
        return ids
