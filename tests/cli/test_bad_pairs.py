"""What is wrong with a translator's data is told in one sentence, with the file, the line and the reason."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raw2vec.cli import app
from raw2vec.use.translate import Translated

PAIRS = [(f"the {a} {b}", f"les {b}s {a}s") for a in ("red", "old", "blue") for b in ("car", "door", "hat")]
SIDES = ("--input", "en", "--target", "fr")
SMALL = (
    "--encoder",
    "recurrent",
    "--decoder",
    "recurrent",
    "--size",
    "tiny",
    "--set",
    "raw.vocabulary=300",
    "--set",
    "raw.max_tokens=32",
)
FIT = ("--objective", "translation", "--steps", "1", *SMALL, "--set", "training.hold_out=0")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("model")
    write(place / "pairs.tsv", PAIRS)
    result = CliRunner().invoke(app, ["fit", str(place / "pairs.tsv"), *FIT, *SIDES, "--out", str(place / "mt")])
    assert result.exit_code == 0, result.output
    return str(place / "mt")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, list(words))


def write(path: Path, pairs: list[tuple[str, ...]], header: str = "en\tfr\n") -> None:
    path.write_text(header + "".join("\t".join(pair) + "\n" for pair in pairs), encoding="utf-8")


def refusal(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr.splitlines()[-1].removeprefix("raw2vec: ")


LONG = ("word " * 2000, "mot " * 2000)
REFUSED: list[tuple[list[tuple[str, ...]], tuple[str, ...], str]] = [
    (PAIRS, ("--input", "en", "--target", "de"), "p.tsv has no column 'de' (line 1 names: en, fr)."),
    (PAIRS, ("--input", "fr", "--target", "fr"), "The source and the target are one column, 'fr': name two."),
    (PAIRS, ("--target", "fr"), "Pairs need two columns: name them with --input and --target. p.tsv has: en, fr."),
    (PAIRS, ("--input", "en"), "The objective 'translation' learns from pairs of texts: name both, with --input and"),
    (PAIRS, (*SIDES, "--label", "fr"), "The objective 'translation' learns pairs, not labels: leave out --label fr."),
    ([(a, "") for a, _ in PAIRS], SIDES, "p.tsv has no pair to learn from: of 9 pairs, all are left out (9 with an"),
    ([(a + " at last", a + " at last") for a, _ in PAIRS], SIDES, "(9 copied). 9 say the same twice: are 'en' and"),
    ([LONG], SIDES, "p.tsv has no pair to learn from: of 1 pairs, all are left out (1 longer than 250 words or"),
    ([(*pair, "x") for pair in PAIRS], SIDES, "p.tsv line 2 has 3 cells, but line 1 has 2: quote a cell that holds"),
    ([*PAIRS, ("alone",)], SIDES, "p.tsv line 11 has 1 cell, but line 1 has 2: is a cell missing"),
    ([*PAIRS, ("nul\0", "nul")], SIDES, "p.tsv is a binary file, not text (line 11, byte"),
    (PAIRS[:1], (*SIDES, "--set", "training.hold_out=0.999"), "p.tsv has no row left to learn from: all are held out"),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "words", "sentence"), REFUSED, ids=[sentence[:30] for *_, sentence in REFUSED])
def test_pairs_that_cannot_be_learned_from(run: Run, pairs: list, words: tuple[str, ...], sentence: str) -> None:
    write(Path("p.tsv"), pairs)
    assert sentence in refusal(run("fit", "p.tsv", *FIT, *words, "--out", "m"))
    assert not Path("m").exists()


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([PAIRS[0]] * 5_000, "left out: 4,999 repeated, among the 5,000 pairs of p.tsv; 1 left to learn from"),
        (
            [*PAIRS, LONG, ("x" * 10_000, "y")],
            "left out: 2 longer than 250 words or 4,000 letters, among the 11 pairs",
        ),
        ([*PAIRS, ("\x01\x02", "\x1b"), ("bell\x07", "cloche\x1b[0m")], "left out: 1 with an empty side, among the 11"),
    ],
    ids=["one pair left", "long", "control characters"],
)
def test_pairs_of_which_some_are_left_out(run: Run, pairs: list[tuple[str, ...]], sentence: str) -> None:
    write(Path("p.tsv"), pairs)
    result = run("fit", "p.tsv", *FIT, *SIDES, "--out", "m")
    assert result.exit_code == 0, result.output
    assert sentence in result.stdout


def test_texts_side_by_side_from_the_fit_to_the_report(run: Run, model: str) -> None:
    for place, word in enumerate(("en", "fr")):
        Path(f"train.{word}").write_text("".join(f"{pair[place]}\n" for pair in [*PAIRS, ("", ""), ("lone", "")]))
    result = run("fit", "train.{en,fr}", *FIT, *SIDES, "--out", "m")
    assert result.exit_code == 0, result.output
    assert "m: learned from 9 rows" in result.stdout
    assert "left out: 2 with an empty side, among the 11 pairs of train.{en,fr}" in result.stdout
    measured = run("evaluate", model, "train.{en,fr}", *SIDES)
    assert measured.exit_code == 0, measured.output
    assert "2 of 11 targets are empty, and any translation counts as wrong there" in measured.stdout


def test_nothing_to_measure_by(run: Run, model: str) -> None:
    write(Path("p.tsv"), [(source, " ") for source, _ in PAIRS])
    told = refusal(run("evaluate", model, "p.tsv", *SIDES))
    assert told == "Every target is empty, so that there is nothing to set a translation beside."
    told = refusal(run("evaluate", model, "p.tsv", "--target", "fr"))
    assert told == "Pairs need two columns: name them with --input and --target. p.tsv has: en, fr."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"red\nd\xe9j\xe0\n", "news.en line 2 is not UTF-8: convert the file first."),
        (b"red\nca\0r\n", "news.en line 2 holds a NUL, which no text does: mend or leave out the line."),
        (gzip.compress(b"red\n" * 9, mtime=0)[:-9], "news.en is a damaged gzip file ("),
    ],
)
def test_lines_that_are_no_text(run: Run, model: str, content: bytes, sentence: str) -> None:
    Path("news.en").write_bytes(content)
    result = run("translate", model, "news.en", "--beam", "1", "--out", "news.fr")
    assert refusal(result).startswith(sentence)
    assert not Path("news.fr").exists()


def test_a_line_for_a_line_whatever_it_holds(run: Run, model: str) -> None:
    lines = ["red", "", "x" * 10_000, "a\x0bb\u2028c\x85d\x1b[31m", "\x01\x02", "end"]
    Path("news.en").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    result = run("translate", model, "news.en", "--beam", "1", "--out", "news.fr")
    assert result.exit_code == 0, result.output
    written = Path("news.fr").read_bytes().decode().split("\n")
    assert len(written) == len(lines) + 1
    assert [place for place, line in enumerate(written) if not line] == [1, 4, 6]


def test_a_translation_with_line_ends_is_written_on_one_line(
    run: Run, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def translate(parts, texts, manner, prefixes, beside, first):
        drafts, scores = ["une\r\nvoiture\n", "un\nchat"], [-0.5, -1.0]
        return [Translated(drafts[: manner.best], scores[: manner.best]) for _ in texts]

    monkeypatch.setattr("raw2vec.use.translate.translate", translate)
    Path("news.en").write_text("a car\na cat\n")
    assert run("translate", model, "news.en").stdout == "une voiture \nune voiture \n"
    best = run("translate", model, "news.en", "--best", "2").stdout.splitlines()
    assert best == [f"{n}\t{draft}" for n in (1, 2) for draft in ("-0.5000\tune voiture ", "-1.0000\tun chat")]
