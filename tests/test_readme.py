"""What the pages for users say is run: the Python as it stands, the commands on small files of the shapes they name."""

import csv
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from sklearn.datasets import load_digits, load_wine

import tiny_marian
from raw2vec.cli import main
from tiny_checkpoints import written
from tiny_vision import clip, vit

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": {
        "fit",
        "embed",
        "index",
        "search",
        "predict",
        "evaluate",
        "inspect",
        "reconstruct",
        "sample",
        "score",
        "map",
    },
    "docs/checkpoints.md": {"embed", "index", "search", "evaluate", "inspect", "fit", "predict", "translate"},
    "docs/distillation.md": {"distill", "embed", "index", "search", "fit", "evaluate", "bench"},
    "docs/engines.md": {"embed", "index", "export"},
    "docs/pairs.md": {"fit", "index", "search", "predict", "evaluate", "embed"},
    "docs/vectors.md": {"embed", "index", "search", "calibrate"},
    "docs/translation.md": {"fit", "translate", "evaluate"},
    "docs/vision.md": {"fit", "evaluate"},
    "docs/pictures.md": {"fit", "embed", "predict"},
    "docs/autoencoders.md": {"fit", "reconstruct", "sample", "interpolate", "score", "evaluate"},
}
WORDS = (
    *("printer", "fire", "refund", "late", "broken", "screen", "password", "door"),
    *("key", "order", "lost", "paper", "slow", "noise", "light"),
)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def commands(page: str) -> list[list[str]]:
    """The page's commands; the demos have tests of their own."""
    lines = [line for block in blocks(page, "") for line in block.splitlines() if line.startswith("raw2vec ")]
    found = [shlex.split(line, comments=True)[1:] for line in lines]
    return [command for command in found if command[0] != "demo"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages' commands read, sixty rows each."""
    monkeypatch.chdir(tmp_path)
    texts = [" ".join(WORDS[(i * k) % len(WORDS)] for k in range(1, 9)) for i in range(60)]
    table("tickets.csv", ["body", "year"], [[text, 2023 + i % 2] for i, text in enumerate(texts)])
    table("mails.csv", ["text", "folder"], [[text, "in" if i % 2 else "out"] for i, text in enumerate(texts)])
    table("new.csv", ["text"], [[text] for text in texts[:9]])
    for name in ("pairs.jsonl", "test.jsonl"):
        rows = [
            {"query": text.split()[0] + f" {i}", "code": text, "wrong": texts[i - 1]} for i, text in enumerate(texts)
        ]
        Path(name).write_text("\n".join(map(json.dumps, rows)) + "\n")
    Path("my/src").mkdir(parents=True)
    source = [
        f'def f{i}(x):\n    """Give the {text}."""\n    return x + {i}  # {text}\n' for i, text in enumerate(texts)
    ]
    Path("my/src/things.py").write_text("\n\n".join(source))
    _real_things(texts)
    for name in ("minilm", "path/to/folder"):
        checkpoint(Path(name))
    vit(Path("path/to/vit"))
    clip(Path("path/to/clip"))
    tiny_marian.written(Path("path/to/opus-mt"))
    Path("path/to/opus-mt/target.spm").write_bytes(tiny_marian.spm({"▁un": -2.0, "▁navire": -3.0, "▁le": -2.5}))
    Path("ships.tsv").write_text("en\tfr\na ship\tun navire\nthe ship\tle navire\nthe ships\tle navire\n")
    return tmp_path


def checkpoint(folder: Path) -> None:
    """A small stand-in for MiniLM, of its width: a folder here goes before the name."""
    written("bert", folder, hidden_size=384, num_hidden_layers=1, num_attention_heads=12)


def _real_things(texts: list[str]) -> None:
    """Pictures, readings, curves, clips and lines."""
    digits = (load_digits().images[:60] * 15).astype(np.uint8)
    np.save("digits.npy", digits)
    for name in ("seen", "new"):
        np.savez(f"{name}.npz", image=digits, digit=load_digits().target[:60])
    np.save("test.npy", digits[:20])
    wine = load_wine()
    readings = [[*row[:4], wine.target_names[kind]] for row, kind in zip(wine.data, wine.target, strict=True)]
    table("readings.csv", [*wine.feature_names[:4], "cultivar"], readings)
    np.save("curves.npy", digits.reshape(60, 32, 2).astype(np.float32))
    for folder in ("photos", "clips"):
        Path(folder).mkdir()
    for number, digit in enumerate(digits):
        Image.fromarray(digit[number % 3 :]).save(f"photos/{number}.png")
        soundfile.write(f"clips/{number}.wav", digit.repeat(20).astype(np.float32) / 256 - 0.5, 8000)
        Path("animals", "cat" if number % 2 else "dog").mkdir(parents=True, exist_ok=True)
        Image.fromarray(digit).save(f"animals/{'cat' if number % 2 else 'dog'}/{number}.png")
    table("pictures.csv", ["path", "kind"], [[f"photos/{n}.png", "odd" if n % 2 else "even"] for n in range(60)])
    Path("clips.jsonl").write_text("".join(f'{{"clip": "clips/{n}.wav"}}\n' for n in range(60)))
    _pictures_with_words(digits)
    pairs = "".join(f"{text}\t{text[::-1]}\n" for text in texts)
    for name in ("pairs.tsv", "test.tsv"):
        Path(name).write_text(f"en\tfr\n{pairs}")
    for name in ("train", "test"):
        Path(f"{name}.en").write_text("\n".join(texts))
        Path(f"{name}.fr").write_text("\n".join(text[::-1] for text in texts))
    Path("news.en").write_text("\n".join(texts[:5]) + "\n\n")
    Path("lines.txt").write_text("\n".join(texts) + "\n")


def _pictures_with_words(digits: np.ndarray) -> None:
    """Sixty pictures in a folder, and what each shows: `captions`, names and classes."""
    Path("drawings").mkdir()
    paths = [f"drawings/{number}.png" for number in range(len(digits))]
    for path, digit in zip(paths, digits, strict=True):
        Image.fromarray(digit).save(path)
    words = [f"a {WORDS[number % len(WORDS)]} by number {number}" for number in range(len(digits))]
    for name, heading in (("icons", "name"), ("pairs", "caption"), ("captions", "caption"), ("labelled", "class")):
        told = [WORDS[number % 4] for number in range(len(digits))] if heading == "class" else words
        table(f"{name}.csv", ["picture", heading], [[path, text] for path, text in zip(paths, told, strict=True)])


def table(name: str, heading: list[str], rows: list[list[object]]) -> None:
    with open(name, "w", newline="") as file:
        csv.writer(file).writerows([heading, *rows])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PAGES)
def test_the_python_runs_as_it_stands(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("minilm"))
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)
    shapes = {name: tuple(map(int, re.findall(r"\d+", shape))) for name, shape in _told(page)}
    assert shapes, "the page tells no shape"
    assert {name: np.shape(names[name]) for name in shapes} == shapes
    if "again" in names:
        assert (names["again"].encode("open") == names["model"].encode("open")).all()


def _told(page: str) -> list[tuple[str, str]]:
    """The names that the page's Python gives a shape in whole numbers, `name = …  # (3, 4)`, and that shape."""
    return re.findall(r"^(\w+) = .*# \((\d[\d, ]*)\)", "\n".join(blocks(page, "python")), re.MULTILINE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run_in_their_order(
    page: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'store'")
    for package in ("openvino", "nncf", "onnxruntime") if page == "docs/engines.md" else ():
        pytest.importorskip(package, reason="needs the extras 'openvino' and 'onnx'")
    if page == "docs/checkpoints.md":
        pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
    found = commands(page)
    assert {command[0] for command in found} >= PAGES[page]
    for command in found:
        for budget in ("--minutes", "--steps") if command[0] in ("fit", "distill") else ():
            if budget in command:
                at = command.index(budget)
                command[at : at + 2] = ["--steps", "3"]
        command += ["--steps", "3"] if command[0] == "fit" and "--steps" not in command else []
        monkeypatch.setattr(sys, "argv", ["raw2vec", *command, "--json"])
        with pytest.raises(SystemExit) as stopped:
            main()
        answer = capsys.readouterr()
        assert stopped.value.code in (0, None), f"{command}: {answer.err}"
        assert isinstance(json.loads(answer.out), dict)
