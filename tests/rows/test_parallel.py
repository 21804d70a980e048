"""Files side by side stay paired line by line, whatever the lines hold, and what would shift them is refused."""

import gzip
import re
import tracemalloc
from pathlib import Path

import pytest

from raw2vec.braces import gathered, spread
from raw2vec.errors import BadInput
from raw2vec.rows import Filtered, Parallel, Rows, open_rows


def write(folder: Path, **sides: bytes) -> str:
    """train.en and the like; the name in braces of all of them."""
    for word, content in sides.items():
        (folder / f"train.{word}").write_bytes(content)
    return str(folder / f"train.{{{','.join(sides)}}}")


def read(rows: Rows, size: int = 1024) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for batch in rows.batches(size) for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("english", "french"),
    [
        (b"Hi\nBye\n", b"Salut\nAu revoir\n"),
        (b"Hi\r\nBye\r\n", b"Salut\nAu revoir\n"),
        (b"\xef\xbb\xbfHi\nBye\n", b"\xef\xbb\xbfSalut\nAu revoir\n"),
        (b"Hi\nBye", b"Salut\nAu revoir\n"),
        (gzip.compress(b"Hi\nBye\n", mtime=0), gzip.compress(b"Salut\nAu revoir", mtime=0)),
        (b"Hi\nBye\n", gzip.compress(b"Salut\nAu revoir\n", mtime=0)),
    ],
    ids=["plain", "windows", "byte order mark", "no end", "gzip", "one gzip"],
)
def test_line_by_line(tmp_path: Path, english: bytes, french: bytes) -> None:
    rows = open_rows(write(tmp_path, en=english, fr=french), ["en", "fr"])
    assert isinstance(rows, Parallel)
    assert rows.columns == ["en", "fr"]
    assert read(rows) == read(rows, 1) == [("Hi", "Salut"), ("Bye", "Au revoir")]
    assert next(rows.batches(columns=["fr"])).to_pylist() == [{"fr": "Salut"}, {"fr": "Au revoir"}]
    assert rows.where(1) == f"{tmp_path / 'train.en'} line 2"


def test_nothing_but_a_new_line_ends_a_line(tmp_path: Path) -> None:
    odd = ["a\u2028b", "a\u2029b", "a\x0bb", "a\x0cb", "a\x85b", "a\x1cb", "a\rb", "\ta, 'b' \"c\""]
    name = write(tmp_path, en="".join(f"{text}\n" for text in odd).encode(), fr=b"x\n" * len(odd))
    assert [row[0] for row in read(open_rows(name))] == odd


def test_an_empty_line_shifts_nothing_and_is_left_out_of_what_is_learned(tmp_path: Path) -> None:
    name = write(tmp_path, en=b"one two\n\nthree four\nfive six\n\n", fr=b"un deux\nrien\ntrois quatre\n\n\n")
    rows = open_rows(name)
    assert read(rows)[1:4] == [("", "rien"), ("three four", "trois quatre"), ("five six", "")]
    kept = Filtered(rows, "en", "fr")
    assert read(kept) == [("one two", "un deux"), ("three four", "trois quatre")]
    assert kept.skipped == [
        f"3 with an empty side, among the 5 pairs of {name}; first at {tmp_path / 'train.en'} line 2"
    ]
    assert kept.where(1) == f"{tmp_path / 'train.en'} line 3"


def test_as_many_files_as_are_named_wherever_the_braces_are(tmp_path: Path) -> None:
    for word in ("en", "fr", "pt-BR"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "news.txt.gz").write_bytes(gzip.compress(word.encode()))
    rows = open_rows(tmp_path / "{en,fr, pt-BR}" / "news.txt.gz", ["pt-BR"])
    assert read(rows) == [("en", "fr", "pt-BR")]


def test_a_file_that_is_really_called_so_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a{b,c}.txt").write_text("one\n")
    assert open_rows(tmp_path / "a{b,c}.txt").columns == ["text"]


BAD = [
    ({"en": b"a\nb\n", "fr": b"a\n"}, "train.en has 2 lines and {folder}/train.fr 1: they are to go line by line"),
    ({"en": b"a", "fr": b"a\n\n", "de": b"a\n"}, "train.en has 1 line, {folder}/train.fr 2 and {folder}/train.de 1: "),
    ({"en": b"a\nb\n", "fr": b"a\nd\xe9j\xe0\n"}, "train.fr line 2 is not UTF-8 text (byte 3 is 0xe9). If it is in"),
    ({"en": b"a\nb\n", "fr": b"\n\n"}, "train.fr is empty: it holds no rows."),
    ({"en": b"a\nb\n", "fr": b"a\n\0\n"}, "train.fr is a binary file, not text (line 2, byte 2 is NUL)."),
    ({"en": b"a" * 70000 + b"\nb\0\n", "fr": b"a\nb\n"}, "train.en line 2 holds a NUL, which no text does"),
    ({"en": b"a\n", "fr": gzip.compress(b"a\n" * 9, mtime=0)[:-9]}, "train.fr is a damaged gzip file ("),
]


@pytest.mark.parametrize(("sides", "sentence"), BAD, ids=[sentence[:20] for _, sentence in BAD])
def test_trouble_is_told_with_the_file(tmp_path: Path, sides: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"{tmp_path}/{sentence}".format(folder=tmp_path))) as raised:
        read(open_rows(write(tmp_path, **sides)))
    assert str(raised.value).endswith(".")


NAMES = [
    ("train.{en,fra}", "There is no file or folder {folder}/train.fra. Did you mean '{folder}/train.fr'?"),
    ("train.{en,xy}", "There is no file or folder {folder}/train.xy. Did you mean '{folder}/train.fr'?"),
    ("train.{en,en}", "train.{{en,en}}: in braces every column is named, and named once, as in train.{{en,fr}}."),
    ("train.{en,}", "train.{{en,}}: in braces every column is named, and named once"),
    ("p.{en,fr}.csv", "p.{{en,fr}}.csv: languages go side by side as lines of text, not csv: give one file of all."),
    ("train.{en}", "There is no file or folder {folder}/train.{{en}}."),
]


@pytest.mark.parametrize(("name", "sentence"), NAMES, ids=[name for name, _ in NAMES])
def test_names_that_cannot_be_read(tmp_path: Path, name: str, sentence: str) -> None:
    write(tmp_path, en=b"a\n", fr=b"a\n")
    for other in ("p.en.csv", "p.fr.csv"):
        (tmp_path / other).write_text("a\n")
    with pytest.raises(BadInput, match=re.escape(sentence.format(folder=tmp_path))):
        open_rows(tmp_path / name)


def test_tables_in_braces_are_read_one_after_the_other(tmp_path: Path) -> None:
    for number in ("00", "01", "02"):
        (tmp_path / f"p{number}.jsonl").write_text(f'{{"body": "{number}", "year": 1}}\n')
    rows = open_rows(tmp_path / "p{00,02}.jsonl", ["body"])
    assert read(rows) == [("00", 1), ("02", 1)]
    assert rows.where(1) == f"{tmp_path / 'p02.jsonl'} line 1"
    (tmp_path / "p01.jsonl").write_text('{"other": "01"}\n')
    with pytest.raises(BadInput, match="files read together need the same columns"):
        open_rows(tmp_path / "p{00,01}.jsonl")


def test_a_column_that_is_not_in_the_braces(tmp_path: Path) -> None:
    name = write(tmp_path, en=b"a\n", fr=b"a\n")
    with pytest.raises(BadInput, match=r"has no column 'fra' \(what is in braces names: en, fr\)\. Did you mean 'fr'"):
        open_rows(name, ["en", "fra"])


def test_the_fingerprint_is_of_every_file_and_its_column(tmp_path: Path) -> None:
    first = open_rows(write(tmp_path, en=b"a\n", fr=b"b\n")).fingerprint()
    assert open_rows(str(tmp_path / "train.{fr,en}")).fingerprint() != first
    assert open_rows(write(tmp_path, en=b"a\n", fr=b"c\n")).fingerprint() != first
    assert open_rows(write(tmp_path, en=b"a\n", fr=b"b\n")).fingerprint() == first


def test_memory_is_flat(tmp_path: Path) -> None:
    line = b"a line of forty letters or a few more ..\n"
    name = write(tmp_path, en=line * 200_000, fr=line * 200_000)
    tracemalloc.start()
    assert sum(len(batch) for batch in open_rows(name).batches()) == 200_000
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("names", "one"),
    [
        (["train.en", "train.fr"], "train.{en,fr}"),
        (["d/train.en.txt.gz", "d/train.pt.txt.gz"], "d/train.{en,pt}.txt.gz"),
        (["news-en.txt", "news-fr.txt", "news-de.txt"], "news-{en,fr,de}.txt"),
        (["jan.csv", "feb.csv"], None),
        (["train.en", "test.fr"], None),
        (["train.en", "train.en"], None),
        (["train.en", "train.fr.gz"], None),
    ],
)
def test_what_a_shell_took_apart_is_put_together(names: list[str], one: str | None) -> None:
    assert gathered(names) == one
    if one:
        assert [file for _, file in spread(one)] == names
