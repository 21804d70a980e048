"""Gettext catalogues as rows of pairs: what programs say and its translation, from .po and .mo files."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from gettext import c2py
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import FileRows, Joined

_COLUMNS = ["source", "target", "context", "file"]
_MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
"""How .mo files begin, and the order of bytes in the numbers that follow."""
_STRING = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_LINE = re.compile(rf"(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s*)?((?:{_STRING}\s*)*)")
_OBSOLETE = re.compile(r"#~\s*msgid\b(?!_)")
# Octal and hexadecimal escapes are bytes, several of which may be one character.
_ESCAPE = re.compile(r"((?:\\(?:[0-7]{1,3}|x[0-9a-fA-F]{2}))+)|\\(.)")
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CHARSET = re.compile(rb"Content-Type:[^\n]*?charset=([\w.:-]+)", re.IGNORECASE)


class Catalogues(Joined):
    """The translated messages of a .po or .mo file, or of the `files` of a folder in their order, one pair a row.

    Columns: source, the message; target, its translation; context, what tells it from an equal one, else None; file. A
    message with a plural gives two rows: its singular, and its plural with the translation that goes with the number 5.
    Headers, and messages without a translation, fuzzy or obsolete, are left out and told in `skipped`, and so are .mo
    files beside the .po of the same name that they were made from. The charset that a header names is obeyed.

    Texts are as they stand, with placeholders, markup and line breaks. Raises BadInput for a damaged file, with its
    line or message, and for a folder of several languages, with their names.
    """

    def __init__(self, path: str | Path, files: Sequence[Path] | None = None):
        found = [Path(path)] if files is None else list(files)
        there = set(found)
        compiled = {file for file in found if file.suffix == ".mo" and file.with_suffix(".po") in there}
        parts = [_Catalogue(file) for file in found if file not in compiled]
        super().__init__(str(path), parts)
        if compiled:
            self.skipped = [*self.skipped, f"{len(compiled)} .mo beside the .po of the same name in {path}"]
        self.languages = _distinct({part.language for part in parts if part.language})
        if len(self.languages) > 1:
            shown = ", ".join(self.languages[:8]) + (", …" if len(self.languages) > 8 else "")
            raise BadInput(
                f"{path} holds catalogues of {len(self.languages)} languages ({shown}): name the folder or the files "
                "of one."
            )


class _Message(NamedTuple):
    """A message as it stands: its line or number, its texts by their keyword, and whether it is marked as fuzzy."""

    place: int
    texts: dict[str, str]
    fuzzy: bool = False

    @property
    def whole(self) -> bool:
        return "msgid" in self.texts and "msgstr[0]" in self.texts


class _Catalogue(FileRows):
    """One file, read whole. Messages of a .mo are numbered from 1 as they stand, the header being one."""

    names_at = "a gettext catalogue"
    columns = _COLUMNS

    def __init__(self, path: Path):
        super().__init__(path)
        self._compiled = path.name.lower().removesuffix(".gz").endswith(".mo")
        messages, obsolete = self._compiled_messages() if self._compiled else self._written_messages()
        header = next((message.texts["msgstr[0]"] for message in messages if message.texts["msgid"] == ""), "")
        self.language = _language(path, header)
        forms = _forms(header)
        counts = {"fuzzy": 0, "untranslated": 0, "obsolete": obsolete}
        rows: list[dict[str, str | None]] = []
        self._places: list[int] = []
        for message in messages:
            pairs = [] if message.fuzzy else _pairs(message, forms)
            beside = {"context": message.texts.get("msgctxt"), "file": self.name}
            rows += [{"source": source, "target": target, **beside} for source, target in pairs]
            self._places += [message.place] * len(pairs)
            if message.texts["msgid"] and not pairs:
                counts["fuzzy" if message.fuzzy else "untranslated"] += 1
        self.skipped = _left_out(counts, self.name)
        self._table = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in _COLUMNS]))

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        chosen = self._table if columns is None else self._table.select(list(columns))
        yield from (batch for batch in chosen.to_batches(max_chunksize=rows) if len(batch))

    def where(self, row: int) -> str:
        if row >= len(self._places):
            return f"{self.name}, past its end"
        return f"{self.name} {'message' if self._compiled else 'line'} {self._places[row]}"

    def _content(self) -> bytes:
        with self.opened() as stream:
            return stream.read()

    def _written_messages(self) -> tuple[list[_Message], int]:
        """A .po file's messages, and how many it keeps as obsolete."""
        self.head()
        content = self._content().removeprefix(b"\xef\xbb\xbf")
        charset = _charset(content)
        try:
            text = content.decode(charset)
        except UnicodeError as error:
            before = content[: error.start] if isinstance(error, UnicodeDecodeError) else b""
            raise self._undecoded(f"line {1 + before.count(10)}", charset) from None
        except LookupError:
            raise self._unknown(charset) from None
        reading = _Reading(self.name, charset)
        for number, line in enumerate(text.split("\n"), 1):
            reading.line(number, line.strip())
        return reading.end(), reading.obsolete

    def _compiled_messages(self) -> tuple[list[_Message], int]:
        """A .mo file's messages: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html."""
        stored = list(_stored(self._content(), self.name))
        charset = _charset(next((target for source, target in stored if not source), b""))
        messages = []
        for number, pair in enumerate(stored, 1):
            try:
                source, target = (text.decode(charset) for text in pair)
            except UnicodeError:
                raise self._undecoded(f"message {number}", charset) from None
            except LookupError:
                raise self._unknown(charset) from None
            context, found, source = source.rpartition("\x04")
            texts = {"msgctxt": context} if found else {}
            texts |= dict(zip(("msgid", "msgid_plural"), source.split("\0"), strict=False))
            texts |= {f"msgstr[{place}]": form for place, form in enumerate(target.split("\0"))}
            messages.append(_Message(number, texts))
        return messages, 0

    def _undecoded(self, place: str, charset: str) -> BadInput:
        return BadInput(
            f"{self.name} {place} is not {charset.upper()}, which is the charset of its header: correct the header or "
            "convert the file (msgconv -t UTF-8)."
        )

    def _unknown(self, charset: str) -> BadInput:
        return BadInput(f"{self.name}: its header names the charset '{charset}', which is unknown: name UTF-8 there.")


class _Reading:
    """The messages of a .po file, line by line."""

    def __init__(self, name: str, charset: str):
        self.obsolete = 0
        self._name, self._charset = name, charset
        self._messages: list[_Message] = []
        self._fuzzy = False
        self._keyword = ""  # whose text goes on in a line that has only strings

    def line(self, number: int, line: str) -> None:
        """Takes the next line, stripped. Raises BadInput for one that is no part of a catalogue, with its number."""
        if line.startswith("#~"):
            self.obsolete += bool(_OBSOLETE.match(line))
            self._fuzzy, self._keyword = False, ""
        elif line.startswith(("#,", "#=")):
            self._fuzzy |= "fuzzy" in re.split(r"[,\s]+", line[2:])
        elif line and not line.startswith("#"):
            found = _LINE.match(line)
            if not found or found.end() < len(line):
                raise self._wrong(number, _oddity(line[found.end() if found else 0 :]))
            if found[1]:
                self._begin(number, found[1])
            if not self._keyword:
                raise self._wrong(number, "a string follows no keyword: is a msgid or msgstr missing before it?")
            for string in re.findall(_STRING, found[2]):
                self._messages[-1].texts[self._keyword] += self._plain(string, number)

    def end(self) -> list[_Message]:
        self._refuse_half()
        return self._messages

    def _begin(self, number: int, keyword: str) -> None:
        """What a keyword begins: a message, or a text of the one at hand."""
        keyword = "msgstr[0]" if keyword == "msgstr" else keyword
        last = self._messages[-1] if self._messages else None
        if keyword == "msgctxt" or (keyword == "msgid" and (last is None or "msgid" in last.texts)):
            self._refuse_half()
            last = _Message(number, {}, self._fuzzy)
            self._messages.append(last)
            self._fuzzy = False
        elif last is None or not _fits(keyword, last.texts):
            raise self._wrong(number, f"{keyword} stands in the wrong place: it is to follow its message, in order.")
        last.texts[keyword] = ""
        self._keyword = keyword

    def _refuse_half(self) -> None:
        if self._messages and not self._messages[-1].whole:
            raise self._wrong(self._messages[-1].place, "the message has no msgstr: was the file cut off?")

    def _plain(self, string: str, number: int) -> str:
        if "\\" not in string:
            return string
        try:
            return _ESCAPE.sub(lambda escape: _unescaped(escape, self._charset), string)
        except UnicodeError:
            raise self._wrong(number, f"escaped bytes there are not {self._charset.upper()}.") from None

    def _wrong(self, number: int, reason: str) -> BadInput:
        return BadInput(f"{self._name} line {number}: {reason}")


def _fits(keyword: str, texts: Mapping[str, str]) -> bool:
    """Whether a text may follow those that its message has; translations are numbered from 0."""
    if keyword.startswith("msgstr"):
        return "msgid" in texts and keyword == f"msgstr[{sum(name.startswith('msgstr') for name in texts)}]"
    return keyword not in texts and "msgstr[0]" not in texts and (keyword == "msgid" or "msgid" in texts)


def _oddity(rest: str) -> str:
    """What is wrong with the part of a line that is neither a keyword nor a string."""
    if rest.startswith('"'):
        return "a quote opens there and is never closed."
    return f"{rest[:40]!r} is no part of a catalogue: a line is a keyword, a string in quotes, or a # comment."


def _unescaped(escape: re.Match[str], charset: str) -> str:
    if escape[2]:
        return _CONTROLS.get(escape[2], escape[2])
    codes = (int(code[1:], 16) if code.startswith("x") else int(code, 8) & 255 for code in escape[1].split("\\")[1:])
    return bytes(codes).decode(charset)


def _stored(content: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of a .mo file as bytes: context, 4, message, 0, plural; and the translations with 0 between them."""
    if not content:
        raise BadInput(f"{name} is empty: it holds no rows.")
    order = _MAGIC.get(content[:4])
    if order is None:
        raise BadInput(f"{name} is no compiled gettext catalogue (its first bytes are not those of one): see msgfmt.")
    if len(content) < 20:
        raise _cut_off(name, "its header", 20, len(content))
    version, count, *tables = struct.unpack(f"{order}4I", content[4:20])
    if version >> 16 > 1:
        raise BadInput(f"{name} is a gettext catalogue of version {version >> 16}, which is unknown: see msgfmt.")
    for table in tables:
        if (end := table + 8 * count) > len(content):
            raise _cut_off(name, f"its table of {count:,} messages", end, len(content))
    places = [struct.iter_unpack(f"{order}2I", content[table : table + 8 * count]) for table in tables]
    for number, pair in enumerate(zip(*places, strict=True), 1):
        if (end := max(size + start for size, start in pair)) > len(content):
            raise _cut_off(name, f"message {number} of {count:,}", end, len(content))
        source, target = (content[start : start + size] for size, start in pair)
        yield source, target


def _cut_off(name: str, part: str, end: int, size: int) -> BadInput:
    return BadInput(f"{name} is cut off: {part} ends at byte {end:,}, but the file has {size:,}. Copy or make it anew.")


def _charset(content: bytes) -> str:
    """The charset that a header names, UTF-8 where it names none or is still the template's."""
    found = _CHARSET.search(content)
    return found[1].decode() if found and found[1] != b"CHARSET" else "utf-8"


def _language(path: Path, header: str) -> str | None:
    """By the folder, as in fr/LC_MESSAGES, else by the header; fr_FR and fr-fr are one."""
    if path.parent.name == "LC_MESSAGES":
        named = path.parent.parent.name
    else:
        found = re.search(r"^Language:[ \t]*([\w@.-]+)", header, re.MULTILINE | re.IGNORECASE)
        named = found[1] if found else ""
    return named.lower().replace("-", "_") or None


def _distinct(languages: set[str]) -> list[str]:
    """Without the variants of a language that is there as well: fr_fr beside fr."""
    return sorted(one for one in languages if not any(one.startswith(f"{other}_") for other in languages))


def _forms(header: str) -> tuple[int, int]:
    """Which of the translations go with 1 and with 5, by the header's rule, which is 'n != 1' where it gives none.

    5 is many in every language, where 2 has a form of its own in some, as in Arabic.
    """
    found = re.search(r"^Plural-Forms:.*?plural\s*=\s*([^;\n]+)", header, re.MULTILINE | re.IGNORECASE)
    try:
        form = c2py(found[1].strip() if found else "n != 1")
        return int(form(1)), int(form(5))
    except (ValueError, ArithmeticError, RecursionError):
        return 0, 1


def _pairs(message: _Message, forms: tuple[int, int]) -> list[tuple[str, str]]:
    """A message with its translation, and its plural with its own; neither where one of the sides is empty."""
    texts = message.texts
    targets = [text for keyword, text in texts.items() if keyword.startswith("msgstr")]
    sources = [texts[keyword] for keyword in ("msgid", "msgid_plural") if keyword in texts]
    pairs = [(source, targets[min(form, len(targets) - 1)]) for source, form in zip(sources, forms, strict=False)]
    return list(dict.fromkeys(pair for pair in pairs if all(pair)))


def _left_out(counts: Mapping[str, int], name: str) -> list[str]:
    """'12 fuzzy and 3 untranslated messages of django.po', or nothing."""
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    if not told:
        return []
    listed = " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
    return [f"{listed} message{'s' * (sum(counts.values()) > 1)} of {name}"]
