"""The README is run: its Python as it stands, its commands on small files of the shapes that it names."""

import csv
import json
import re
import shlex
import sys
import warnings
from pathlib import Path

import pytest

from raw2vec.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
WORDS = (
    *("printer", "fire", "refund", "late", "broken", "screen", "password", "door"),
    *("key", "order", "lost", "paper", "slow", "noise", "light"),
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("raw2vec ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the README's commands read, sixty rows each."""
    monkeypatch.chdir(tmp_path)
    texts = [" ".join(WORDS[(i * k) % len(WORDS)] for k in range(1, 9)) for i in range(60)]
    table("tickets.csv", ["body", "year"], [[text, 2023 + i % 2] for i, text in enumerate(texts)])
    table("mails.csv", ["text", "folder"], [[text, "in" if i % 2 else "out"] for i, text in enumerate(texts)])
    table("new.csv", ["text"], [[text] for text in texts[:9]])
    for name in ("pairs.jsonl", "test.jsonl"):
        rows = [{"query": text.split()[0] + f" {i}", "code": text} for i, text in enumerate(texts)]
        Path(name).write_text("\n".join(map(json.dumps, rows)) + "\n")
    Path("my/src").mkdir(parents=True)
    source = [
        f'def f{i}(x):\n    """Give the {text}."""\n    return x + {i}  # {text}\n' for i, text in enumerate(texts)
    ]
    Path("my/src/things.py").write_text("\n\n".join(source))
    return tmp_path


def table(name: str, heading: list[str], rows: list[list[object]]) -> None:
    with open(name, "w", newline="") as file:
        csv.writer(file).writerows([heading, *rows])


def test_the_python_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("python")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names: dict[str, object] = {}
        exec(compile(block, "README.md", "exec"), names)
    assert names["vectors"].shape == (40, names["one"].shape[0])
    assert (names["again"].encode("open") == names["model"].encode("open")).all()


@pytest.mark.filterwarnings("ignore")
def test_the_commands_run_in_their_order(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'store'")
    found = commands()
    assert {command[0] for command in found} >= {"fit", "embed", "index", "search", "predict", "evaluate", "inspect"}
    for command in found:
        if command[0] == "fit":
            if "--minutes" in command:
                at = command.index("--minutes")
                del command[at : at + 2]
            command += ["--steps", "3"]
        monkeypatch.setattr(sys, "argv", ["raw2vec", *command, "--json"])
        with pytest.raises(SystemExit) as stopped:
            main()
        answer = capsys.readouterr()
        assert stopped.value.code in (0, None), f"{command}: {answer.err}"
        assert isinstance(json.loads(answer.out), dict)
