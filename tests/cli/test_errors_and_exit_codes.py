"""One sentence for whatever goes wrong, the exit code that belongs to it, and the same in JSON."""

import json

import facade_double
import pytest

from raw2vec import __main__
from raw2vec.cli.base import begun
from raw2vec.errors import BadFolder, BadInput, MissingExtra, NonFinite, WrongSpace

FULL = "There is no space left on the disk. Make room and try again, with --resume where there is one."
FIT = ("fit", "notes.txt", "--out", "m")


def said(result) -> str:
    """The sentence on standard error, the same as the JSON object's when there is one."""
    (line,) = result.stderr.splitlines()
    assert line.startswith("raw2vec: ")
    assert "Traceback" not in result.output
    return line.removeprefix("raw2vec: ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fitt"], "No such command 'fitt'. Did you mean 'fit'? See: raw2vec --help"),
        (["--verson"], "There is no option '--verson'. Did you mean '--version'? See: raw2vec --help"),
        ([*FIT, "--minuts", "3"], "There is no option '--minuts'. Did you mean '--minutes'? See: raw2vec fit --help"),
        ([*FIT, "--zzz"], "There is no option '--zzz'. See: raw2vec fit --help"),
        (["fit", "notes.txt"], "Missing option '--out'. See: raw2vec fit --help"),
        (["fit", "--out", "m"], "Missing argument 'DATA'. See: raw2vec fit --help"),
        (["fit", "notes.txt", "--out"], "Option '--out' requires an argument."),
        (
            [*FIT, "--objective", "contrastiv"],
            "Invalid value for '--objective': there is no 'contrastiv', only contrastive, vicreg, masked, "
            "supervised, distillation, reconstruction, variational, translation."
            " Did you mean 'contrastive'? See: raw2vec fit --help",
        ),
        (
            [*FIT, "--minutes", "-1"],
            "Invalid value for '--minutes': -1 is not a number above 0. See: raw2vec fit --help",
        ),
        (
            [*FIT, "--minutes", "nan"],
            "Invalid value for '--minutes': nan is not a number above 0. See: raw2vec fit --help",
        ),
        ([*FIT, "--minutes", "abc"], "--minutes should be a number. See: raw2vec fit --help"),
        ([*FIT, "--steps", "1.5"], "--steps should be a whole number. See: raw2vec fit --help"),
        (["search", "tickets.store", "x", "-k", "0"], "-k should be at least 1. See: raw2vec search --help"),
        (["bench", "tickets", "--rounds", "1"], "--rounds should be at least 5. See: raw2vec bench --help"),
        ([*FIT, "--minutes", "1", "--steps", "2"], "A budget is --minutes or --steps, not both."),
        ([*FIT, "--set", "layers"], "--set takes KEY=VALUE, such as encoder.layers=2, not 'layers'."),
        (
            [*FIT, "--recipe", "notes.txt", "--size", "tiny"],
            "--size has no say beside --recipe: change the recipe, or one of its settings with --set.",
        ),
        (["fit", "note.txt", "--out", "m"], "There is no file or folder 'note.txt'. Did you mean 'notes.txt'?"),
        (["fit", "no/where.txt", "--out", "m"], "There is no file or folder 'no/where.txt'."),
        (["fit", "train.{en,fra}", "--out", "m"], "There is no file or folder 'train.fra'. Did you mean 'train.fr'?"),
        (
            ["evaluate", "mt", "train.en", "train.fr"],
            "Got unexpected extra argument(s) (train.fr). If they go line by line, put their one name in quotes:"
            " 'train.{en,fr}'. See: raw2vec evaluate --help",
        ),
        (
            ["evaluate", "mt", "a.tsv", "b"],
            "Got unexpected extra argument(s) (b). See: raw2vec evaluate --help",
        ),
        (
            ["translate", "mt", "train.{en,fr}"],
            "train.{en,fr} is not one file, and translate reads one, a text a line: name that of the source.",
        ),
        (
            ["translate", "mt", "tickets"],
            "tickets is not one file, and translate reads one, a text a line: name that of the source.",
        ),
        (
            ["embed", "tickets", "train.{en,fr}", "--out", "train.fr"],
            "train.fr is what is read: it would be written over. Name another file with --out.",
        ),
        (
            ["embed", "ticket", "notes.txt", "--out", "v"],
            "There is no file or folder 'ticket'. Did you mean 'tickets'?",
        ),
        (
            ["search", "tickets.store", "x", "--mode", "exakt"],
            "Invalid value for '--mode': there is no 'exakt', only exact, approximate, hybrid, rescored."
            " Did you mean 'exact'? See: raw2vec search --help",
        ),
        (
            ["search", "tickets.store", " "],
            "There is nothing to search for: give a few words, or one question a line on standard input.",
        ),
        (
            ["predict", "stars", "new.tsv", "--out", "p.xlsx"],
            "p.xlsx: predictions are written to a file that ends in .csv, .jsonl, .parquet.",
        ),
    ],
)
def test_unusable_arguments_are_answered_with_2(run, asked, words, sentence):
    result = run(*words)
    assert result.exit_code == 2
    assert said(result) == sentence
    assert result.stdout == ""
    assert not asked("fit")
    told = run(words[0], "--json", *words[1:])
    assert told.exit_code == 2
    assert json.loads(told.stdout) == {"error": sentence}


def test_of_processes_that_were_started_together_one_says_what_cannot_be_used(run, monkeypatch):
    words = ("fit", "nowhere.txt", "--out", "m", "--json")
    monkeypatch.setenv("RANK", "0")
    assert "error" in json.loads(run(*words).stdout)
    monkeypatch.setenv("RANK", "1")
    other = run(*words)
    assert (other.exit_code, other.output) == (2, "")


def test_a_name_in_braces_that_the_shell_took_apart(run):
    for words in ([], ["--input", "en", "--target", "fr"]):
        result = run("fit", "train.en", "train.fr", "--out", "m", *words)
        assert result.exit_code == 2
        assert said(result).startswith("train.en and train.fr would be read one after the other.")
        assert said(result).endswith("If they go line by line, put their one name in quotes: 'train.{en,fr}'.")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (BadInput("a.csv has no column 'x'."), 2, "a.csv has no column 'x'."),
        (BadFolder("m is not a model."), 2, "m is not a model."),
        (WrongSpace("s is of another model."), 2, "s is of another model."),
        (
            MissingExtra("lancedb", "store", "A store"),
            2,
            "A store needs lancedb, which is not installed: pip install 'raw2vec[store]'",
        ),
        (NonFinite("The loss is nan (stage 'masked', step 4)."), 1, "The loss is nan (stage 'masked', step 4)."),
        (OSError(13, "Permission denied", "m/x"), 1, "Permission denied: m/x."),
        (OSError(28, "No space left on device", "m/x"), 1, FULL),
        (OSError("76800 requested and 11232 written"), 1, FULL),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), 1, FULL),
        (MemoryError(), 1, "There is not enough memory for this; a smaller model or shorter texts need less."),
        (
            RuntimeError("mat1 and mat2\ncannot"),
            1,
            "Something went wrong inside: RuntimeError: mat1 and mat2. --debug shows where.",
        ),
        (KeyError(), 1, "Something went wrong inside: KeyError: no reason was given. --debug shows where."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_the_work_raises(run, error, code, sentence):
    facade_double.trouble.append(error)
    result = run(*FIT)
    assert result.exit_code == code
    assert said(result) == sentence
    facade_double.trouble.append(error)
    result = run(*FIT, "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout) == {"error": sentence}


def test_a_traceback_only_when_asked_for(run, monkeypatch):
    facade_double.trouble.append(RuntimeError("deep"))
    assert "Traceback" in run(*FIT, "--debug").stderr
    monkeypatch.setenv("RAW2VEC_DEBUG", "1")
    facade_double.trouble.append(RuntimeError("deep"))
    result = run(*FIT)
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("raw2vec: Something went wrong inside")


@pytest.mark.parametrize("place", ["-", "/dev/stdout", "/dev/null"])
def test_nothing_is_written_to_a_stream(run, asked, tmp_path, place):
    before = sorted(tmp_path.iterdir())
    for words in (
        ["fit", "notes.txt", "--out"],
        ["embed", "tickets", "notes.txt", "--out"],
        ["index", "tickets", "notes.txt", "--store"],
        ["distill", "tickets", "--out"],
        ["export", "tickets", "--to", "onnx", "--out"],
        ["calibrate", "tickets", "notes.txt", "--out"],
    ):
        result = run(*words, place)
        assert result.exit_code == 2
        assert said(result).startswith(f"'{place}' is no place to write to: name a file or a folder")
        assert not asked(words[0])
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("many/note.txt", "Did you mean 'many/notes.txt'?"),
        (
            "many/*.csv",
            "A pattern is not read: name the folder many, which is read whole, or files of it as 'many/{a,b}.csv'.",
        ),
        ("man?/a/*", "A pattern is not read: name the folder ., which is read whole, or files of it as '{a,b}'."),
    ],
)
def test_a_file_of_a_folder_that_is_not_there(run, tmp_path, name, hint):
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "notes.txt").write_text("x\n")
    assert said(run("embed", "tickets", name, "--out", "v")) == f"There is no file or folder '{name}'. {hint}"


def begin(place, words):
    """What a run leaves that has something to go on with."""
    if words[0] == "embed":
        (place / "v").mkdir()
        (place / "v" / "_manifest.json").write_text("{}")
    elif words[0] == "fit":
        (place / f"{words[words.index('--out') + 1]}.training").mkdir()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["fit", "notes.txt", "--out", "my model"],
            "stopped; what was done is kept. Go on with: raw2vec fit notes.txt --out 'my model' --resume",
        ),
        (
            ["fit", "--out", "m", "--resume", "notes.txt"],
            "stopped; what was done is kept. Go on with: raw2vec fit --out m --resume notes.txt",
        ),
        (
            ["fit", "--out", "m", "--", "notes.txt"],
            "stopped; what was done is kept. Go on with: raw2vec fit --out m --resume -- notes.txt",
        ),
        (
            ["embed", "tickets", "notes.txt", "--out", "v"],
            "stopped; what was done is kept. Go on with: raw2vec embed tickets notes.txt --out v --resume",
        ),
        (
            ["index", "tickets", "notes.txt", "--store", "postgresql://me:secret@host/base"],
            "stopped; what was done is kept. Go on with: raw2vec index tickets notes.txt --store "
            "'postgresql://me:***@host/base' --resume",
        ),
    ],
)
def test_ctrl_c_says_how_to_go_on(run, tmp_path, words, sentence):
    begin(tmp_path, words)
    facade_double.trouble.append(KeyboardInterrupt())
    result = run(*words)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == f"raw2vec: {sentence}"


@pytest.mark.parametrize("words", [FIT, ("embed", "tickets", "notes.txt", "--out=v.npy")])
def test_ctrl_c_before_there_is_anything_to_go_on_with(run, words):
    facade_double.trouble.append(KeyboardInterrupt())
    result = run(*words)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "raw2vec: stopped; nothing was written."


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("embed", "m", "d", "--out=v.npy"), "v.npy.partial/_manifest.json"),
        (("index", "m", "d", "--store", "s"), "s/store.json"),
        (("distill", "m", "--out", "s"), "s.training/x"),
    ],
)
def test_what_is_there_to_go_on_with(tmp_path, monkeypatch, words, left):
    monkeypatch.chdir(tmp_path)
    assert not begun(words)
    (tmp_path / left).parent.mkdir()
    (tmp_path / left).write_text("{}")
    assert begun(words)
    assert begun(("index", "m", "d", "--store", "s3://bucket/s"))


def test_ctrl_c_while_the_command_line_is_read_in(monkeypatch, capsys):
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raw2vec.cli.main", stopped)
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert (left.value.code, capsys.readouterr().err) == (130, "raw2vec: stopped.\n")


def test_ctrl_c_in_json(run, tmp_path):
    begin(tmp_path, FIT)
    facade_double.trouble.append(KeyboardInterrupt())
    result = run(*FIT, "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["error"].endswith("raw2vec fit notes.txt --out m --json --resume")


def test_another_library_s_warning_is_one_calm_line(run, monkeypatch):
    import warnings

    def fit(self, data, **options):
        for _ in range(2):
            warnings.warn("something\nis odd", RuntimeWarning, stacklevel=1)
        return self

    monkeypatch.setattr(facade_double.Raw2Vec, "fit", fit)
    assert run(*FIT).stderr == "raw2vec: note: something is odd\n"
