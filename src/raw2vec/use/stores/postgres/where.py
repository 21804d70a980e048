"""A filter in SQL over a store's columns, read word by word before a server sees it.

It is one expression of columns, values, comparisons and plain functions, as the embedded store takes it. A query, a
second statement, a comment, a function that does anything: none of them has words to be written in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from raw2vec.errors import BadInput, nearest

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>`[^`]+`|"(?:[^"]|"")+")
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    |(?P<word>[^\W\d]\w*)
    |(?P<bad>--|/\*)
    |(?P<sign><=|>=|<>|!=|==|\|\||[=<>+\-*/%(),])""",
    re.VERBOSE,
)


def _each(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = _each("and or not in is null like ilike between true false case when then else end escape distinct from as")
_TYPES = _each("int integer bigint smallint real double precision float numeric decimal text varchar boolean date time")
_TYPES |= _each("timestamp timestamptz interval")
_PARTS = _each("year quarter month week day hour minute second epoch dow doy")
_FUNCTIONS = _each(
    "lower upper length char_length abs round floor ceil sqrt ln exp power mod coalesce nullif cast trim"
)
_FUNCTIONS |= _each(
    "trim btrim ltrim rtrim substr substring replace starts_with strpos left right concat greatest least"
)
_FUNCTIONS |= _each("extract date_part date_trunc")
_BEFORE_BRACKETS = _each("and or not in like ilike between when then else from is numeric decimal varchar")


def translated(where: str, columns: Sequence[str]) -> str:
    """The filter as PostgreSQL takes it, every column quoted; BadInput that lists the columns for anything else."""
    tokens = list(_tokens(where, columns))
    words, depth = [], 0
    for place, (kind, token) in enumerate(tokens):
        after = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        depth += {"(": 1, ")": -1}.get(token, 0) if kind == "sign" else 0
        if depth < 0:
            break
        words.append(_written(where, kind, token, after, columns))
    if depth:
        raise refused(where, "parser error: its brackets do not match.", columns)
    if not words:
        raise refused(where, "parser error: it is empty.", columns)
    return " ".join(words)


def refused(where: str, why: str, columns: Sequence[str]) -> BadInput:
    """The error for a filter that cannot be used; `why` is a sentence."""
    listed = ", ".join(f"`{name}`" if not name.isidentifier() or name != name.lower() else name for name in columns)
    return BadInput(f"The filter {where!r} cannot be used: {why} The columns are: {listed or 'none'}.")


def _tokens(where: str, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(where):
        found = _TOKEN.match(where, at)
        if not found or found.lastgroup == "bad":
            raise refused(where, f"parser error at {where[at : at + 12]!r}.", columns)
        at = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0]


def _written(where: str, kind: str, token: str, after: str, columns: Sequence[str]) -> str:
    if kind == "quoted":
        if after == "(":
            raise refused(where, f"there is no function {token} for filters.", columns)
        return _column(where, token[1:-1].replace('""', '"'), columns)
    if kind != "word":
        return "=" if token == "==" else token
    word = token.lower()
    if after == "(" and word not in _BEFORE_BRACKETS:
        if word not in _FUNCTIONS:
            near = nearest(word, sorted(_FUNCTIONS))
            raise refused(where, f"there is no function '{token}' for filters.{near}", columns)
        return word
    if word in _WORDS or (word in _TYPES and word not in columns) or (word in _TYPES and after.startswith("'")):
        return word
    if word in _PARTS and after.lower() == "from":
        return word
    return _column(where, token if token in columns else word, columns)


def _column(where: str, name: str, columns: Sequence[str]) -> str:
    if name not in columns:
        raise refused(where, f"there is no column '{name}'.{nearest(name, columns)}", columns)
    return '"' + name.replace('"', '""') + '"'
