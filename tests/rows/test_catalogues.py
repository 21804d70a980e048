"""Gettext catalogues are read as gettext reads them, a pair a message; damaged ones are refused with the place."""

import gettext
import gzip
import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raw2vec.errors import BadInput
from raw2vec.rows import Catalogues, PythonFunctions, Rows, open_rows

HEADER = (
    'msgid ""\nmsgstr ""\n"Language: fr\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    '"Plural-Forms: nplurals=2; plural=(n > 1);\\n"\n\n'
)
PO = """# A title, and "quotes" that mean nothing.
#
#, fuzzy
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"

#. For translators.
#: shelf.py:12
#, python-format
msgid "Open \\"%s\\"\\n"
msgstr "Ouvrir « %s »\\n"

msgctxt "month"
msgid "May"
msgstr "mai"
msgctxt "verb"
msgid "May"
msgstr "pouvoir"

#| msgid "%d old book"
msgid "%d book"
msgid_plural "%d books"
msgstr[0] "%d livre"
msgstr[1] "%d livres"

#, c-format, fuzzy
msgid "guessed"
msgstr "deviné"

#= fuzzy
#, c-format
msgid "guessed anew"
msgstr "deviné encore"

msgid "not yet"
msgstr ""

msgid "nor these"
msgid_plural "nor those"
msgstr[0] ""
msgstr[1] ""

msgid ""
"one "   "long "
\t"line\\ttab \\\\ \\303\\251\\x41"
msgstr
"une longue "
"ligne"

#, fuzzy
#~ msgid "gone"
#~ msgstr "parti"

#~ msgid "gone, too"
#~ msgid_plural "all gone"
#~ msgstr[0] "parti aussi"

msgid "last"
msgstr "dernier"
"""
PAIRS = [
    ('Open "%s"\n', "Ouvrir « %s »\n", None, 12),
    ("May", "mai", "month", 15),
    ("May", "pouvoir", "verb", 18),
    ("%d book", "%d livre", None, 23),
    ("%d books", "%d livres", None, 23),
    ("one long line\ttab \\ éA", "une longue ligne", None, 45),
    ("last", "dernier", None, 60),
]


def pairs_of(rows: Rows) -> list[tuple[Any, ...]]:
    return [tuple(row.values())[:3] for batch in rows.batches(2) for row in batch.to_pylist()]


def compiled(messages: dict[str, str], order: str = "<", charset: str = "utf-8") -> bytes:
    """A .mo file of keys and values as it stores them, sorted, with the 0 and 4 between their parts."""
    stored = sorted((key.encode(charset), value.encode(charset)) for key, value in messages.items())
    start = 28 + 16 * len(stored)
    texts, tables = b"", []
    for side in range(2):
        for pair in stored:
            tables += [len(pair[side]), start + len(texts)]
            texts += pair[side] + b"\0"
    numbers = [0x950412DE, 0, len(stored), 28, 28 + 8 * len(stored), 0, 0, *tables]
    return struct.pack(f"{order}{len(numbers)}I", *numbers) + texts


HEADED = {"": "Language: fr\nContent-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n > 1);\n"}
MESSAGES = {**HEADED, "Yes": "Oui", "month\4May": "mai", "%d book\0%d books": "%d livre\0%d livres", "b": "é"}


def test_a_po_file(tmp_path: Path) -> None:
    path = tmp_path / "shelf.po"
    path.write_text(PO, encoding="utf-8")
    rows = open_rows(path, ["source", "target"])
    assert isinstance(rows, Catalogues)
    assert rows.columns == ["source", "target", "context", "file"]
    assert pairs_of(rows) == [pair[:3] for pair in PAIRS]
    assert [rows.where(place) for place in range(len(PAIRS))] == [f"{path} line {pair[3]}" for pair in PAIRS]
    assert rows.where(len(PAIRS)).endswith("past its end")
    assert rows.skipped == [f"2 fuzzy, 2 untranslated and 2 obsolete messages of {path}"]
    [batch] = rows.batches(columns=["file", "target"])
    assert (batch.schema.names, set(batch.column("file").to_pylist())) == (["file", "target"], {str(path)})


@pytest.mark.parametrize("order", "<>")
def test_a_mo_file(tmp_path: Path, order: str) -> None:
    path = tmp_path / "shelf.mo"
    path.write_bytes(compiled({**MESSAGES, "none": ""}, order))
    real = gettext.GNUTranslations(io.BytesIO(path.read_bytes()))
    rows = open_rows(path)
    assert pairs_of(rows) == [
        ("%d book", real.ngettext("%d book", "%d books", 1), None),
        ("%d books", real.ngettext("%d book", "%d books", 5), None),
        ("Yes", real.gettext("Yes"), None),
        ("b", "é", None),
        ("May", real.pgettext("month", "May"), "month"),
    ]
    assert [rows.where(place) for place in (0, 1, 4)] == [f"{path} message {number}" for number in (2, 2, 5)]
    assert rows.skipped == [f"1 untranslated message of {path}"]


@pytest.mark.parametrize(
    ("rule", "forms", "singular", "plural"),
    [
        ("nplurals=1; plural=0", ["a"], "a", "a"),
        ("nplurals=3; plural=n%10==1 ? 0 : n%10>=2 && n%10<=4 ? 1 : 2", ["a", "b", "c"], "a", "c"),
        ("nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n<11 ? 3 : n<100 ? 4 : 5", list("abcdef"), "b", "d"),
        ("nplurals=2; plural=n > 1", ["a", "b"], "a", "b"),
        ("nplurals=2; plural=n!", ["a", "b"], "a", "b"),
        ("nplurals=2; plural=n/0", ["a", "b"], "a", "b"),
        ("nplurals=4; plural=3", ["a", "b"], "b", "b"),
        ("", ["a", "b"], "a", "b"),
    ],
)
def test_plurals_by_the_rule_of_the_language(
    tmp_path: Path, rule: str, forms: list[str], singular: str, plural: str
) -> None:
    header = f'msgid ""\nmsgstr "Language: x\\n"\n"Plural-Forms: {rule};\\n"\n' if rule else ""
    message = 'msgid "book"\nmsgid_plural "books"\n'
    message += "".join(f'msgstr[{place}] "{form}"\n' for place, form in enumerate(forms))
    (tmp_path / "x.po").write_text(header + message)
    assert pairs_of(open_rows(tmp_path / "x.po")) == [("book", singular, None), ("books", plural, None)]


def test_charsets_marks_line_ends_and_gzip(tmp_path: Path) -> None:
    text = HEADER + 'msgid "coffee"\nmsgstr "café \\351"\n'
    latin = text.replace("UTF-8", "ISO-8859-1").encode("latin-1")
    wanted = [("coffee", "café é", None)]
    (tmp_path / "latin.po").write_bytes(latin)
    (tmp_path / "windows.po").write_bytes(latin.replace(b"\n", b"\r\n").replace(b"Content-Type", b"content-type"))
    (tmp_path / "zipped.po.gz").write_bytes(gzip.compress(latin))
    utf8 = text.replace("\\351", "\\303\\251").encode()
    (tmp_path / "mark.po").write_bytes(b"\xef\xbb\xbf" + utf8)
    (tmp_path / "template.po").write_bytes(utf8.replace(b"UTF-8", b"CHARSET"))
    stored = {"": HEADED[""].replace("UTF-8", "ISO-8859-1"), "coffee": "café é"}
    (tmp_path / "latin.mo.gz").write_bytes(gzip.compress(compiled(stored, charset="latin-1")))
    for path in sorted(tmp_path.iterdir()):
        assert pairs_of(open_rows(path)) == wanted, path.name
    # A character whose second byte is a backslash.
    (tmp_path / "big5.po").write_bytes(text.replace("UTF-8", "Big5").replace("café \\351", "功\\n").encode("big5"))
    assert pairs_of(open_rows(tmp_path / "big5.po")) == [("coffee", "功\n", None)]


TEXTS = st.text(st.characters(exclude_characters="\0\4", exclude_categories=["Cs"]), min_size=1, max_size=12)
BOOKS = st.dictionaries(st.tuples(st.none() | TEXTS, TEXTS, st.none() | TEXTS), st.tuples(TEXTS, TEXTS), min_size=1)


def quoted(text: str) -> str:
    """As msgcat writes it, a string for each line."""
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b"}
    return "\n".join('"' + "".join(marks.get(c, c) for c in line) + '"' for line in ["", *re.split("(?<=\n)", text)])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(book=BOOKS)
def test_any_messages_come_back(
    tmp_path: Path, book: dict[tuple[str | None, str, str | None], tuple[str, str]]
) -> None:
    blocks, stored, wanted = [], dict(HEADED), set()
    for (context, source, plural), (one, many) in book.items():
        lines = [f"msgctxt {quoted(context)}"] if context else []
        lines += [f"msgid {quoted(source)}", *([f"msgid_plural {quoted(plural)}"] if plural else [])]
        targets = [one, many] if plural else [one]
        lines += [f"msgstr{f'[{n}]' if plural else ''} {quoted(text)}" for n, text in enumerate(targets)]
        blocks.append("\n".join(lines))
        key = "\0".join(filter(None, (source, plural)))
        stored[f"{context}\4{key}" if context else key] = "\0".join(targets)
        wanted |= {(source, one, context)} | ({(plural, many, context)} if plural else set())
    (tmp_path / "x.po").write_bytes((HEADER + "\n\n".join(blocks)).encode())
    (tmp_path / "x.mo").write_bytes(compiled(stored))
    assert set(pairs_of(open_rows(tmp_path / "x.po"))) == wanted
    assert set(pairs_of(open_rows(tmp_path / "x.mo"))) == wanted


def test_as_babel_reads_and_writes(tmp_path: Path) -> None:
    pofile = pytest.importorskip("babel.messages.pofile")
    mofile = pytest.importorskip("babel.messages.mofile")
    # What Babel does not know: escaped bytes, several strings on a line, and flags of the newest form.
    plain = PO.replace("\\303\\251\\x41", "éA").replace('"   "', "").replace("#=", "#,")
    catalogue = pofile.read_po(io.StringIO(plain))
    read = set()
    for message in catalogue:
        if message.id and not message.fuzzy:
            plural = isinstance(message.id, tuple)
            sides = zip(message.id, message.string, strict=True) if plural else [(message.id, message.string)]
            read |= {(source, target, message.context) for source, target in sides if target}
    assert read == {pair[:3] for pair in PAIRS}
    more = ("\\ \"quoted\"\n'text'\tof 80 letters " + "and more " * 9, "« cité »\n" * 9, "a\nb")
    catalogue.add(more[0], more[1], context=more[2])
    with open(tmp_path / "b.po", "wb") as po, open(tmp_path / "b.mo", "wb") as mo:
        pofile.write_po(po, catalogue)
        mofile.write_mo(mo, catalogue)
    written, machine = (pairs_of(open_rows(tmp_path / name)) for name in ("b.po", "b.mo"))
    assert set(written) == read | {more}
    # Babel gives an untranslated plural its own message in a .mo.
    assert set(machine) == read | {more, ("nor these", "nor these", None), ("nor those", "nor those", None)}


def test_real_catalogues_as_gettext_reads_them() -> None:
    django = pytest.importorskip("django")
    folder = Path(django.__file__).parent / "conf" / "locale" / "fr"
    rows = open_rows(folder, ["source", "target"])
    with open(folder / "LC_MESSAGES" / "django.mo", "rb") as file:
        real = gettext.GNUTranslations(file)
    pairs = pairs_of(rows)
    assert len(pairs) > 300
    for source, target, context in pairs:
        found = real.pgettext(context, source) if context else real.gettext(source)
        assert found in (target, source), "a plural is no message of its own"


def test_a_folder(tmp_path: Path) -> None:
    deep = tmp_path / "admin" / "locale" / "fr" / "LC_MESSAGES"
    deep.mkdir(parents=True)
    (deep / "django.po").write_text(HEADER + 'msgid "Yes"\nmsgstr "Oui"\n\nmsgid "No"\nmsgstr ""\n')
    (deep / "django.mo").write_bytes(compiled(MESSAGES))
    (deep / "js.mo").write_bytes(compiled(MESSAGES))
    (deep / "js.json").write_text(json.dumps({"Yes": ["Oui"]}))
    (tmp_path / "flag.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "formats.py").write_text("DATE = 'j F Y'\n")
    rows = open_rows(tmp_path)
    assert isinstance(rows, Catalogues)
    assert [pair[0] for pair in pairs_of(rows)] == ["Yes", "%d book", "%d books", "Yes", "b", "May"]
    assert rows.where(1) == f"{deep / 'js.mo'} message 2"
    assert rows.skipped == [
        f"1 untranslated message of {deep / 'django.po'}",
        f"1 .mo beside the .po of the same name in {tmp_path}",
    ]
    before = rows.fingerprint()
    assert open_rows(tmp_path).fingerprint() == before
    (deep / "django.po").write_text(HEADER + 'msgid "Yes"\nmsgstr "Ouais"\n')
    assert open_rows(tmp_path).fingerprint() != before


def test_a_program_with_catalogues_is_a_source_tree(tmp_path: Path) -> None:
    for language in ("de", "fr", "nl"):
        (tmp_path / f"{language}.mo").write_bytes(compiled(MESSAGES))
    (tmp_path / "shelf.py").write_text("def first(self): return 1\n")
    assert isinstance(open_rows(tmp_path), PythonFunctions)


def test_folders_that_are_no_catalogue_of_one_language(tmp_path: Path) -> None:
    for language in ("fr", "fr_CA", "de"):
        deep = tmp_path / language / "LC_MESSAGES"
        deep.mkdir(parents=True)
        (deep / "x.mo").write_bytes(compiled(MESSAGES))
    with pytest.raises(BadInput) as raised:
        open_rows(tmp_path)
    languages = f"{tmp_path} holds catalogues of 2 languages (de, fr): name the folder or the files of one."
    assert str(raised.value) == languages
    (tmp_path / "de" / "LC_MESSAGES" / "x.mo").unlink()
    assert len(pairs_of(open_rows(tmp_path))) == 10
    # Where no folder tells, headers do.
    (tmp_path / "a.po").write_text(HEADER.replace("fr", "pt-BR") + 'msgid "Yes"\nmsgstr "Sim"\n')
    with pytest.raises(BadInput, match=r"2 languages \(fr, pt_br\)"):
        open_rows(tmp_path)
    (tmp_path / "a.po").unlink()
    (tmp_path / "a.csv").write_text("en,fr\nYes,Oui\n")
    with pytest.raises(BadInput, match=r"several formats \(2 catalogue, 1 csv\)"):
        open_rows(tmp_path)


GOOD = HEADER + 'msgid "a"\nmsgstr "b"\n'  # 8 lines
BAD_PO: list[tuple[str | bytes, str]] = [
    (GOOD + 'msgid "c\nmsgstr "d"\n', " line 9: a quote opens there and is never closed."),
    (GOOD + 'msgid "c"\nmsgstr "d\\"\n', " line 10: a quote opens there and is never closed."),
    (GOOD + 'msgid "c" d\n', " line 9: 'd' is no part of a catalogue: a line is a keyword, a string in quotes"),
    (GOOD + "<<<<<<< HEAD\n", " line 9: '<<<<<<< HEAD' is no part of a catalogue"),
    (GOOD + 'msgid "c"\n\nmsgid "d"\nmsgstr "e"\n', " line 9: the message has no msgstr: was the file cut off?"),
    (GOOD + 'msgctxt "c"\nmsgid "d"\n', " line 9: the message has no msgstr: was the file cut off?"),
    (GOOD + 'msgstr "c"\n', " line 9: msgstr[0] stands in the wrong place: it is to follow its message, in order."),
    (GOOD + 'msgid_plural "c"\n', " line 9: msgid_plural stands in the wrong place"),
    (GOOD + 'msgid "c"\nmsgid_plural "d"\nmsgstr[1] "e"\n', " line 11: msgstr[1] stands in the wrong place"),
    (GOOD + 'msgid "c"\nmsgid_plural "d"\nmsgid_plural "e"\n', " line 11: msgid_plural stands in the wrong place"),
    ('"a"\n' + GOOD, " line 1: a string follows no keyword: is a msgid or msgstr missing before it?"),
    (GOOD + '#~ msgid "a"\n"b"\n', " line 10: a string follows no keyword"),
    (GOOD + 'msgid "\\377"\nmsgstr "d"\n', " line 9: escaped bytes there are not UTF-8."),
    (GOOD + 'msgid "\\777"\nmsgstr "d"\n', " line 9: escaped bytes there are not UTF-8."),
    (GOOD.encode() + b'msgid "c"\nmsgstr "caf\xe9"\n', " line 10 is not UTF-8, which is the charset of its header: "),
    (GOOD.replace("UTF-8", "UTF-9"), ": its header names the charset 'UTF-9', which is unknown: name UTF-8 there."),
    (GOOD.replace("UTF-8", "hex"), ": its header names the charset 'hex', which is unknown"),
    (GOOD.replace('"b"', '""'), " holds no rows (left out: 1 untranslated message of "),
    (HEADER, " holds no rows."),
    ("", " is empty: it holds no rows."),
    (compiled(MESSAGES), " is a binary file, not text (line 1, byte 4 is NUL)."),
    (GOOD.encode("utf-16"), " is UTF-16 text. Convert it first"),
]
MO = compiled(MESSAGES)
BAD_MO: list[tuple[bytes, str]] = [
    (b"", " is empty: it holds no rows."),
    (GOOD.encode(), " is no compiled gettext catalogue (its first bytes are not those of one): see msgfmt."),
    (MO[:3], " is no compiled gettext catalogue"),
    (MO[:19], " is cut off: its header ends at byte 20, but the file has 19. Copy or make it anew."),
    (MO[:60], " is cut off: its table of 5 messages ends at byte 68, but the file has 60."),
    (MO[:-3], f" is cut off: message 5 of 5 ends at byte {len(MO) - 1}, but the file has {len(MO) - 3}."),
    (MO[:4] + struct.pack("<I", 7 << 16) + MO[8:], " is a gettext catalogue of version 7, which is unknown"),
    (MO[:8] + struct.pack("<I", 2**32 - 1) + MO[12:], " is cut off: its table of 4,294,967,295 messages ends at"),
    (MO.replace("é".encode(), b"\xe9\xe9"), " message 4 is not UTF-8, which is the charset of its header: "),
    (MO.replace(b"UTF-8", b"UTF-9"), ": its header names the charset 'UTF-9', which is unknown"),
]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [("x.po", *bad) for bad in BAD_PO] + [("x.mo", *bad) for bad in BAD_MO],
)
def test_damaged_files(tmp_path: Path, name: str, content: str | bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadInput) as raised:
        open_rows(path)
    assert str(raised.value).startswith(f"{path}{sentence}")
    assert str(raised.value).endswith((".", "?"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_answered_in_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    name, whole = data.draw(st.sampled_from([("x.po", PO.encode()), ("x.mo", MO)]))
    content = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place in data.draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=3 if content else 0)):
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content)
    try:
        rows = open_rows(tmp_path / name)
    except BadInput as error:
        sentence = str(error)
    else:
        assert pairs_of(rows)
        return
    assert sentence.startswith(str(tmp_path / name))
