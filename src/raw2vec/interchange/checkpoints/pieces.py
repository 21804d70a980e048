"""SentencePiece models (.spm, .model) as tokenizers, read without the library that wrote them (Kudo & Richardson 2018).

Such a file is a protocol buffer: numbered fields, of which four are needed. The scores of its pieces, its table of
characters and its rules for spaces give the very segmentation that the library gives.
"""

from __future__ import annotations

import base64
import json
import string
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from raw2vec.errors import BadFolder, BadInput

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of the model
_NORMAL = 1  # a kind of piece; others are control symbols, the unknown, and what is unused
_UNIGRAM = 1
_CONTROL = {"<unk>": 2, "<s>": 3, "</s>": 3}  # what no text is cut into, and its kinds
_APART = "\ue000"
"""Stands before what a tokenizer can write but must never read: a character for private use, taken out of texts."""


@dataclass(frozen=True)
class Pieces:
    """What a file holds: pieces with their scores in nats, and how a text is brought into shape before it is cut.

    names: all tokens in the order of their numbers, with those that no text is cut into.
    """

    names: list[str]
    scores: dict[str, float]
    characters: bytes
    prefix: bool
    squeeze: bool


def pieces_of(path: Path) -> Pieces:
    """The pieces in a file. BadFolder where it is damaged, or of another kind than Unigram."""
    try:
        content = path.read_bytes()
        fields = [(number, value) for number, value in _fields(content) if isinstance(value, bytes)]
        listed = [_piece(value) for number, value in fields if number == _PIECES]
        scores = {name: score for name, score in listed if score is not None}
        trainer = dict(_fields(next((value for number, value in fields if number == _TRAINER), b"")))
        shape = dict(_fields(next((value for number, value in fields if number == _NORMALIZER), b"")))
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise BadFolder(f"{path} is damaged or no SentencePiece model ({error}).") from None
    if trainer.get(3, _UNIGRAM) != _UNIGRAM or not scores:
        raise BadFolder(f"{path} is no Unigram model of SentencePiece, the one kind that is read here.")
    characters = shape.get(2, b"")
    assert isinstance(characters, bytes)
    return Pieces([name for name, _ in listed], scores, characters, bool(shape.get(3, 1)), bool(shape.get(4, 1)))


def tokenizer_of(pieces: Pieces, vocabulary: dict[str, int], special: dict[str, str]) -> Tokenizer:
    """A tokenizer that cuts as these pieces say and numbers as this vocabulary does; what it lacks comes after it.

    special: the tokens that are "unknown", "end" and "padding". Words of the vocabulary that are no pieces (those of
    the other language) are written, but never read, but for languages' marks (>>fra<<).
    """
    names = sorted(vocabulary, key=vocabulary.__getitem__)
    marks = [name for name in names if name.startswith(">>") and name.endswith("<<")]
    whole = {*special.values(), *marks}
    told = [(name if name in whole or name in pieces.scores else _APART + name) for name in names]
    told += [piece for piece in pieces.scores if piece not in vocabulary]
    listed = [(name, pieces.scores.get(name, 0.0)) for name in told]
    made = Tokenizer(models.Unigram(listed, unk_id=vocabulary[special["unknown"]], byte_fallback=False))
    steps: list[Any] = [normalizers.Replace(_APART, "\uf8ff")]
    steps += [normalizers.Precompiled(pieces.characters)] if pieces.characters else []
    steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()] if pieces.squeeze else []
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if pieces.prefix else "never")
    made.decoder = decoders.Sequence([decoders.Replace(_APART, ""), decoders.Metaspace()])
    made.add_tokens(marks)
    made.add_special_tokens(list(dict.fromkeys(special.values())))
    end = special["end"]
    made.post_processor = processors.TemplateProcessing(f"$A {end}", f"$A {end} $B {end}", [(end, vocabulary[end])])
    return made


def pieces_in(tokenizer: str) -> Pieces:
    """The pieces that a tokenizer of `tokenizer_of` cuts into, from its JSON. BadInput for a tokenizer of another."""
    held = json.loads(tokenizer)
    steps = (held.get("normalizer") or {}).get("normalizers", [])
    if held["model"]["type"] != "Unigram" or not any(step.get("pattern") == {"String": _APART} for step in steps):
        raise BadInput("The tokenizer was not read from SentencePiece's pieces, in which Marian's are written.")
    special = {token["content"] for token in held["added_tokens"]}
    scores = {n: score for n, score in held["model"]["vocab"] if n not in special and not n.startswith(_APART)}
    charsmap = next((step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"), "")
    squeezed = any(step["type"] == "Strip" for step in steps)
    prefix = held["pre_tokenizer"]["prepend_scheme"] == "always"
    return Pieces([*_CONTROL, *scores], scores, base64.b64decode(charsmap), prefix, squeezed)


def names_in(tokenizer: str, count: int) -> list[str]:
    """The first `count` tokens of such a tokenizer by their numbers, as their vocabulary spells them."""
    return [name.removeprefix(_APART) for name, _ in json.loads(tokenizer)["model"]["vocab"][:count]]


def as_bytes(pieces: Pieces) -> bytes:
    """The file that SentencePiece reads, and `pieces_of`."""
    found = [_field(_PIECES, _field(1, name.encode()) + _field(2, 0.0) + _field(3, k)) for name, k in _CONTROL.items()]
    for name, score in pieces.scores.items():
        found.append(_field(_PIECES, _field(1, name.encode()) + _field(2, score)))
    found.append(_field(_TRAINER, _field(3, _UNIGRAM) + _field(4, len(pieces.scores) + len(_CONTROL))))
    shape = _field(1, b"nmt_nfkc") + (_field(2, pieces.characters) if pieces.characters else b"")
    shape += _field(3, int(pieces.prefix)) + _field(4, int(pieces.squeeze))
    return b"".join([*found, _field(_NORMALIZER, shape)])


def without_marks(made: Tokenizer) -> Tokenizer:
    """The tokenizer with texts in lower case and without punctuation, as SigLIP's authors have them."""
    marks = normalizers.Replace(Regex(f"[{''.join(chr(92) + mark for mark in string.punctuation)}]"), "")
    spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    made.normalizer = normalizers.Sequence([normalizers.Lowercase(), marks, *spaces, made.normalizer])
    return made


def vocabulary_in(path: Path) -> dict[str, int]:
    """Tokens and their numbers, 0 to the last, in a JSON file."""
    try:
        held = {str(name): int(number) for name, number in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadFolder(f"{path} cannot be read as a vocabulary ({error}).") from None
    if sorted(held.values()) != list(range(len(held))):
        raise BadFolder(f"{path} leaves out some of the numbers below {len(held):,}, or has one twice.")
    return held


def _piece(content: bytes) -> tuple[str, float | None]:
    """A piece and its score; none of what is no text: control symbols, the unknown, what is unused."""
    held = dict(_fields(content))
    name, score = held.get(1, b""), held.get(2, b"\0\0\0\0")
    if not isinstance(name, bytes) or not isinstance(score, bytes):
        raise ValueError("a piece without a name or a score")
    told = float(struct.unpack("<f", score)[0])
    return name.decode(), told if held.get(3, _NORMAL) == _NORMAL else None


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbered fields of a protocol buffer: whole numbers, and bytes of whatever else."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _varint(content, place)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            if kind != 2:
                raise ValueError(f"a field of kind {kind}")
            length, place = _varint(content, place)
        if place + length > len(content):
            raise ValueError("it is cut short")
        yield number, content[place : place + length]
        place += length


def _field(number: int, value: int | float | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return bytes([number << 3]) + _as_varint(value)
    return bytes([number << 3 | 2]) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _varint(content: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = content[place]
        found, shift, place = found | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return found, place
