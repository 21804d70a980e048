"""Docs that run: the help of every command shows examples, and every example runs as it stands."""

import shlex
import subprocess
import sys
from importlib.metadata import version

import facade_double
import pytest
import typer

from raw2vec.cli import app
from raw2vec.cli.base import Answer

COMMANDS = ("fit", "embed", "index", "search", "predict", "reconstruct", "sample", "interpolate", "score")
COMMANDS += ("evaluate", "inspect", "translate", "map", "group", "distill", "calibrate", "bench", "demo")


def examples(name: str) -> list[list[str]]:
    """The words after `raw2vec` of each example in a command's help."""
    group = typer.main.get_command(app)
    text = group.help if name == "raw2vec" else group.commands[name].help
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip().startswith("raw2vec ")]


def test_the_overview_lists_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f" {name} " in result.stdout
    assert run().stdout == result.stdout
    assert run().exit_code == 0


def test_version(run):
    assert run("--version").stdout == f"raw2vec {version('raw2vec')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_within_80_columns(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"raw2vec {name}" in result.stdout
    assert "--json" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    group = typer.main.get_command(app)
    for line in group.commands[name].help.splitlines():
        assert len(line) <= 78, f"wraps in a terminal of 80 columns: {line}"


@pytest.mark.parametrize(
    "words", [words for name in ("raw2vec", *COMMANDS) for words in examples(name)], ids=lambda words: " ".join(words)
)
def test_every_example_runs(run, words, monkeypatch):
    from types import ModuleType

    demos = ModuleType("raw2vec.demos")
    demos.DEMOS = {"code": lambda out, minutes, seed, console, listener: {}}
    monkeypatch.setitem(sys.modules, "raw2vec.demos", demos)
    predictions = ModuleType("raw2vec.cli.predictions")
    predictions.Predictions, predictions.teller = facade_double.Predictions, facade_double.teller
    monkeypatch.setitem(sys.modules, "raw2vec.cli.predictions", predictions)
    translate, explained = ModuleType("raw2vec.use.translate"), ModuleType("raw2vec.cli.explained")
    translate.translate, explained.explained = facade_double.translate, lambda *given: Answer({})
    translate.rounded = lambda parts: parts
    exported = ModuleType("raw2vec.interchange.ctranslate2")
    exported.is_export, exported.export = lambda place: False, lambda parts, place, quantization: None
    exported.Exported = lambda place: None
    distilling = ModuleType("raw2vec.distilling")
    distilling.distill = facade_double.distill
    benching = ModuleType("raw2vec.benching")
    benching.bench = facade_double.bench
    for stand_in in (translate, explained, exported, distilling, benching):
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    result = run(*words)
    assert result.exit_code == 0, result.output


def test_there_are_examples_of_every_command():
    assert all(examples(name) for name in ("raw2vec", *COMMANDS))


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["fit", "no-such-file", "--out", "m"]])
def test_help_and_wrong_arguments_do_not_wait_for_pytorch(words, tmp_path):
    code = (
        "import sys\n"
        "from raw2vec.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*(name for name in ('torch', 'pyarrow', 'numpy') if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == ""
    assert done.returncode == (0 if "--help" in words else 2)
