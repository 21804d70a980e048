"""Real processes: standard streams, pipes and signals, with a stand-in for the facade so that they start at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import facade_double;"
    "sys.modules['raw2vec.system'] = facade_double; from raw2vec.cli import main; main()"
)


@pytest.fixture
def start(tmp_path):
    """A raw2vec process in a folder that holds slow.txt, m and s."""
    (tmp_path / "slow.txt").write_text("x\n")
    (tmp_path / "m").mkdir()
    (tmp_path / "s").mkdir()

    def started(*words: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-c", MAIN, str(Path(__file__).parent), *words]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": plain, **options}
        return subprocess.Popen(command, cwd=tmp_path, **options)

    return started


def test_ctrl_c_during_a_fit(start, tmp_path):
    (tmp_path / "m.training").mkdir()
    process = start("fit", "slow.txt", "--out", "m")
    assert process.stdout.readline() == "a library prints on standard output\n"
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines() == [
        "raw2vec: stopped; what was done is kept. Go on with: raw2vec fit slow.txt --out m --resume"
    ]


def test_json_comes_alone(start):
    process = start("embed", "m", "slow.txt", "--out", "v.npy", "--json")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["items"] == 20
    assert out.count("\n") == 1
    assert err == "raw2vec: note: 5 of 10 texts were cut\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_has_seen_enough_is_no_error(start, options):
    process = start("search", "s", "x", "-k", "2000", *options)
    assert process.stdout.read(20)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 1


def test_a_terminal_without_the_letters_still_gets_an_answer(start):
    process = start("search", "s", "x", "-k", "1", env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert out.startswith("score")


def test_python_dash_m():
    done = subprocess.run([sys.executable, "-m", "raw2vec", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("raw2vec ")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_was_never_there_is_no_error_either(start, options):
    reader, writer = os.pipe()
    os.close(reader)
    process = start("search", "s", "x", "-k", "1", *options, stdout=writer)
    os.close(writer)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 1
