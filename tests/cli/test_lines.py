"""The lines that `translate` reads: as they come through a pipe, whole, and told by their numbers."""

import io
import os
from importlib import import_module
from pathlib import Path

import pytest

from raw2vec.errors import BadInput

translate = import_module("raw2vec.cli.translate")


class Standard:
    def __init__(self, buffer: io.BufferedIOBase):
        self.buffer = buffer


def test_a_line_is_there_before_the_next_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream:
        monkeypatch.setattr("sys.stdin", Standard(stream))
        blocks = translate._blocks("-")
        os.write(writing, "\ufeffun\nde".encode())
        assert next(blocks) == ["un"]
        os.write(writing, b"ux\r\n\ntrois\nqua")
        assert next(blocks) == ["deux", "", "trois"]
        os.write(writing, b"tre")
        os.close(writing)
        assert list(blocks) == [["quatre"]]


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_many_lines_come_in_blocks_of_like_size(ending: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = [f"line {number}" * (number % 40) for number in range(3000)]
    data = "\n".join(lines).encode() + ending
    monkeypatch.setattr("sys.stdin", Standard(io.BytesIO(data)))
    blocks = list(translate._blocks("-"))
    assert [line for block in blocks for line in block] == lines
    assert max(map(len, blocks)) <= translate.LINES
    (tmp_path / "lines.txt").write_bytes(data)
    assert [line for block in translate._blocks(str(tmp_path / "lines.txt")) for line in block] == lines


@pytest.mark.parametrize(("bad", "reason"), [(b"caf\xe9", "is not UTF-8"), (b"a\0b", "holds a NUL")])
def test_a_line_that_is_no_text_is_told_by_its_number(bad: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Standard(io.BytesIO(b"one\n" * 600 + bad + b"\n")))
    with pytest.raises(BadInput, match=f"standard input line 601 {reason}"):
        list(translate._blocks("-"))
